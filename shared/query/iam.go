package query

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// Credentials sign the password of one session, for a database whose URL says auth=iam.
// The endpoint is host and port. It is asked for each session, for a signature expires.
type Credentials func(ctx context.Context, endpoint, region, user string) (password string, err error)

// login is whose password is signed.
type login struct{ endpoint, region, user string }

// tokenUser is a dialect that asks for a password whenever it opens a session. It refuses
// where the password would travel unencrypted.
type tokenUser interface {
	useToken(token func(context.Context) (string, error)) error
}

// openAs opens a database, with passwords by credentials if its URL says auth=iam.
func openAs(open opener, d alert.Database, address string, limit int, c Credentials) (source, error) {
	plain, who, err := takeLogin(address)
	if err != nil {
		return nil, err
	}
	opened, err := open(d, plain, limit)
	if err != nil || who == nil {
		return opened, err
	}
	err = errors.New("auth=iam is for databases of RDS and Aurora: postgresql:// and mysql://")
	if over, ok := opened.(*sqlSource); ok {
		if user, ok := over.dialect.(tokenUser); ok {
			err = user.useToken(func(ctx context.Context) (string, error) {
				if c == nil {
					return "", errors.New("auth=iam: there are no credentials of AWS here")
				}
				return c(ctx, who.endpoint, who.region, who.user)
			})
		}
	}
	if err != nil {
		return nil, errors.Join(err, opened.close())
	}
	return opened, nil
}

// takeLogin takes auth=iam and region out of a URL of PostgreSQL or MySQL. The login is nil
// if the URL has no auth.
func takeLogin(address string) (string, *login, error) {
	scheme, _, _ := strings.Cut(address, "://")
	ports := map[string]string{"postgresql": "5432", "postgres": "5432", "mysql": "3306", "mariadb": "3306", "redshift": "5439"}
	u, err := url.Parse(address)
	if err != nil || ports[scheme] == "" || !u.Query().Has("auth") {
		return address, nil, nil //nolint:nilerr // whoever opens it says what is wrong
	}
	params := u.Query()
	switch _, password := u.User.Password(); {
	case params.Get("auth") != "iam":
		return "", nil, errors.New("auth in the URL can only be iam; leave it out to log in with a password")
	case scheme == "redshift":
		return "", nil, errors.New("auth=iam is for databases of RDS and Aurora; Redshift takes a password here")
	case u.User.Username() == "" || u.Hostname() == "":
		return "", nil, errors.New("auth=iam needs a user and a host in the URL, such as postgresql://sentinel@shop.abc.eu-west-1.rds.amazonaws.com/shop?auth=iam")
	case password:
		return "", nil, errors.New("the URL has a password and auth=iam; remove one of them")
	}
	who := &login{user: u.User.Username(), region: params.Get("region"), endpoint: u.Host}
	if u.Port() == "" {
		who.endpoint = net.JoinHostPort(u.Hostname(), ports[scheme])
	}
	if who.region == "" {
		labels := strings.Split(u.Hostname(), ".")
		if at := slices.Index(labels, "rds"); at > 0 {
			who.region = labels[at-1]
		}
	}
	if who.region == "" {
		return "", nil, fmt.Errorf("auth=iam needs the region: the host %s does not name it, so add region=NAME to the URL", u.Hostname())
	}
	params.Del("auth")
	params.Del("region")
	u.RawQuery = params.Encode()
	return u.String(), who, nil
}
