package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/tinedb/tine/fuzz"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process: it gives the exit code.
func run(args []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(complaints)
	last := flags.Duration("for", time.Hour, "begin no run after this time")
	rounds := flags.Int("rounds", 0, "run each trial so many times instead")
	seed := flags.Uint64("seed", 0, "the seed that all others follow from; 0: draw it")
	exact := flags.String("exact", "", "run the trials once, with this very seed")
	only := flags.String("only", "", "names of trials, with commas between; default: all")
	dir := flags.String("out", "", "where failures are saved; default: a new temporary directory")
	stuck := flags.Duration("stuck", 20*time.Minute, "give up a run that takes longer")
	list := flags.Bool("list", false, "tell the names of the trials and run none")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	chosen, err := choose(trials(), *only)
	if err == nil && *list {
		for _, t := range chosen {
			fmt.Fprintln(out, t.Name)
		}
		return 0
	}
	if err == nil {
		*dir, err = outDir(*dir)
	}
	for *seed == 0 {
		*seed = rand.Uint64()
	}
	s := &soak{out: out, dir: *dir, seed: *seed, rounds: *rounds, stuck: *stuck, began: time.Now()}
	if *exact != "" {
		s.rounds = 1
		s.exact = new(uint64)
		if err == nil {
			_, err = fmt.Sscan(*exact, s.exact)
		}
	}
	if err != nil {
		fmt.Fprintln(complaints, "soak:", err)
		return 2
	}
	if s.rounds == 0 {
		s.end = s.began.Add(*last)
	}
	for _, t := range chosen {
		s.trials = append(s.trials, &soaked{Trial: t, counts: fuzz.NewCounts()})
	}
	debug.SetGCPercent(400) // the stores are tiny: else much of the time goes there
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	s.run(ctx)
	if s.failures() > 0 {
		return 1
	}
	return 0
}

// choose gives the trials with these names, or all.
func choose(all []fuzz.Trial, names string) ([]fuzz.Trial, error) {
	if names == "" {
		return all, nil
	}
	var chosen []fuzz.Trial
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, t := range all {
			if t.Name == name {
				chosen, found = append(chosen, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no trial %q", name)
		}
	}
	return chosen, nil
}

func outDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "tine-soak-*")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}
