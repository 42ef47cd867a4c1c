package query

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// mssqlParameters are the options of a URL, in any case.
var mssqlParameters = []string{"encrypt", "trustservercertificate", "hostnameincertificate", "certificate", "servercertificate", "tlsmin", "database", "applicationintent", "driver", "charset"} //nolint:gochecknoglobals // a constant list

// mssqlConfig reads a URL as people know it from SQLAlchemy or from the Go driver.
func mssqlConfig(text string) (msdsn.Config, error) {
	none := msdsn.Config{}
	u, err := url.Parse(text)
	if err != nil {
		return none, errors.New("the URL cannot be read; percent-encode special characters of the password, such as %40 for @, and write the port of a named instance, not host\\name")
	}
	options, err := mssqlOptions(u)
	if err != nil {
		return none, err
	}
	switch {
	case u.Hostname() == "":
		return none, errors.New("the URL names no host; write mssql://user:${DB_PASSWORD}@host:1433/name")
	case u.User.Username() == "":
		return none, errors.New("the URL names no user; logins of Windows and of Microsoft Entra are not offered, only SQL Server's own: mssql://user:${DB_PASSWORD}@host:1433/name")
	}
	database := strings.TrimPrefix(u.Path, "/")
	if named := options["database"]; named != "" {
		if database != "" && named != database {
			return none, errors.New("the URL names two databases, in its path and with database=; keep one")
		}
		database = named
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "1433"), 10, 16)
	if err != nil {
		return none, errors.New("the port of the URL is no number up to 65535")
	}
	config, err := mssqlParse(u.Hostname(), options)
	if err != nil {
		return none, err
	}
	config.Port, config.Database = port, database
	config.User = u.User.Username()
	config.Password, _ = u.User.Password()
	config.ReadOnlyIntent, config.AppName, config.LogFlags = true, "sqlsentinel", 0
	return config, nil
}

// mssqlOptions are the options, checked, by their names in lower case.
func mssqlOptions(u *url.URL) (map[string]string, error) {
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the part of the URL after ? cannot be read; percent-encode special characters, such as %26 for &")
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		lower := strings.ToLower(name)
		switch {
		case slices.Contains([]string{"fedauth", "authenticator", "authentication", "trusted_connection", "integrated security"}, lower):
			return nil, fmt.Errorf("%s is not offered: logins of Windows and of Microsoft Entra are not in this build; use one of SQL Server's own, user and password", lower)
		case lower == "odbc_connect":
			return nil, errors.New("odbc_connect is not offered; write mssql://user:${DB_PASSWORD}@host:1433/name")
		case !slices.Contains(mssqlParameters, lower):
			return nil, unknownParameter(name, mssqlParameters...)
		case len(given[name]) > 1 || out[lower] != "":
			return nil, fmt.Errorf("the URL has %s twice; keep one", lower)
		}
		out[lower] = given[name][0]
	}
	if intent := out["applicationintent"]; intent != "" && !strings.EqualFold(intent, "ReadOnly") {
		return nil, errors.New("applicationintent can only be ReadOnly, which it is without it")
	}
	for _, ours := range []string{"applicationintent", "driver", "charset"} {
		delete(out, ours)
	}
	return out, nil
}

// mssqlParse has the driver read the options. Encryption with a checked certificate is what
// a URL without any means.
func mssqlParse(host string, options map[string]string) (msdsn.Config, error) {
	values := url.Values{"protocol": {"tcp"}, "encrypt": {cmp.Or(options["encrypt"], "true")}}
	for name, value := range options {
		if name != "database" && name != "encrypt" {
			values.Set(name, value)
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	address := func(v url.Values) string {
		return (&url.URL{Scheme: "sqlserver", Host: host, RawQuery: v.Encode()}).String()
	}
	for name := range values { // one at a time, so that an error can name it and repeats no value
		if _, err := msdsn.Parse(address(url.Values{"protocol": {"tcp"}, name: values[name]})); err != nil {
			if strings.Contains(name, "certificate") && name != "trustservercertificate" {
				return msdsn.Config{}, fmt.Errorf("%s names no file with a certificate that can be read; its name ends with .pem or .der", name)
			}
			return msdsn.Config{}, fmt.Errorf("the value of the option %q is none that the SQL Server driver takes", name)
		}
	}
	config, err := msdsn.Parse(address(values))
	if err != nil {
		return msdsn.Config{}, errors.New("the options after ? cannot be used together; servercertificate stands without certificate and hostnameincertificate")
	}
	return config, nil
}
