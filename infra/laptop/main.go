// Command laptop is `make aws-local`: the whole stack on one machine, without an account,
// to play with. `up` starts an emulator of AWS that others wrote, a PostgreSQL with the
// sample shop and an inbox for the messages, deploys the very stack into the emulator,
// applies a sample and says what to type next. `down` ends it all and leaves nothing.
// `invoke` is `make local-invoke`: it calls a function that runs from the container image.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	err := fmt.Errorf("say up, down, or invoke FUNCTION EVENT")
	ctx := context.Background()
	switch args := os.Args[1:]; {
	case len(args) == 1 && args[0] == "up":
		err = up(ctx)
	case len(args) == 1 && args[0] == "down":
		err = down()
	case len(args) == 1 && args[0] == "serve":
		err = serve(ctx)
	case len(args) == 3 && args[0] == "invoke":
		err = invoke(ctx, args[1], args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "aws-local:", err)
		os.Exit(1)
	}
}

// The folder of what runs, in the repository's root.
const home = ".tools/aws-local"

func in(name string) string { return filepath.Join(home, name) }

const (
	pidFile         = "pid"         // of serve
	readyFile       = "environment" // shell lines; it is there once all runs
	containersFile  = "containers"  // the same and the functions' variables, for docker-compose.yaml
	inboxFile       = "inbox.log"   // the messages that arrived
	serveLog        = "serve.log"   // what serve said
	stack           = "sentinel"    // the stack's name
	sample          = "samples/shop-postgres.yaml"
	cdk             = "node_modules/.bin/cdk"
	sentinelProgram = "bin/sqlsentinel"
)
