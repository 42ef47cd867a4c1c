package deployed_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud/control"
)

const grantsConfig = `
name: shop
database: {url: "${SHOP_URL}"}
channels:
  mail: {channel: email, recipients: [team@example.com]}
  hook: {channel: webhook, url: "${HOOK_URL}/hook"}
alerts:
  - name: "Revenue"
    query: "SELECT 'ALERT' AS status"
    schedule: "* * * * *"
    notify: [hook]
  - name: "By hand"
    query: "SELECT 'ALERT' AS status"
    schedule: "0 0 1 1 *"
    notify: [mail]
`

func TestTheGrantsAreEnoughAndEachIsNeeded(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	s.deploy()
	s.secrets()
	s.apply(grantsConfig)
	s.eventually(240*time.Second, "a schedule fires by itself and its message arrives", func() bool { return len(s.web.at("/hook")) == 1 })

	s.people()

	s.without("QueryRole", "dynamodb:PutItem", func() {
		_, err := s.command(s.out, program, "run", "--alert", "By hand", "--state", "dynamodb://"+stackName)
		require.ErrorContains(s, err, "AccessDenied")
	})
	s.without("SyncRole", "scheduler:CreateSchedule", func() {
		configs := control.NewConfigs(s.config, s.outputs()["Bucket"])
		_, err := configs.Write(t.Context(), []byte(grantsConfig+strings.Replace(grantsConfig[strings.LastIndex(grantsConfig, "  - name"):], "By hand", "Another", 1)), false)
		require.NoError(t, err)
		s.eventually(60*time.Second, "sync says what it may not do, when no other is under way", func() bool {
			return strings.Contains(s.sync(t.Context()), "not authorized to perform: scheduler:CreateSchedule")
		})
	})
	s.apply(grantsConfig)
	s.without("EmailRole", "ssm:GetParametersByPath", func() {
		s.sentinel("run", "--alert", "By hand", "--state", "dynamodb://"+stackName)
		s.eventually(60*time.Second, "the delivery waits, and says what is missing", func() bool {
			listed := ask[deliveries](s, "deliveries", "list", "--alert", "By hand").Deliveries
			return len(listed) == 1 && listed[0].Status == "pending" && strings.Contains(listed[0].LastError, "AccessDenied")
		})
	})
	_, err := s.mail.Wait(t.Context(), 1)
	require.NoError(t, err, "it is sent when the grant is back")
}

// people use the command line with no more rights than docs/aws.md says that they need.
func (s *site) people() {
	s.Helper()
	state := "dynamodb://" + stackName
	reads := []string{"cloudformation:DescribeStacks", "dynamodb:BatchGetItem", "dynamodb:Query"}
	writes := append([]string{"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"}, reads...)
	s.as("analyst", append([]string{"s3:GetObject", "s3:PutObject", "s3:ListBucket", "ssm:DescribeParameters"}, reads...), func() { s.apply(grantsConfig) })
	s.as("keeper", []string{"cloudformation:DescribeStacks", "ssm:PutParameter"}, func() { s.secret("webhook", "HOOK_URL", s.web.url) })
	s.as("reader", reads, func() {
		s.sentinel("status", "--state", state)
		s.sentinel("history", "--state", state)
		s.sentinel("explain", "Revenue", "--state", state)
		s.sentinel("deliveries", "list", "--state", state)
	})
	s.as("oncall", writes, func() {
		s.sentinel("silence", "--alert", "By hand", "--duration", "1h", "--reason", "x", "--state", state)
		s.sentinel("unsilence", "--alert", "By hand", "--state", state)
	})
	s.as("runner", append([]string{"lambda:InvokeFunction"}, reads...), func() { s.sentinel("run", "--alert", "Revenue", "--state", state) })
	s.as("nobody", []string{"cloudformation:DescribeStacks"}, func() {
		_, err := s.command(s.out, program, "status", "--state", state)
		require.ErrorContains(s, err, "AccessDenied")
	})
}

// as does something with the rights of a person who may do this much.
func (s *site) as(name string, actions []string, do func()) {
	s.Helper()
	client := iam.NewFromConfig(s.config)
	_, err := client.CreateUser(s.Context(), &iam.CreateUserInput{UserName: &name})
	require.NoError(s, err)
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
	require.NoError(s, err)
	_, err = client.PutUserPolicy(s.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("allowed"), PolicyDocument: aws.String(string(policy))})
	require.NoError(s, err)
	made, err := client.CreateAccessKey(s.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	require.NoError(s, err)
	s.person = []string{"AWS_ACCESS_KEY_ID=" + *made.AccessKey.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *made.AccessKey.SecretAccessKey}
	do()
	s.person = nil
}

// without takes one action out of a role's policy while something is done.
func (s *site) without(role, action string, do func()) {
	s.Helper()
	client := iam.NewFromConfig(s.config)
	roles, err := client.ListRoles(s.Context(), &iam.ListRolesInput{MaxItems: aws.Int32(1000)})
	require.NoError(s, err)
	i := slices.IndexFunc(roles.Roles, func(r types.Role) bool { return strings.Contains(*r.RoleName, role) })
	require.GreaterOrEqual(s, i, 0, "there is a role %s", role)
	name := roles.Roles[i].RoleName
	policy, err := client.GetRolePolicy(s.Context(), &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("allowed")})
	require.NoError(s, err)
	document, err := url.QueryUnescape(*policy.PolicyDocument)
	require.NoError(s, err)
	require.Contains(s, document, `"`+action+`"`)
	less := strings.ReplaceAll(document, `"`+action+`"`, `"sts:GetCallerIdentity"`)
	require.True(s, json.Valid([]byte(less)))
	put := func(text string) {
		s.Helper()
		_, err := client.PutRolePolicy(s.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("allowed"), PolicyDocument: &text})
		require.NoError(s, err)
	}
	put(less)
	do()
	put(document)
}
