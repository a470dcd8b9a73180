package main

import (
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

// table writes what came of it: a line for each trial, and how often each state
// was met. A state that a trial is there for and never met is marked.
func (s *soak) table() {
	fmt.Fprintf(s.out, "\nseed %d, %v\n\n", s.seed, time.Since(s.began).Round(time.Second))
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "trial\truns\tfailures\ttime\t")
	for _, t := range s.trials {
		hangs := ""
		if t.hangs {
			hangs = " hangs"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\t%s\n", t.Name, t.runs, t.failed, t.took.Round(time.Second), hangs)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t\t\n", s.runs(), s.failures())
	w.Flush()
	for _, t := range s.trials {
		fmt.Fprintf(s.out, "\n%s met:\n%s\n", t.Name, t.counts)
		var never []string
		for state := range t.Sometimes {
			if t.runs > 0 && t.counts.Get(state) == 0 {
				never = append(never, state)
			}
		}
		if sort.Strings(never); len(never) > 0 {
			fmt.Fprintf(s.out, "    NEVER: %s\n", strings.Join(never, ", "))
		}
	}
}
