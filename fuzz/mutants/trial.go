package main

import (
	"fmt"
	"strings"
	"time"
)

// fate is what became of a mutant.
type fate struct {
	name   string
	breaks string
	killer string // what noticed it, empty if nothing did
	took   time.Duration

	stale     string // why the patch is of no use any more
	undecided string // why nothing was found out
}

func (f fate) verdict() string {
	switch {
	case f.stale != "":
		return "STALE: " + f.stale
	case f.undecided != "":
		return "UNDECIDED: " + f.undecided
	case f.killer == "":
		return "SURVIVED: " + f.breaks
	}
	return f.killer
}

// A test that passes unmutated within some time hangs if it takes hangFactor times
// that and hangSlack more. Where that time is not known it is unknownLimit.
const (
	hangFactor   = 5
	hangSlack    = 60 * time.Second
	unknownLimit = 6 * time.Minute
	soundLimit   = 10 * time.Minute
)

// prove makes sure, once for each test, that it passes without a mutant.
func (w *workspace) prove(t test) error {
	if _, done := w.sound[t]; done {
		return nil
	}
	begun := time.Now()
	end, out := w.run(t, soundLimit)
	if end.kind != passed {
		return fmt.Errorf("%s does not pass without any mutant: %s\n%s", t, end, lastLines(out, 40))
	}
	w.sound[t] = time.Since(begun)
	return nil
}

// try applies the mutant, runs its tests and takes it back. After an error the
// copy cannot be used any more.
func (w *workspace) try(m mutant) (f fate, err error) {
	f = fate{name: m.name, breaks: m.breaks}
	restore, err := w.mutate(m)
	defer func() {
		if failed := restore(); err == nil {
			err = failed
		}
	}()
	if err != nil {
		f.stale = fmt.Sprintf("%s: %v", m.file, err)
		return f, nil
	}
	if out, err := w.command("go", "build", "./..."); err != nil {
		f.stale = "does not compile: " + lastLines(out, 3)
		return f, nil
	}
	begun := time.Now()
	for _, t := range m.tests {
		limit := unknownLimit
		if usual, ok := w.sound[t]; ok {
			limit = hangFactor*usual + hangSlack
		}
		end, out := w.run(t, limit)
		f.took = time.Since(begun)
		switch end.kind {
		case failed, hung:
			f.killer = fmt.Sprintf("%s %s", t.pkg, end)
			return f, nil
		case broken:
			f.undecided = fmt.Sprintf("%s: %s\n%s", t, end, lastLines(out, 40))
			return f, nil
		}
	}
	return f, nil
}

// ending is how a run of go test ended.
type ending struct {
	kind endKind
	what string // the test that failed, or a word on it
}

type endKind int

const (
	passed endKind = iota
	failed         // a test failed, or the program under test panicked
	hung           // until the time was over
	broken         // nothing was found out: it does not build, names no test, or was killed
)

func (e ending) String() string {
	if e.kind == hung {
		return e.what + " (hangs: killed by the timeout)"
	}
	return e.what
}

func (w *workspace) run(t test, limit time.Duration) (ending, string) {
	out, err := w.command("go", "test", t.pkg, "-v", "-run", t.pattern, "-failfast", "-timeout", limit.String())
	return readEnd(out, err != nil), out
}

// readEnd reads the end of a run from what go test -v printed.
func readEnd(out string, exitedBadly bool) ending {
	if !exitedBadly {
		if strings.Contains(out, "[no tests to run]") || strings.Contains(out, "[no test files]") {
			return ending{broken, "there is no such test"}
		}
		return ending{passed, "passes"}
	}
	running, panicked := "", ""
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasSuffix(line, "[build failed]"), strings.HasSuffix(line, "[setup failed]"):
			return ending{broken, "the test does not compile"}
		case strings.HasPrefix(line, "signal: "):
			return ending{broken, "the test was killed: " + line}
		case strings.HasPrefix(line, "panic: test timed out"):
			return ending{hung, running}
		case strings.HasPrefix(line, "--- FAIL: "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "--- FAIL: "), " ")
			return ending{failed, name}
		case strings.HasPrefix(line, "=== RUN ") || strings.HasPrefix(line, "=== CONT "):
			running = strings.Fields(line)[2]
		case panicked == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")):
			panicked = line
		}
	}
	if panicked != "" {
		return ending{failed, running + " (" + panicked + ")"}
	}
	return ending{broken, "go test failed, but no test did: " + lastLines(out, 3)}
}

func lastLines(out string, n int) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
