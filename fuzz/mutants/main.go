package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	var c choice
	flag.StringVar(&c.only, "only", "", "run only the mutants of these `names`, separated by commas")
	flag.StringVar(&c.shard, "shard", "", "run only part `i/n` of them, i from 1")
	flag.StringVar(&c.rotate, "rotate", "", "run only a few, others each day; for this `date` (2006-01-02, or today)")
	flag.IntVar(&c.few, "few", 5, "how many a few are")
	list := flag.Bool("list", false, "list the mutants and run none")
	trusting := flag.Bool("trusting", false, "do not run the tests without a mutant first: somebody else did")
	flag.Parse()
	bad, err := run(c, *list, *trusting)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if bad > 0 {
		os.Exit(1)
	}
}

// run does what the flags say and tells how many mutants were not killed.
func run(c choice, list, trusting bool) (bad int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	mutants, err := load(filepath.Join(root, "fuzz", "mutants", "patches"))
	if err != nil {
		return 0, err
	}
	if mutants, err = c.of(mutants); err != nil {
		return 0, err
	}
	if list {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		for _, m := range mutants {
			fmt.Fprintf(w, "%s\t%s\n", m.name, m.breaks)
		}
		return 0, w.Flush()
	}
	w, err := newWorkspace(root)
	if err != nil {
		return 0, err
	}
	defer w.remove()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		w.remove()
		os.Exit(2)
	}()
	bad, err = tryAll(w, mutants, trusting)
	return bad, err
}

// tryAll tries one mutant after the other, with a line each, and then prints the
// table.
func tryAll(w *workspace, mutants []mutant, trusting bool) (bad int, err error) {
	begun := time.Now()
	var fates []fate
	for _, m := range mutants {
		if !trusting {
			for _, t := range m.tests {
				if err := w.prove(t); err != nil {
					return 0, err
				}
			}
		}
		f, err := w.try(m)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Printf("%-36s %6.1fs  %s\n", m.name, f.took.Seconds(), f.verdict())
		fates = append(fates, f)
	}
	killed := 0
	fmt.Printf("\n%d mutants in %.0fs\n\n", len(fates), time.Since(begun).Seconds())
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MUTANT\tSECONDS\tKILLED BY")
	for _, f := range fates {
		if f.killer != "" {
			killed++
		}
		fmt.Fprintf(table, "%s\t%.1f\t%s\n", f.name, f.took.Seconds(), f.verdict())
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	fmt.Printf("\n%d of %d killed\n", killed, len(fates))
	return len(fates) - killed, nil
}
