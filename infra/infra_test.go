package main

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/require"
)

// The JavaScript of the constructs ends with this process. jsii.Close would also remove what
// it unpacked, a megabyte; but it races with its own goroutine that waits for Node.
func TestMain(m *testing.M) {
	_ = os.Unsetenv("CDK_DEFAULT_ACCOUNT") // the templates here are of no account
	_ = os.Unsetenv("CDK_DEFAULT_REGION")
	os.Exit(m.Run())
}

func noNode() bool {
	_, err := exec.LookPath("node")
	return err != nil
}

// synthesized is the app with the stack of these choices. CDK's constructs are JavaScript:
// without Node nothing of the template can be tested.
func synthesized(t *testing.T, context map[string]any) (awscdk.App, *stack) {
	t.Helper()
	if noNode() {
		require.NotEqual(t, "true", os.Getenv("CI"), "there is no Node")
		t.Skip("SKIPPED, NOT TESTED: the template: there is no Node")
	}
	choices, err := ReadChoices(context)
	require.NoError(t, err)
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	return app, newStack(app, choices, bootstraps(t, choices.Architecture))
}

// bootstraps is a folder with a file for each function that looks like a program.
func bootstraps(t *testing.T, architecture string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range functions {
		program(t, filepath.Join(dir, name, "bootstrap"), machines[architecture].elf)
	}
	return dir
}

// program writes the head of a program of Linux for a machine.
func program(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	head := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(head.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)})
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, binary.Write(f, binary.LittleEndian, head))
	require.NoError(t, f.Close())
}

// A template is what CloudFormation gets.
type template map[string]any

// templates are kept: a synthesis takes seconds.
var templates = map[string]template{}

// templateOf synthesizes the stack of these choices.
func templateOf(t *testing.T, context map[string]any) template {
	t.Helper()
	key := fmt.Sprint(context)
	if templates[key] == nil {
		_, s := synthesized(t, context)
		templates[key] = *assertions.Template_FromStack(s.root, nil).ToJSON()
	}
	return templates[key]
}

// A resource is one of the template, as plain text: references are the names of the
// constructs they lead to.
type resource struct {
	name       string
	kind       string
	body       map[string]any // Type, Properties, DeletionPolicy, …
	properties map[string]any
}

// of returns the resources of a type by name.
func (tp template) of(kind string) map[string]resource {
	out := map[string]resource{}
	for id, value := range tp["Resources"].(map[string]any) {
		body := plain(value).(map[string]any)
		if body["Type"] == kind {
			properties, _ := body["Properties"].(map[string]any)
			out[construct(id)] = resource{construct(id), kind, body, properties}
		}
	}
	return out
}

// one returns the only resource of a type.
func (tp template) one(t *testing.T, kind string) resource {
	t.Helper()
	all := tp.of(kind)
	require.Len(t, all, 1, kind)
	for _, r := range all {
		return r
	}
	return resource{}
}

// construct is a logical id without the hash that CDK adds.
func construct(id string) string { return hashed.ReplaceAllString(id, "") }

var hashed = regexp.MustCompile(`[0-9A-F]{8}$`)

// plain replaces references by names: what GetAtt and Ref lead to, and the text of joins.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			for function, arguments := range v {
				if text, ok := reference(function, arguments); ok {
					return text
				}
			}
		}
		out := map[string]any{}
		for key, one := range v {
			out[key] = plain(one)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = plain(one)
		}
		return out
	default:
		return value
	}
}

func reference(function string, arguments any) (string, bool) {
	switch function {
	case "Ref":
		name := arguments.(string)
		return construct(strings.TrimPrefix(name, "AWS::")), true
	case "Fn::GetAtt":
		list := arguments.([]any)
		return construct(list[0].(string)), true
	case "Fn::Join":
		list := arguments.([]any)
		var texts []string
		for _, one := range list[1].([]any) {
			texts = append(texts, fmt.Sprint(plain(one)))
		}
		return strings.Join(texts, list[0].(string)), true
	}
	return "", false
}

// at follows a path of keys and, for lists, the first element.
func (r resource) at(path ...string) any {
	var here any = r.properties
	for _, key := range path {
		if list, ok := here.([]any); ok && len(list) > 0 {
			here = list[0]
		}
		object, _ := here.(map[string]any)
		here = object[key]
	}
	return here
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}
