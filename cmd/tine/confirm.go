package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// destructive gives cmd the flags of a verb that throws something away.
func (a *app) destructive(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.yes, "yes", false, "do it without asking")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only say what would be done")
}

// confirm says what is about to be done and tells whether to do it. Without --yes
// it asks on a terminal, and refuses where there is nobody to ask.
func (a *app) confirm(what []string) (bool, error) {
	if a.dryRun {
		if a.json {
			return false, a.printJSON(map[string]any{"dry_run": true, "would": what})
		}
		for _, line := range what {
			if err := a.printf("would %s\n", line); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	if a.yes {
		return true, a.announce(what)
	}
	if !isTerminal(a.in) || a.json {
		return false, usagef("this would %s; nothing was done: add --yes to do it, or --dry-run to see it", strings.Join(what, ", "))
	}
	if err := a.announce(what); err != nil {
		return false, err
	}
	fmt.Fprint(a.errOut, "Do it? [y/N] ")
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && answer == "" {
		return false, usagef("no answer; nothing was done")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, usagef("nothing was done")
}

// announce says on the error output what will be done, so that the output stays
// free for results.
func (a *app) announce(what []string) error {
	if a.json {
		return nil
	}
	for _, line := range what {
		if _, err := fmt.Fprintf(a.errOut, "will %s\n", line); err != nil {
			return err
		}
	}
	return nil
}
