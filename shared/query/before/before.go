// Package before is initialised before the Snowflake driver, which makes a folder for
// credentials in the home folder as soon as a program with it starts. It imports nothing
// but os, and Go initialises packages in the order of their paths as soon as their imports
// are: so it comes before all that need the network. A test holds it.
package before

import "os"

// No credential is ever stored: an existing folder is named, and nothing is put into it.
var _ = setUnlessSet("SF_TEMPORARY_CREDENTIAL_CACHE_DIR", os.TempDir()) //nolint:gochecknoglobals // nothing else runs as early

func setUnlessSet(name, value string) error {
	if _, set := os.LookupEnv(name); set {
		return nil
	}
	return os.Setenv(name, value)
}
