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
	s.eventually(90*time.Second, "a schedule fires by itself and its message arrives", func() bool { return len(s.web.at("/hook")) == 1 })

	s.without("QueryRole", "dynamodb:PutItem", func() {
		_, err := s.command(s.out, program, "run", "--alert", "By hand", "--state", "dynamodb://"+stackName)
		require.ErrorContains(s, err, "AccessDenied")
	})
	s.without("SyncRole", "scheduler:CreateSchedule", func() {
		configs := control.NewConfigs(s.config, s.outputs()["Bucket"])
		_, err := configs.Write(t.Context(), []byte(grantsConfig+strings.Replace(grantsConfig[strings.LastIndex(grantsConfig, "  - name"):], "By hand", "Another", 1)), false)
		require.NoError(t, err)
		require.Contains(t, s.sync(t.Context()), "not authorized to perform: scheduler:CreateSchedule")
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
