package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
)

// config is what a suite is told.
type config struct {
	quick  bool
	rounds int

	roundsGiven bool         // rounds are the caller's choice
	dir         string       // a fresh directory for its stores
	peers       []contestant // beside our store and Pebble, in the suites of plain work
}

// field is who meets in the suites of plain work.
func (c config) field() []contestant { return slices.Concat(contestants, c.peers) }

// progress says on standard error where a long run is.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "# "+format+"\n", args...)
}

// suites by name, in the order that "all" runs them.
var suites = []struct {
	name string
	run  func(config, *figures) error
}{
	{"fork", forkSuite},
	{"depth", depthSuite},
	{"delete", deleteSuite},
	{"space", spaceSuite},
	{"scale", scaleSuite},
	{"write", writeSuite},
	{"read", readSuite},
	{"scan", scanSuite},
	{"ycsb", ycsbSuite},
	{"recover", recoverSuite},
	{"tail", tailSuite},
	{"node", nodeSuite},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) == 0 {
		return fmt.Errorf("usage: go run . SUITE [-quick] [-rounds N] [-json FILE] [-dir DIR] [-peers LIST] [-cpuprofile FILE] [-mutexprofile FILE], or go run . report -in FILE [-in FILE ...] [-out FILE]; suites: %v", suiteNames())
	}
	if args[0] == "report" {
		return runReport(args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "end within a minute, on smaller data of the same shape")
	rounds := flags.Int("rounds", 0, "interleaved rounds; figures are medians over them (default 5, and 3 with -quick)")
	jsonFile := flags.String("json", "", "also write the figures to this file")
	cpu := flags.String("cpuprofile", "", "write a CPU profile of the run to this file")
	mutex := flags.String("mutexprofile", "", "write a profile of contended locks to this file")
	more := flags.String("peers", "", "other stores to measure in the suites of plain work, too: badger,bbolt")
	dir := flags.String("dir", "", "directory for the stores (default: a temporary one)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	peers, err := othersNamed(*more)
	if err != nil {
		return err
	}
	given := *rounds > 0
	switch {
	case *rounds < 0:
		return fmt.Errorf("-rounds must be at least 1")
	case *rounds == 0 && *quick:
		*rounds = 3
	case *rounds == 0:
		*rounds = 5
	}
	base, err := os.MkdirTemp(*dir, "tine-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)

	stop, err := startProfiles(*cpu, *mutex)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	out := &figures{}
	out.note("run/"+args[0], fmt.Sprintf("%s, %s %s/%s, %d cores, rounds %d, quick %v",
		args[0], runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *rounds, *quick))
	known := false
	for _, s := range suites {
		if args[0] != s.name && args[0] != "all" {
			continue
		}
		known = true
		cfg := config{quick: *quick, rounds: *rounds, roundsGiven: given, dir: base, peers: peers}
		if err := s.run(cfg, out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if !known {
		return fmt.Errorf("unknown suite %q; there are %v", args[0], suiteNames())
	}
	out.print(os.Stdout)
	if *jsonFile != "" {
		return out.writeJSON(*jsonFile)
	}
	return nil
}

func suiteNames() []string {
	names := []string{"all"}
	for _, s := range suites {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}
