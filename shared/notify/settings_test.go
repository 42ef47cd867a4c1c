package notify_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEverySettingHasANameAndADescription(t *testing.T) {
	var names []string
	for _, c := range senders(t, nil).Channels() {
		names = append(names, c.Name())
		kind := reflect.TypeOf(c.Settings()).Elem()
		seen := map[string]bool{}
		for i := range kind.NumField() {
			f := kind.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			require.NotEmpty(t, f.Tag.Get("doc"), f.Name)
			for _, each := range append(strings.Split(f.Tag.Get("alias"), ","), name) {
				require.False(t, seen[each] && each != "", each)
				seen[each] = true
			}
			require.NotEmpty(t, name)
			require.Equal(t, name == "payload", f.Tag.Get("file") == "json", name)
		}
	}
	require.Equal(t, []string{"email", "slack", "webhook"}, names)
}
