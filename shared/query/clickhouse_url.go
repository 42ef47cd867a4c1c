package query

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// clickhouseParameters are the options of a URL. The driver would take any other as a
// setting of the server, and a typing error with it.
var clickhouseParameters = []string{"secure", "skip_verify", "tls_server_name", "compress", "dial_timeout", "read_timeout", "http_path", "protocol"} //nolint:gochecknoglobals // a constant list

// clickhouseOptions reads a URL as people know it from SQLAlchemy, and has the driver read
// its options.
func clickhouseOptions(text string) (*clickhouse.Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read; percent-encode special characters of the password, such as %40 for @")
	}
	if u.Hostname() == "" {
		return nil, errors.New("the URL names no host; write clickhouse://user:${DB_PASSWORD}@host:9000/name")
	}
	params := u.Query()
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(clickhouseParameters, name) {
			return nil, unknownParameter(name, clickhouseParameters...)
		}
	}
	http, secure := clickhouseProtocol(u, params)
	params.Del("protocol")
	if _, err := strconv.ParseBool(cmp.Or(params.Get("secure"), "true")); err != nil {
		return nil, errors.New("the option \"secure\" is true or false")
	}
	if secure {
		params.Set("secure", "true")
	}
	options, err := clickhouseParsed(http, secure, params)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[[2]bool]string{{false, false}: "9000", {false, true}: "9440", {true, false}: "8123", {true, true}: "8443"}[[2]bool{http, secure}]
	}
	options.Addr = []string{net.JoinHostPort(u.Hostname(), port)}
	options.Auth.Username = u.User.Username()
	options.Auth.Password, _ = u.User.Password()
	options.Auth.Database = strings.TrimPrefix(u.Path, "/")
	options.ClientInfo.Products = append(options.ClientInfo.Products, struct{ Name, Version string }{"sqlsentinel", "1"})
	return options, nil
}

// clickhouseParsed has the driver read the options, one at a time first, so that an error
// can name the option and need not repeat its value.
func clickhouseParsed(http, secure bool, params url.Values) (*clickhouse.Options, error) {
	base := "clickhouse://host/"
	switch {
	case http && secure:
		base = "https://host/?secure=true&"
	case http:
		base = "http://host/?"
	default:
		base += "?"
	}
	for name, values := range params {
		if name == "tls_server_name" { // it needs another, below
			continue
		}
		alone := url.Values{name: values}
		if name != "secure" && secure {
			alone.Set("secure", "true")
		}
		if _, err := clickhouse.ParseDSN(base + alone.Encode()); err != nil {
			return nil, fmt.Errorf("the value of the option %q is none that the ClickHouse driver takes", name)
		}
	}
	options, err := clickhouse.ParseDSN(base + params.Encode())
	if err != nil {
		return nil, errors.New("the options after ? cannot be used together; tls_server_name needs secure=true")
	}
	return options, nil
}

// clickhouseProtocol tells from the scheme, the port and the options what is spoken.
func clickhouseProtocol(u *url.URL, params url.Values) (http, secure bool) {
	_, by, _ := strings.Cut(u.Scheme, "+")
	port, protocol := u.Port(), params.Get("protocol")
	http = strings.HasPrefix(by, "http") || strings.HasPrefix(protocol, "http") || by == "" && (port == "8123" || port == "8443")
	secure = by == "https" || protocol == "https" || port == "8443" || port == "9440" || params.Has("secure") && params.Get("secure") != "false" && params.Get("secure") != "0"
	return http, secure
}
