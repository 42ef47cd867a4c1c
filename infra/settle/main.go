// Command settle stands before and after a deployment. Before, with -check, it says in one
// line what is missing to deploy at all. After, it waits until the schedules of the stack
// call the functions that were just deployed, and says what a person still has to do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud/stacks"
)

func main() {
	name := flag.String("stack", "sentinel", "the stack's name")
	limit := flag.Duration("timeout", 5*time.Minute, "how long to wait")
	check := flag.Bool("check", false, "only look whether a deployment can begin")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	do := func() error { return settle(ctx, *name) }
	if *check {
		do = func() error { return stacks.Prepared(ctx) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "settle:", err)
		cancel()
		os.Exit(1)
	}
}

func settle(ctx context.Context, name string) error {
	stack, err := stacks.Open(ctx, name)
	if err != nil {
		return err
	}
	configured, err := stack.Settle(ctx)
	if err != nil {
		return err
	}
	address, err := stack.Unconfirmed(ctx)
	if err != nil {
		return err
	}
	if address != "" {
		fmt.Printf("NOBODY HEARS ALARMS YET: %s has to confirm the subscription that AWS asks about by e-mail\n", address)
	}
	if configured {
		fmt.Printf("%s stands, and its schedules call the functions that stand now\n", name)
		return nil
	}
	fmt.Printf("%s stands, and has no alerts yet: sqlsentinel apply --stack %s\n", name, name)
	return nil
}
