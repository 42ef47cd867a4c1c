// Package deployed_test deploys the very stack with the pinned CDK command line into an
// emulator of AWS that others wrote, and uses it as people do: by the program's command
// line, real receivers, a real database, and the time that passes. `make test-deploy` runs it.
package deployed_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/databases"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/emulators"
	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/mailserver"
)

// program is the command line, built once.
var program string

func TestMain(m *testing.M) { os.Exit(databases.Main(afterBuild{m})) }

type afterBuild struct{ m *testing.M }

// Run returns the exit code.
func (a afterBuild) Run() int {
	dir, err := os.MkdirTemp("", "sqlsentinel-deployed-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "sqlsentinel")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-tags=minicore_disabled", "-o", program, "../../cmd/sqlsentinel").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sqlsentinel: %v\n%s", err, out)
		return 1
	}
	return a.m.Run()
}

// stackName is that of every stack here: each has a cloud of its own.
const stackName = "shop"

// A site is a cloud with the stack, a shop's database and the receivers of its messages.
type site struct {
	testing.TB
	cloud  *emulators.Cloud
	config aws.Config
	out    string // the folder of the synthesized app
	shop   *sql.DB
	mail   *mailserver.Server
	web    *receiver
	url    string   // of the shop
	person []string // the credentials of who types, if not the account's
}

// newSite starts a cloud and prepares it for CDK.
func newSite(t testing.TB, iam bool) *site {
	t.Helper()
	if os.Getenv("SENTINEL_DEPLOY") == "" {
		t.Skip("SKIPPED, NOT TESTED: deployments take minutes; `make test-deploy` runs them")
	}
	if _, err := os.Stat("../node_modules/.bin/cdk"); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skip("SKIPPED, NOT TESTED: there is no CDK command line; `make test-deploy` fetches it")
		}
		t.Fatal("there is no CDK command line in infra/node_modules; `make test-deploy` fetches it")
	}
	s := &site{TB: t, cloud: emulators.NewCloud(t, iam), out: t.TempDir(), url: databases.Postgres(t)}
	s.config = aws.Config{
		Region: "us-east-1", BaseEndpoint: &s.cloud.Endpoint, HTTPClient: s.cloud.HTTP,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	s.shop = must(sql.Open("postgres", s.url))
	t.Cleanup(func() { _ = s.shop.Close() })
	_, err := s.shop.Exec("CREATE TABLE orders (total numeric(12,2))")
	require.NoError(t, err)
	s.mail = must(mailserver.Start(mailserver.Options{}))
	t.Cleanup(func() { _ = s.mail.Close() })
	s.web = newReceiver(t)
	t.Cleanup(s.explain)
	s.cdk("bootstrap", "aws://000000000000/us-east-1", "--output", s.out)
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// command runs a program with the cloud's credentials and returns what it prints.
func (s *site) command(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), s.cloud.Environment...), s.person...)
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), complaints.String())
	}
	return out.String(), nil
}

func (s *site) cdk(args ...string) {
	s.Helper()
	_, err := s.command("..", "node_modules/.bin/cdk", args...)
	require.NoError(s, err)
}

// choices are what every deployment here chooses: the functions run as processes of this
// machine, and reach receivers on it; messages that nobody settles come back soon.
func (s *site) choices(more ...string) []string {
	all := append([]string{"stack=" + stackName, "architecture=" + machine, `environment={"EGRESS_ALLOW":"127.0.0.0/8"}`, "senderTimeout=20", "alarmEmail=oncall@example.com"}, more...)
	args := []string{"--output", s.out}
	for _, choice := range all {
		args = append(args, "-c", choice)
	}
	return args
}

func (s *site) deploy(more ...string) {
	s.Helper()
	s.cdk(append([]string{"deploy", "--method=direct", "--require-approval", "never"}, s.choices(more...)...)...)
	out, err := s.command("..", "go", "run", "./settle", "-stack", stackName, "-timeout", "240s")
	require.NoError(s, err)
	require.Contains(s, out, stackName+" stands")
}

// sentinel runs the command line, which must succeed, and returns what it prints.
func (s *site) sentinel(args ...string) string {
	s.Helper()
	out, err := s.command(s.out, program, args...)
	require.NoError(s, err)
	return out
}

// ask runs a command of the command line on what runs in the cloud and reads its JSON.
func ask[T any](s *site, args ...string) T {
	s.Helper()
	var v T
	text, err := s.command(s.out, program, append(args, "--json", "--state", "dynamodb://"+stackName)...)
	require.NoError(s, json.Unmarshal([]byte(text), &v), "%s %v", text, err)
	return v
}

// secret stores a value for one user.
func (s *site) secret(user, name, value string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, "secrets", "set", name, "--stack", stackName, "--user", user)
	c.Env, c.Stdin = append(append(os.Environ(), s.cloud.Environment...), s.person...), strings.NewReader(value)
	out, err := c.CombinedOutput()
	require.NoError(s, err, string(out))
}

// secrets stores the addresses of database and receivers.
func (s *site) secrets() {
	s.Helper()
	s.secret("query", "SHOP_URL", s.url)
	s.secret("webhook", "HOOK_URL", s.web.url)
	s.secret("slack", "SLACK_WEBHOOK_URL", s.web.url+"/slack")
	for name, value := range map[string]string{
		"SMTP_HOST": s.mail.Host(), "SMTP_PORT": fmt.Sprint(s.mail.Port()), "SMTP_USE_TLS": "false", "SMTP_FROM_ADDRESS": "sentinel@example.com",
	} {
		s.secret("email", name, value)
	}
}

// apply puts an alert file in force.
func (s *site) apply(text string) {
	s.Helper()
	s.sentinel("apply", s.file(text), "--stack", stackName)
}

// file is an alert file.
func (s *site) file(text string) string {
	s.Helper()
	path := filepath.Join(s.out, "alerts.yaml")
	require.NoError(s, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// deliveries are what `deliveries list` prints.
type deliveries struct {
	Deliveries []struct {
		ID, Alert, Status string
		LastError         string `json:"last_error"`
	}
}

// outputs are those of the stack.
func (s *site) outputs() map[string]string {
	s.Helper()
	answer, err := cloudformation.NewFromConfig(s.config).DescribeStacks(s.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(stackName)})
	require.NoError(s, err)
	out := map[string]string{}
	for _, o := range answer.Stacks[0].Outputs {
		out[*o.OutputKey] = *o.OutputValue
	}
	return out
}

// A receiver keeps the requests that it is sent.
type receiver struct {
	url   string
	mu    sync.Mutex
	got   []request
	paths map[string]http.HandlerFunc
}

type request struct{ path, key, body string }

func newReceiver(t testing.TB) *receiver {
	r := &receiver{paths: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP takes a message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.got = append(r.got, request{req.URL.Path, req.Header.Get("Idempotency-Key"), string(body)})
	answer := r.paths[req.URL.Path]
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

// answers decides what a path answers; nil is 200.
func (r *receiver) answers(path string, by http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths[path] = by
}

// at returns what came to a path.
func (r *receiver) at(path string) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []request
	for _, one := range r.got {
		if one.path == path {
			out = append(out, one)
		}
	}
	return out
}

// explain prints, when the test has failed, what sync says of the stack.
func (s *site) explain() {
	if s.Failed() {
		s.Log(s.sync(context.Background()))
	}
}

// sync calls the sync function and returns what it answers, and the end of its log.
func (s *site) sync(ctx context.Context) string {
	list, err := cloudformation.NewFromConfig(s.config).DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: aws.String(stackName)})
	if err != nil {
		return err.Error()
	}
	for _, r := range list.StackResources {
		if *r.ResourceType == "AWS::Lambda::Function" && strings.HasPrefix(*r.LogicalResourceId, "Sync") {
			said, err := lambda.NewFromConfig(s.config).Invoke(ctx, &lambda.InvokeInput{FunctionName: r.PhysicalResourceId, LogType: types.LogTypeTail, Payload: []byte("{}")})
			if err != nil {
				return err.Error()
			}
			tail, _ := base64.StdEncoding.DecodeString(aws.ToString(said.LogResult))
			return fmt.Sprintf("sync answers %s, and its log ends with\n%s", said.Payload, tail)
		}
	}
	return "there is no sync function"
}

// eventually waits until something holds.
func (s *site) eventually(limit time.Duration, what string, holds func() bool) {
	s.Helper()
	require.Eventually(s, holds, limit, 200*time.Millisecond, what)
}
