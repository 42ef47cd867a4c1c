// Command laptop is `make aws-local`: the whole stack on one machine, without an account,
// to play with. `up` starts an emulator of AWS that others wrote, a PostgreSQL with the
// sample shop and an inbox for the messages, deploys the very stack into the emulator,
// applies a sample and says what to type next. `down` ends it all and leaves nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	err := fmt.Errorf("say up or down")
	if len(os.Args) == 2 {
		ctx := context.Background()
		switch os.Args[1] {
		case "up":
			err = up(ctx)
		case "down":
			err = down()
		case "serve":
			err = serve(ctx)
		}
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
	inboxFile       = "inbox.log"   // the messages that arrived
	serveLog        = "serve.log"   // what serve said
	stack           = "sentinel"    // the stack's name
	sample          = "samples/shop-postgres.yaml"
	cdk             = "node_modules/.bin/cdk"
	sentinelProgram = "bin/sqlsentinel"
)
