package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// functionsOf are the functions of a template by their names, from those of the constructs.
func functionsOf(t *testing.T, context map[string]any) map[string]resource {
	t.Helper()
	out := map[string]resource{}
	for _, r := range templateOf(t, context).of("AWS::Lambda::Function") {
		name, found := strings.CutSuffix(r.name, "Function")
		if name = strings.TrimSuffix(name, "Image"); found {
			out[strings.ToLower(name)] = r
		}
	}
	return out
}

func TestFunctionsFromAnImageAreOtherFunctionsThatDoTheSame(t *testing.T) {
	zip, image := functionsOf(t, nil), functionsOf(t, map[string]any{"packaging": "image"})
	require.Len(t, image, len(functions))
	for _, name := range functions {
		of, by := image[name].properties, zip[name].properties
		require.NotEqual(t, zip[name].name, image[name].name, "a package type cannot be changed in place")
		require.Equal(t, "Image", of["PackageType"])
		require.NotContains(t, of, "Runtime")
		require.NotContains(t, of, "Handler")
		require.Equal(t, []any{name}, of["ImageConfig"].(map[string]any)["Command"])
		for _, same := range []string{"MemorySize", "Timeout", "Architectures"} {
			require.Equal(t, by[same], of[same], "%s of %s", same, name)
		}
		require.Equal(t, variablesOf(by), variablesOf(of))
	}
}

func variablesOf(properties map[string]any) []string {
	var out []string
	for name := range properties["Environment"].(map[string]any)["Variables"].(map[string]any) {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// TestTheTemplateOfSAMHasTheSameFunctions holds template-local.yaml and the stack together.
func TestTheTemplateOfSAMHasTheSameFunctions(t *testing.T) {
	type settings struct {
		Environment struct{ Variables map[string]string }
	}
	var local struct {
		Globals   struct{ Function settings }
		Resources map[string]struct {
			Metadata   map[string]string
			Properties struct {
				settings    `yaml:",inline"`
				Timeout     int
				ImageConfig struct{ Command []string }
			}
		}
	}
	data, err := os.ReadFile("../template-local.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal([]byte(strings.ToLower(string(data))), &local)) // as the decoder wants its keys
	deployed := functionsOf(t, nil)
	require.Len(t, local.Resources, len(deployed))
	for _, name := range functions {
		f := local.Resources[name+"function"]
		require.Equal(t, []string{name}, f.Properties.ImageConfig.Command)
		require.EqualValues(t, deployed[name].properties["Timeout"], f.Properties.Timeout, name)
		require.Equal(t, "lambda", f.Metadata["dockerbuildtarget"])
		declared := map[string]bool{}
		for _, variables := range []map[string]string{local.Globals.Function.Environment.Variables, f.Properties.Environment.Variables} {
			for variable := range variables {
				declared[variable] = true
			}
		}
		for _, variable := range variablesOf(deployed[name].properties) {
			require.True(t, declared[strings.ToLower(variable)], "%s of %s: SAM passes on what is declared only", variable, name)
		}
	}
}
