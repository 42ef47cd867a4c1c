package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// Choices are what a deployment may decide, each a key of CDK's context: in cdk.json, or on
// the command line by `-c key=value`. docs/aws.md has a table of them.
type Choices struct {
	// Stack names the stack, its schedule group, the path of its secrets and the scope of
	// what it stores.
	Stack string
	// Architecture is that of the functions: arm64 or x86_64.
	Architecture string
	// Packaging is how the functions are deployed: zip, or image, which the command line of CDK
	// builds by Docker.
	Packaging string
	// Binaries is a folder with NAME/bootstrap for each function; empty: they are built.
	Binaries string
	// AlarmEmail is told of alarms by a topic of the stack's own; AlarmTopic is the ARN of
	// a topic that exists.
	AlarmEmail, AlarmTopic string
	// LogRetentionDays is how long CloudWatch keeps the functions' logs.
	LogRetentionDays int
	// Memory of the functions, in MB; it also decides their share of a processor.
	QueryMemory, SenderMemory, SyncMemory int
	// Timeouts of the functions, in seconds. A query or a target may take 10 s less.
	QueryTimeout, SenderTimeout int
	// QueryConcurrency is how many queries run at once at most; zero: as the account allows.
	QueryConcurrency int
	// VPC, with its subnets and the route tables of those; empty: no function is in one.
	VPC                  string
	Subnets, RouteTables []string
	QueryGroups          []string // security groups; a function without any stays outside
	SenderGroups         []string
	SyncGroups           []string
	CreateEndpoints      bool // of DynamoDB, S3, SQS and the like, in the VPC
	KMSKey               string
	PermissionsBoundary  string
	SESIdentity          string
	RemoveData           bool // with the stack: for trials
	Environment          map[string]string
}

// hexID is the end of the ids of EC2: eight digits in old accounts.
const hexID = `(?:[0-9a-f]{8}|[0-9a-f]{17})`

// createKey is the value of kmsKey that asks for a key of the stack's own.
const createKey = "create"

// defaults are the choices of who chooses nothing.
func defaults() Choices {
	return Choices{
		Stack: "sentinel", Architecture: cloud.DefaultArchitecture, Packaging: "zip", LogRetentionDays: cloud.DefaultLogDays,
		QueryMemory: cloud.DefaultMemory, SenderMemory: cloud.DefaultMemory, SyncMemory: cloud.DefaultMemory,
		QueryTimeout: cloud.DefaultQueryTimeout, SenderTimeout: cloud.DefaultSenderTimeout, Environment: map[string]string{},
	}
}

// A setter reads the value of a key into choices. The error says what would be right.
type setter func(c *Choices, value any) error

// keys are the keys of the context.
var keys = map[string]setter{
	"stack":                  matching(func(c *Choices) *string { return &c.Stack }, `[A-Za-z][A-Za-z0-9-]{0,59}`, "letters, digits and hyphens, a letter first, 60 characters at most"),
	"architecture":           oneOf(func(c *Choices) *string { return &c.Architecture }, "arm64", "x86_64"),
	"packaging":              oneOf(func(c *Choices) *string { return &c.Packaging }, "zip", "image"),
	"binaries":               matching(func(c *Choices) *string { return &c.Binaries }, `.+`, "a folder"),
	"alarmEmail":             matching(func(c *Choices) *string { return &c.AlarmEmail }, `[^@\s]+@[^@\s]+`, "an e-mail address"),
	"alarmTopic":             matching(func(c *Choices) *string { return &c.AlarmTopic }, `arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+`, "the ARN of an SNS topic"),
	"logRetentionDays":       oneNumber(func(c *Choices) *int { return &c.LogRetentionDays }, retentions),
	"queryMemory":            between(func(c *Choices) *int { return &c.QueryMemory }, 128, 10240, "MB"),
	"senderMemory":           between(func(c *Choices) *int { return &c.SenderMemory }, 128, 10240, "MB"),
	"syncMemory":             between(func(c *Choices) *int { return &c.SyncMemory }, 128, 10240, "MB"),
	"queryTimeout":           between(func(c *Choices) *int { return &c.QueryTimeout }, 40, 900, "seconds"),
	"senderTimeout":          between(func(c *Choices) *int { return &c.SenderTimeout }, 20, 900, "seconds"),
	"queryConcurrency":       between(func(c *Choices) *int { return &c.QueryConcurrency }, 1, 10000, "queries at once"),
	"vpcId":                  matching(func(c *Choices) *string { return &c.VPC }, `vpc-`+hexID, "the id of a VPC, vpc-…"),
	"subnetIds":              list(func(c *Choices) *[]string { return &c.Subnets }, `subnet-`+hexID),
	"routeTableIds":          list(func(c *Choices) *[]string { return &c.RouteTables }, `rtb-`+hexID),
	"querySecurityGroupIds":  list(func(c *Choices) *[]string { return &c.QueryGroups }, `sg-`+hexID),
	"senderSecurityGroupIds": list(func(c *Choices) *[]string { return &c.SenderGroups }, `sg-`+hexID),
	"syncSecurityGroupIds":   list(func(c *Choices) *[]string { return &c.SyncGroups }, `sg-`+hexID),
	"vpcEndpoints":           either(func(c *Choices) *bool { return &c.CreateEndpoints }, "create", "given"),
	"kmsKey":                 matching(func(c *Choices) *string { return &c.KMSKey }, createKey+`|arn:[\w-]+:kms:[\w-]+:\d{12}:key/[\w-]+`, "`create`, or the ARN of a key"),
	"permissionsBoundary":    matching(func(c *Choices) *string { return &c.PermissionsBoundary }, `arn:[\w-]+:iam::(\d{12}|aws):policy/.+`, "the ARN of a managed policy"),
	"sesIdentity":            matching(func(c *Choices) *string { return &c.SESIdentity }, `[^\s/*]+`, "a domain or an address that SES has verified"),
	"removal":                either(func(c *Choices) *bool { return &c.RemoveData }, "destroy", "retain"),
	"environment":            environment,
}

// retentions are those that CloudWatch Logs knows.
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// ReadChoices reads a context. The error is one line that says everything that is wrong.
func ReadChoices(context map[string]any) (Choices, error) {
	c := defaults()
	var wrong []string
	for _, key := range slices.Sorted(maps.Keys(context)) {
		set, known := keys[key]
		switch {
		case known:
			if err := set(&c, context[key]); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", key, err))
			}
		case !strings.Contains(key, ":"): // CDK's own have one
			wrong = append(wrong, fmt.Sprintf("%s: there is no such key of the context; %s", key, meant(key)))
		}
	}
	if len(wrong) == 0 {
		wrong = c.contradictions()
	}
	if len(wrong) > 0 {
		return c, errors.New(strings.Join(wrong, "; "))
	}
	return c, nil
}

// meant is the advice for a key that does not exist.
func meant(key string) string {
	best, distance := "", 4
	for _, known := range slices.Sorted(maps.Keys(keys)) {
		if d := levenshtein.ComputeDistance(strings.ToLower(key), strings.ToLower(known)); d < distance {
			best, distance = known, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "docs/aws.md lists them"
}

// contradictions are what is wrong with choices that are right one by one.
func (c Choices) contradictions() []string {
	var out []string
	if name := strings.ToLower(c.Stack); strings.HasPrefix(name, "aws") || strings.HasPrefix(name, "ssm") {
		out = append(out, "stack: Parameter Store refuses paths that begin with aws or ssm; choose another name")
	}
	if c.AlarmEmail != "" && c.AlarmTopic != "" {
		out = append(out, "alarmEmail and alarmTopic: give one; subscribe the address to your topic")
	}
	grouped := len(c.QueryGroups)+len(c.SenderGroups)+len(c.SyncGroups) > 0
	switch {
	case c.VPC != "" && len(c.Subnets) == 0:
		out = append(out, "vpcId: the functions need subnets in it; add -c subnetIds=subnet-…,subnet-…")
	case c.VPC != "" && !grouped:
		out = append(out, "vpcId: no function is in it; add -c querySecurityGroupIds=sg-…, or those of senders or sync")
	case c.VPC == "" && (grouped || len(c.Subnets)+len(c.RouteTables) > 0 || c.CreateEndpoints):
		out = append(out, "subnets, security groups, route tables and endpoints belong to a VPC; add -c vpcId=vpc-…")
	case c.CreateEndpoints && len(c.RouteTables) == 0:
		out = append(out, "vpcEndpoints: those of DynamoDB and S3 stand in route tables; add -c routeTableIds=rtb-…")
	}
	if err := c.waits(); err != nil {
		out = append(out, err.Error())
	}
	return out
}

// waits holds the rule on which it rests that no message is sent twice: a target has less
// time than its function, a claim outlives the function, and a message is invisible for
// longer than a claim. SQS keeps nothing invisible for more than 12 hours.
func (c Choices) waits() error {
	target, lease, visibility := c.SenderTimeout-10, c.SenderTimeout-10+c.leaseMargin(), c.visibility()
	if target >= c.SenderTimeout || c.SenderTimeout > lease || lease >= visibility || visibility > 12*60*60 {
		return fmt.Errorf("senderTimeout: the rule target %d s < function %d s ≤ lease %d s < visibility %d s ≤ 12 h does not hold", target, c.SenderTimeout, lease, visibility)
	}
	return nil
}

// leaseMargin is how much longer than the target's timeout a claim lasts, in seconds: as
// long as the function may run.
func (c Choices) leaseMargin() int { return c.SenderTimeout }

// visibility is how long SQS hides a message that a sender has, in seconds: six times the
// function's timeout, as AWS recommends.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
func (c Choices) visibility() int { return 6 * c.SenderTimeout }

func matching(field func(*Choices) *string, pattern, want string) setter {
	whole := regexp.MustCompile(`^(` + pattern + `)$`)
	return func(c *Choices, value any) error {
		text, ok := value.(string)
		if !ok || !whole.MatchString(text) {
			return fmt.Errorf("%v is not right; it is %s", value, want)
		}
		*field(c) = text
		return nil
	}
}

func oneOf(field func(*Choices) *string, allowed ...string) setter {
	return func(c *Choices, value any) error {
		text, _ := value.(string)
		if !slices.Contains(allowed, text) {
			return fmt.Errorf("%v is not right; it is one of %s", value, strings.Join(allowed, ", "))
		}
		*field(c) = text
		return nil
	}
}

func either(field func(*Choices) *bool, on, off string) setter {
	return func(c *Choices, value any) error {
		if value != on && value != off {
			return fmt.Errorf("%v is not right; it is %s or %s", value, on, off)
		}
		*field(c) = value == on
		return nil
	}
}

// number reads what the command line gives as text and a file as a number.
func number(value any) (int, bool) {
	n, err := strconv.Atoi(fmt.Sprint(value))
	return n, err == nil
}

func between(field func(*Choices) *int, low, high int, unit string) setter {
	return func(c *Choices, value any) error {
		n, ok := number(value)
		if !ok || n < low || n > high {
			return fmt.Errorf("%v is not right; it is %d to %d %s", value, low, high, unit)
		}
		*field(c) = n
		return nil
	}
}

func oneNumber(field func(*Choices) *int, allowed []int) setter {
	return func(c *Choices, value any) error {
		n, ok := number(value)
		if !ok || !slices.Contains(allowed, n) {
			return fmt.Errorf("%v is not right; it is one of %s", value, strings.Trim(fmt.Sprint(allowed), "[]"))
		}
		*field(c) = n
		return nil
	}
}

func list(field func(*Choices) *[]string, pattern string) setter {
	whole := regexp.MustCompile(`^` + pattern + `$`)
	return func(c *Choices, value any) error {
		var out []string
		switch v := value.(type) {
		case string:
			out = strings.Split(v, ",")
		case []any:
			for _, one := range v {
				out = append(out, fmt.Sprint(one))
			}
		}
		for i, one := range out {
			if out[i] = strings.TrimSpace(one); !whole.MatchString(out[i]) {
				return fmt.Errorf("%q is not right; it is a list, with commas, of ids like %s", one, strings.SplitN(pattern, "(", 2)[0]+"…")
			}
		}
		if len(out) == 0 {
			return errors.New("the list is empty")
		}
		*field(c) = out
		return nil
	}
}

// environment reads an object of names and values, which stands as text on the command line.
func environment(c *Choices, value any) error {
	if text, ok := value.(string); ok {
		value = nil
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return errors.New(`it is an object, such as {"EGRESS_ALLOW": "10.0.0.0/8"}`)
		}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return errors.New(`it is an object, such as {"EGRESS_ALLOW": "10.0.0.0/8"}`)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text, ok := object[name].(string)
		switch {
		case !ok:
			return fmt.Errorf("the value of %s is no text", name)
		case !variable.MatchString(name):
			return fmt.Errorf("%q is no name of a variable", name)
		case strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "LAMBDA_") || strings.HasPrefix(name, "SENTINEL_"):
			return fmt.Errorf("%s is set by AWS or by the stack", name)
		}
		c.Environment[name] = text
	}
	return nil
}

var variable = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
