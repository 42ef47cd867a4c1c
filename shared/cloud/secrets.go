package cloud

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// secretsKept is how long parameters are used without being read again, at most; up to
// secretsSpread less, by chance, so that functions that started together do not ask Parameter
// Store, which takes 40 such calls a second, all at one time.
const (
	secretsKept   = 5 * time.Minute
	secretsSpread = time.Minute
)

// secretsPause is how long they are not asked for again after a failure: a message needs
// many names, and each would wait.
const secretsPause = 5 * time.Second

// SecretsOptions are what Secrets needs.
type SecretsOptions struct {
	AWS aws.Config
	// Stack and User make the path of the parameters: /STACK/USER/NAME. A user is query,
	// email, slack, webhook or sync: each role may read its own path only.
	Stack, User string
	// Env is the function's environment, which comes first; nil means the process's.
	Env func(name string) (string, bool)
	// Failed is told why the parameters could not be read.
	Failed func(error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Secrets resolves names by the function's environment, then by Parameter Store, where
// people keep what is secret. All parameters of the path are read at once, when the first
// is asked for. It is safe for concurrent use.
type Secrets struct {
	SecretsOptions
	client *ssm.Client
	kept   time.Duration
	mu     sync.Mutex
	values map[string]string
	read   time.Time // zero: never, or not successfully
	failed time.Time // when reading failed last
	unread error     // why the last reading failed; nil if it did not
}

// NewSecrets makes secrets. It makes no call.
func NewSecrets(o SecretsOptions) *Secrets {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	return &Secrets{SecretsOptions: o, client: ssmClient(o.AWS), kept: secretsKept - rand.N(secretsSpread)}
}

func ssmClient(c aws.Config) *ssm.Client {
	return ssm.NewFromConfig(c, func(s *ssm.Options) { s.BaseEndpoint = Endpoint(c, "ssm") })
}

// readLimit is how long reading the parameters may take.
const readLimit = 10 * time.Second

// Lookup is an alert.Lookup. What cannot be read now counts as not found, and is asked for
// again at the next use; what was read before stays in use until then.
func (s *Secrets) Lookup(name string) (string, bool) {
	if value, ok := s.Env(name); ok {
		return value, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.Now(); now.Sub(s.read) >= s.kept && now.Sub(s.failed) >= secretsPause {
		s.load()
	}
	value, ok := s.values[name]
	return value, ok
}

// load reads all parameters of the path.
func (s *Secrets) load() {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	prefix := parameter(s.Stack, s.User, "")
	values := map[string]string{}
	pages := ssm.NewGetParametersByPathPaginator(s.client, &ssm.GetParametersByPathInput{Path: &prefix, WithDecryption: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			s.failed, s.unread = s.Now(), Readable("read the parameters under "+prefix, err)
			s.Failed(s.unread)
			return
		}
		for _, p := range page.Parameters {
			values[strings.TrimPrefix(aws.ToString(p.Name), prefix)] = aws.ToString(p.Value)
		}
	}
	s.values, s.read, s.unread = values, s.Now(), nil
}

// Unread is why the parameters could not be read when they were last asked for; nil if they
// could. What is missing then may be there.
func (s *Secrets) Unread() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread
}

// Refresh reads the parameters again after a refused password, if they were read a while
// ago, and tells whether one is another now: then it is worth trying again.
func (s *Secrets) Refresh() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read.IsZero() || s.Now().Sub(s.read) < time.Second {
		return false
	}
	before := s.values
	s.load()
	return !maps.Equal(before, s.values)
}

// parameter is the name of a parameter.
func parameter(stack, user, name string) string { return "/" + stack + "/" + user + "/" + name }

// Users are who may read parameters: the query function, the senders by channel, and sync
// for the heartbeat.
var Users = []string{"query", "email", "slack", "webhook", "sync"}

// Parameters lists which names exist in Parameter Store, as USER/NAME. It reads no value.
func Parameters(ctx context.Context, c aws.Config, stack string) (map[string]bool, error) {
	out := map[string]bool{}
	client, prefix := ssmClient(c), "/"+stack+"/"
	pages := ssm.NewDescribeParametersPaginator(client, &ssm.DescribeParametersInput{
		MaxResults:       aws.Int32(50),
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Path"), Option: aws.String("Recursive"), Values: []string{"/" + stack}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Readable("list the parameters under "+prefix, err)
		}
		for _, p := range page.Parameters {
			out[strings.TrimPrefix(aws.ToString(p.Name), prefix)] = true
		}
	}
	return out, nil
}

// PutSecret stores a value as a SecureString where a user may read it.
func PutSecret(ctx context.Context, c aws.Config, stack, user, name, value string) error {
	_, err := ssmClient(c).PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(parameter(stack, user, name)), Value: &value, Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true),
	})
	return Readable("write the parameter "+parameter(stack, user, name), err)
}
