package query

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"cloud.google.com/go/auth/credentials"
	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
)

// bigQueryURL is what a URL of BigQuery says.
type bigQueryURL struct {
	project, datasetProject, dataset, location, priority string
	cache                                                *bool

	endpoint  string
	plain     bool   // an endpoint on this machine, which is told no secret unless it is asked for
	keyFile   string // empty: application default credentials, unless there is key
	key       []byte
	keyOrigin string
}

// bigQueryParameters are those of SQLAlchemy's dialect, and api_endpoint.
func bigQueryParameters() []string {
	return []string{"location", "credentials_path", "credentials_base64", "priority", "use_query_cache", "api_endpoint"}
}

func parseBigQuery(text, dir string) (bigQueryURL, error) {
	b := bigQueryURL{endpoint: "https://bigquery.googleapis.com/bigquery/v2/"}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Port() != "" {
		return b, errors.New("the URL cannot be read; write bigquery://PROJECT/DATASET?location=EU, without a user or a port")
	}
	b.project = u.Hostname()
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) > 1 {
		return b, errors.New("the URL has a part too many; write bigquery://PROJECT/DATASET")
	}
	b.dataset = parts[0]
	if project, dataset, ok := strings.Cut(b.dataset, "."); ok { // a dataset of another project
		b.datasetProject, b.dataset = project, dataset
	}
	values, err := urlOptions(u, bigQueryParameters())
	if err != nil {
		return b, err
	}
	b.location = values["location"]
	switch priority := strings.ToUpper(values["priority"]); priority {
	case "", "INTERACTIVE", "BATCH":
		b.priority = priority
	default:
		return b, errors.New("priority in the URL must be INTERACTIVE or BATCH")
	}
	switch on := strings.ToLower(values["use_query_cache"]); on {
	case "":
	case "true", "false":
		yes := on == "true"
		b.cache = &yes
	default:
		return b, errors.New("use_query_cache in the URL must be true or false")
	}
	if err := b.setEndpoint(values["api_endpoint"]); err != nil {
		return b, err
	}
	return b, b.setKey(values["credentials_path"], values["credentials_base64"], dir)
}

// setEndpoint takes a private endpoint, or over http:// an emulator on this machine.
func (b *bigQueryURL) setEndpoint(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("api_endpoint in the URL must be an address such as https://bigquery-private.p.googleapis.com")
	}
	ip := net.ParseIP(u.Hostname())
	b.plain = u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
	if !b.plain && u.Scheme != "https" {
		return errors.New("api_endpoint in the URL must begin with https://; http:// is for an emulator on this machine alone")
	}
	b.endpoint = strings.TrimSuffix(text, "/")
	if !strings.HasSuffix(b.endpoint, "/bigquery/v2") {
		b.endpoint += "/bigquery/v2"
	}
	b.endpoint += "/"
	return nil
}

// setKey takes a key file, which is read when it is used, or a key itself.
func (b *bigQueryURL) setKey(path, encoded, dir string) error {
	switch {
	case path != "" && encoded != "":
		return errors.New("the URL has both credentials_path and credentials_base64; keep one")
	case path != "":
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("the key file of credentials_path cannot be read: %w", err)
		}
		b.keyFile, b.keyOrigin = path, "the key file of credentials_path"
	case encoded != "":
		key, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(encoded, " ", "+")) // a + that was not percent-encoded
		if err != nil || !json.Valid(key) {
			return errors.New("credentials_base64 in the URL is no key file in base64; make it with `base64 -w0 key.json`, and keep it in a variable")
		}
		b.key, b.keyOrigin = key, "the key of credentials_base64"
	}
	return nil
}

// authenticate finds the credentials.
func (b *bigQueryURL) authenticate() ([]option.ClientOption, error) {
	if b.plain && b.keyOrigin == "" {
		return []option.ClientOption{option.WithoutAuthentication()}, nil
	}
	detect := &credentials.DetectOptions{Scopes: []string{bigquery.BigqueryScope}}
	if b.keyOrigin == "" {
		found, err := credentials.DetectDefault(detect)
		if err != nil {
			return nil, errors.New("there are no application default credentials: name a key file with credentials_path in the URL or with GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`")
		}
		if b.project == "" {
			b.project, _ = found.ProjectID(context.Background())
		}
		return []option.ClientOption{option.WithAuthCredentials(found)}, nil
	}
	key := b.key
	if b.keyFile != "" {
		var err error
		if key, err = os.ReadFile(b.keyFile); err != nil {
			return nil, fmt.Errorf("read %s: %w", b.keyOrigin, err)
		}
	}
	var kind struct {
		Type      string `json:"type"`
		ProjectID string `json:"project_id"`
	}
	if err := json.Unmarshal(key, &kind); err != nil || kind.Type == "" {
		return nil, fmt.Errorf("%s is no key of Google Cloud: it must be a JSON object with a type, such as service_account", b.keyOrigin)
	}
	found, err := credentials.NewCredentialsFromJSON(credentials.CredType(kind.Type), key, detect)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: it is broken, or of a kind that is not known", b.keyOrigin) // the cause may repeat the key
	}
	if b.project == "" {
		b.project = kind.ProjectID
	}
	return []option.ClientOption{option.WithAuthCredentials(found)}, nil
}

// label makes a text one that a label may hold: at most 63 lower-case letters, digits,
// dashes and underscores, in 128 bytes.
func label(text string) string {
	out := strings.Map(func(r rune) rune {
		r = unicode.ToLower(r)
		if r == '-' || unicode.IsDigit(r) || unicode.IsLetter(r) && !unicode.IsUpper(r) {
			return r
		}
		return '_'
	}, strings.ToValidUTF8(text, "_"))
	runes := []rune(out)
	runes = runes[:min(len(runes), 63)]
	for len(string(runes)) > 128 {
		runes = runes[:len(runes)-1]
	}
	return string(runes)
}
