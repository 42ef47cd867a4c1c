package query

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/snowflakedb/gosnowflake/v2"
	"github.com/youmark/pkcs8"
)

// snowflakeParameters are those of SQLAlchemy's dialect and of Snowflake's connectors.
func snowflakeParameters() []string {
	return []string{
		"warehouse", "role", "authenticator", "token", "private_key_path", "private_key_file", "private_key_base64", "private_key_passphrase", "private_key_file_pwd",
		"host", "port", "protocol", "timezone",
	}
}

// parseSnowflake reads a URL as SQLAlchemy writes it into the driver's settings.
func parseSnowflake(text, dir string) (*gosnowflake.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read; percent-encode special characters of the password, such as %40 for @")
	}
	if u.Hostname() == "" || u.User.Username() == "" || u.Port() != "" {
		return nil, errors.New("the URL lacks the user or the account; write snowflake://user:${SNOWFLAKE_PASSWORD}@ACCOUNT/DATABASE/SCHEMA?warehouse=WAREHOUSE&role=ROLE")
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) > 2 {
		return nil, errors.New("the URL has a part too many; write snowflake://user@ACCOUNT/DATABASE/SCHEMA")
	}
	values, err := urlOptions(u, snowflakeParameters())
	if err != nil {
		return nil, err
	}
	config := &gosnowflake.Config{
		Account: u.Hostname(), User: u.User.Username(), Database: parts[0], Warehouse: values["warehouse"], Role: values["role"], Application: "sqlsentinel",
		Params: snowflakeSettings(values["timezone"]), MaxRetryCount: 2,
		LoginTimeout:                   20 * time.Second, //nolint:staticcheck // deprecated, with nothing in its place yet
		ClientStoreTemporaryCredential: gosnowflake.ConfigBoolFalse, ClientRequestMfaToken: gosnowflake.ConfigBoolFalse,
		DisableConsoleLogin: gosnowflake.ConfigBoolTrue, CrlOnDiskCacheDisabled: true,
	}
	config.Password, _ = u.User.Password()
	if len(parts) == 2 {
		config.Schema = parts[1]
	}
	if err := snowflakeAddress(config, values); err != nil {
		return nil, err
	}
	return config, snowflakeLogin(config, values, dir)
}

// snowflakeSettings are the settings that every session begins with. Results in JSON hold
// the digits of numbers as text.
func snowflakeSettings(timezone string) map[string]*string {
	json, yes, no := "JSON", "true", "false"
	out := map[string]*string{"GO_QUERY_RESULT_FORMAT": &json, "ABORT_DETACHED_QUERY": &yes, "CLIENT_TELEMETRY_ENABLED": &no}
	if timezone != "" {
		out["TIMEZONE"] = &timezone
	}
	return out
}

// snowflakeAddress takes an address other than the account's own, such as a private link.
func snowflakeAddress(config *gosnowflake.Config, values map[string]string) error {
	config.Host = values["host"]
	if text := values["port"]; text != "" {
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 65535 {
			return errors.New("port in the URL must be a number from 1 to 65535")
		}
		config.Port = port
	}
	switch config.Protocol = values["protocol"]; config.Protocol {
	case "", "https":
	case "http":
		if config.Host != "localhost" && config.Host != "127.0.0.1" {
			return errors.New("protocol=http in the URL is for an emulator on this machine alone")
		}
	default:
		return errors.New("protocol in the URL must be https")
	}
	return nil
}

// snowflakeLogin decides how to log in: with a key if there is one, with a token, or with
// the password.
func snowflakeLogin(config *gosnowflake.Config, values map[string]string, dir string) (err error) {
	path, err := either(values, "private_key_path", "private_key_file")
	if err != nil {
		return err
	}
	passphrase, err := either(values, "private_key_passphrase", "private_key_file_pwd")
	if err != nil {
		return err
	}
	key, err := snowflakePEM(path, values["private_key_base64"], dir)
	if err != nil {
		return err
	}
	switch method := strings.ToLower(values["authenticator"]); {
	case method == "snowflake_jwt" || method == "" && key != nil:
		if key == nil {
			return errors.New("authenticator=snowflake_jwt needs a key; name its file with private_key_path in the URL")
		}
		config.Authenticator = gosnowflake.AuthTypeJwt
		config.PrivateKey, err = snowflakeKey(key, passphrase)
		return err
	case key != nil:
		return errors.New("a private key goes with authenticator=snowflake_jwt; take the other authenticator out of the URL")
	case method == "programmatic_access_token", method == "oauth":
		if config.Token = values["token"]; config.Token == "" {
			return fmt.Errorf("authenticator=%s needs a token; write token=${SNOWFLAKE_TOKEN} in the URL", method)
		}
		config.Authenticator = gosnowflake.AuthTypePat
		if method == "oauth" {
			config.Authenticator = gosnowflake.AuthTypeOAuth
		}
	case method == "" || method == "snowflake":
		if config.Password == "" {
			return errors.New("the URL has no password, no private_key_path and no token; write snowflake://user:${SNOWFLAKE_PASSWORD}@ACCOUNT/…")
		}
	default:
		return errors.New("the authenticator in the URL is none that works without a person; there are snowflake, snowflake_jwt, programmatic_access_token and oauth")
	}
	return nil
}

func either(values map[string]string, one, other string) (string, error) {
	if values[one] != "" && values[other] != "" {
		return "", fmt.Errorf("the URL has both %s and %s, which mean the same; keep one", one, other)
	}
	return values[one] + values[other], nil
}

// snowflakePEM is the text of a private key, from a file or the URL itself; nil if there is
// none.
func snowflakePEM(path, encoded, dir string) ([]byte, error) {
	switch {
	case path != "" && encoded != "":
		return nil, errors.New("the URL has both private_key_path and private_key_base64; keep one")
	case encoded != "":
		text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(encoded, " ", "+")) // a + that was not percent-encoded
		if err != nil {
			return nil, errors.New("private_key_base64 in the URL is no key file in base64; make it with `base64 -w0 key.p8`, and keep it in a variable")
		}
		return text, nil
	case path == "":
		return nil, nil
	case !filepath.IsAbs(path):
		path = filepath.Join(dir, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the alert file names it
	if err != nil {
		return nil, fmt.Errorf("the private key of private_key_path cannot be read: %w", err)
	}
	return text, nil
}

// snowflakeKey reads a private key.
func snowflakeKey(text []byte, passphrase string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the private key in the URL is not in PEM form; the file begins with -----BEGIN PRIVATE KEY-----")
	}
	var key any
	var err error
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		if passphrase == "" {
			return nil, errors.New("the private key is encrypted; write private_key_passphrase=${KEY_PASSPHRASE} in the URL")
		}
		if key, err = pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(passphrase)); err != nil {
			return nil, errors.New("the private key cannot be decrypted; is private_key_passphrase right?")
		}
	} else if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		return nil, errors.New("the private key is not in PKCS#8 form; convert it with `openssl pkcs8 -topk8`")
	}
	if private, ok := key.(*rsa.PrivateKey); ok {
		return private, nil
	}
	return nil, errors.New("the private key is no RSA key, which Snowflake needs")
}
