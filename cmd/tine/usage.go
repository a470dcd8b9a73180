package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group makes cmd a command that only holds others: alone it prints its help, a
// word it does not know is a usage error with a suggestion.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := "unknown command " + quote(args[0]) + " for " + quote(cmd.CommandPath())
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			return usagef("%s; did you mean %s?", text, strings.Join(s, " or "))
		}
		return usagef("%s; '%s --help' lists what there is", text, cmd.CommandPath())
	}
}

// takes checks the number of arguments; most < 0 means any number.
func takes(what string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		return usagef("%s takes %s, but got %d; usage: %s", cmd.CommandPath(), what, len(args), cmd.UseLine())
	}
}

// exclusive makes it a usage error to set both flags.
func exclusive(cmd *cobra.Command, one, other string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
			return usagef("--%s and --%s: choose one", one, other)
		}
		return nil
	}
}

// flagError adds the nearest known flag to an error about an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	unknown, found := strings.CutPrefix(text, "unknown flag: --")
	if found {
		best, bestDistance := "", 4
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if d := distance(unknown, f.Name); d < bestDistance && !f.Hidden {
				best, bestDistance = f.Name, d
			}
		})
		if best != "" {
			return usagef("%s; did you mean --%s?", text, best)
		}
	}
	return usagef("%s; '%s --help' lists the flags", text, cmd.CommandPath())
}

// distance counts the insertions, deletions and changes of one byte that make b
// out of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
