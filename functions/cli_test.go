package functions_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
)

// publish makes a stack whose outputs lead to the world's resources, and its query function
// one that can be invoked.
func (w *world) publish() {
	outputs := map[string]any{}
	for name, value := range map[string]string{
		stacks.OutputTable: w.env["SENTINEL_TABLE"], stacks.OutputBucket: w.env["SENTINEL_BUCKET"],
		stacks.OutputQueryFunction: w.stack + "-query", stacks.OutputSyncFunction: w.stack + "-sync",
	} {
		outputs[name] = map[string]string{"Value": value}
	}
	for _, channel := range cloud.Channels {
		outputs[stacks.OutputName(stacks.OutputQueue, channel)] = map[string]string{"Value": w.env["SENTINEL_QUEUE_"+strings.ToUpper(channel)]}
		outputs[stacks.OutputName(stacks.OutputDeadLetters, channel)] = map[string]string{"Value": w.env["SENTINEL_DEAD_LETTERS_"+strings.ToUpper(channel)]}
	}
	body := must(json.Marshal(map[string]any{
		"Resources": map[string]any{"Any": map[string]any{"Type": "AWS::SQS::Queue"}}, "Outputs": outputs,
	}))
	formation := cloudformation.NewFromConfig(w.config)
	_, err := formation.CreateStack(w.Context(), &cloudformation.CreateStackInput{StackName: &w.stack, TemplateBody: aws.String(string(body))})
	require.NoError(w, err)
	require.NoError(w, cloudformation.NewStackCreateCompleteWaiter(formation).Wait(w.Context(), &cloudformation.DescribeStacksInput{StackName: &w.stack}, 30*time.Second))

	var archive bytes.Buffer
	out := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	file := must(out.CreateHeader(header))
	_, err = file.Write(must(os.ReadFile(filepath.Join(binaries, "query"))))
	require.NoError(w, err)
	require.NoError(w, out.Close())
	env := maps.Clone(w.env)
	delete(env, "AWS_REGION")
	_, err = lambda.NewFromConfig(w.config).CreateFunction(w.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String(w.stack + "-query"), Role: aws.String("arn:aws:iam::000000000000:role/x"), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: archive.Bytes()}, Environment: &types.Environment{Variables: env}, Timeout: aws.Int32(30),
	})
	require.NoError(w, err)
}

// cli runs the program as a person with AWS credentials does.
func (w *world) cli(dir, stdin string, args ...string) (code int, stdout, stderr string) {
	w.Helper()
	cmd := exec.Command(filepath.Join(binaries, "sqlsentinel"), args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), "HOME="+dir, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL="+w.env["AWS_ENDPOINT_URL"])
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		require.NoError(w, err)
	}
	return code, out.String(), errs.String()
}

// ok is cli, which must end with 0.
func (w *world) ok(dir string, args ...string) string {
	w.Helper()
	code, out, errs := w.cli(dir, "", args...)
	require.Zero(w, code, "%v\n%s%s", args, out, errs)
	return out
}

// apply applies the file while sync is at work.
func (w *world) apply(dir string, args ...string) (code int, stdout, stderr string) {
	w.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		code, stdout, stderr = w.cli(dir, "", append([]string{"apply", "--stack", w.stack}, args...)...)
	}()
	for {
		select {
		case <-done:
			return code, stdout, stderr
		case <-time.After(500 * time.Millisecond):
			w.invoke("sync", eventFile(w, "sync.json"))
		}
	}
}

func TestTheCommandLineOnAWS(t *testing.T) {
	w := newWorld(t)
	w.publish()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	state := "--state=dynamodb://" + w.stack

	write("revenue.sql", "SELECT 'ALERT' AS status, 7 AS actual_value")
	write("alerts.yaml", `
database: {url: "${SHOP_URL}"}
alerts:
  - {name: Revenue, query_file: revenue.sql, schedule: "0 9 * * MON-FRI", timezone: Europe/Paris, notify: [{channel: webhook, url: "${NEW_URL}"}]}
  - {name: Fine, query: "SELECT 'OK' AS status", schedule: "@hourly"}
`)
	code, _, errs := w.cli(dir, "", "apply", "--stack", w.stack)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "NEW_URL")
	require.Contains(t, errs, "secrets set")

	code, out, errs := w.cli(dir, w.web.url+"/hook\n", "secrets", "set", "NEW_URL", "--stack", w.stack)
	require.Zero(t, code, errs)
	require.Contains(t, out, "NEW_URL is stored for webhook;")
	require.NotContains(t, out+errs, w.web.url)

	out = w.ok(dir, "apply", "--stack", w.stack, "--dry-run")
	require.Contains(t, out, "add              2  Revenue, Fine")
	require.Empty(t, w.ticks(time.Now()), "a dry run changes nothing")
	code, out, errs = w.apply(dir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "in force: 2 alerts")
	require.Len(t, w.ticks(time.Now()), 2)

	require.Contains(t, w.ok(dir, "schema"), "properties")
	code, _, errs = w.cli(dir, "", "validate", "s3://"+w.env["SENTINEL_BUCKET"]+"/alerts.yaml")
	require.Equal(t, 2, code, "on this machine, the secrets of the stack are not known")
	require.Contains(t, errs, "SHOP_URL")

	require.Contains(t, w.ok(dir, "run", state, "--alert", "Revenue", "--dry-run"), "ALERT")
	require.Contains(t, w.ok(dir, "history", state, "--json"), `"runs": []`)
	out = w.ok(dir, "run", state)
	require.Contains(t, out, "1 ALERT, 1 OK")
	w.web.answer(http.StatusNotFound)
	w.deliver("webhook")
	require.Contains(t, w.ok(dir, "status", state), "1 dead")
	out = w.ok(dir, "deliveries", "list", state, "--status", "dead", "--json")
	var list struct {
		Deliveries []struct {
			ID string `json:"id"`
		} `json:"deliveries"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list), out)
	require.Len(t, list.Deliveries, 1)
	w.web.answer(http.StatusOK)
	w.web.take()
	require.Contains(t, w.ok(dir, "deliveries", "redrive", list.Deliveries[0].ID, state), "is due again")
	require.Empty(t, w.letters("webhook"), "its dead letter is gone")
	require.Equal(t, 1, w.deliver("webhook"))
	require.Len(t, w.web.take(), 1)
	require.Contains(t, w.ok(dir, "explain", state, "Revenue"), "alert_opened")
	require.Contains(t, w.ok(dir, "silence", state, "--alert", "Revenue", "--duration", "1h", "--reason", "import"), "is silenced until")
	require.Contains(t, w.ok(dir, "status", state, "--json"), `"reason": "import"`)
	require.Contains(t, w.ok(dir, "unsilence", state, "--alert", "Revenue"), "within a minute")

	write("alerts.yaml", `
database: {url: "${SHOP_URL}"}
alerts:
  - {name: Fine, query: "SELECT 'OK' AS status", schedule: "@daily"}
`)
	out = w.ok(dir, "apply", "--stack", w.stack, "--dry-run", "--json")
	var plan struct {
		Removed, Rescheduled, Closes []string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &plan))
	require.Equal(t, []string{"Revenue"}, plan.Removed)
	require.Equal(t, []string{"Revenue"}, plan.Closes)
	require.Equal(t, []string{"Fine"}, plan.Rescheduled)
	code, _, errs = w.apply(dir, "--yes")
	require.Zero(t, code, errs)
	require.Equal(t, 1, w.deliver("webhook"), "the closing is told")
	require.Contains(t, w.web.take()[0].body, "CLOSED")
}

func TestTheCommandLineSaysInOneLineWhatIsMissingOnAWS(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	code, _, errs := w.cli(dir, "", "status", "--state", "dynamodb://nobody")
	require.Equal(t, 1, code)
	require.Contains(t, errs, `find the stack "nobody": there is none in the region us-east-1`)
	require.Equal(t, 1, strings.Count(errs, "\n"), errs)
}
