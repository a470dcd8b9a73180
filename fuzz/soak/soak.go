package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/tinedb/tine/fuzz"
)

// soak is one run of the command. One goroutine uses it.
type soak struct {
	out    io.Writer
	dir    string
	seed   uint64
	exact  *uint64 // the only seed; nil: they are drawn
	rounds int     // 0: until end
	stuck  time.Duration
	began  time.Time
	end    time.Time
	trials []*soaked
	told   time.Time // the last line of progress
}

// soaked is a trial and how it has gone so far.
type soaked struct {
	fuzz.Trial
	counts *fuzz.Counts
	runs   int
	failed int
	took   time.Duration
	hangs  bool // a run did not come to an end: no more of it
}

const (
	progressEvery = time.Minute
	shrinkFor     = time.Minute
)

// run runs trials until time is up, all rounds are done or ctx is cancelled, and
// writes the table.
func (s *soak) run(ctx context.Context) {
	fmt.Fprintf(s.out, "soak: seed %d, %d trials, failures go to %s\n", s.seed, len(s.trials), s.dir)
	s.told = s.began
	for ctx.Err() == nil {
		t := s.next()
		if t == nil {
			break
		}
		s.once(ctx, t)
		if now := time.Now(); now.Sub(s.told) >= progressEvery {
			s.told = now
			fmt.Fprintf(s.out, "soak: %v, %d runs, %d failures; last %s\n", now.Sub(s.began).Round(time.Second), s.runs(), s.failures(), t.Name)
		}
	}
	s.table()
}

// next gives the trial to run: the one that has run least often if rounds are
// counted, else the one that has had the least time. nil: none.
func (s *soak) next() *soaked {
	var best *soaked
	for _, t := range s.trials {
		if t.hangs || s.rounds > 0 && t.runs >= s.rounds {
			continue
		}
		if best == nil || s.rounds > 0 && t.runs < best.runs || s.rounds == 0 && t.took < best.took {
			best = t
		}
	}
	if s.rounds == 0 && !time.Now().Before(s.end) {
		return nil
	}
	return best
}

// seedOf gives the n-th seed of a trial. It depends on nothing but the name and
// the seed of the soak.
func (s *soak) seedOf(t *soaked, n int) uint64 {
	if s.exact != nil {
		return *s.exact
	}
	name := uint64(0)
	for _, c := range []byte(t.Name) {
		name = name*257 + uint64(c)
	}
	return rand.New(rand.NewPCG(s.seed^name, uint64(n))).Uint64()
}

// once runs a trial with its next seed, and saves what failed.
func (s *soak) once(ctx context.Context, t *soaked) {
	seed := s.seedOf(t, t.runs)
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		done <- t.Run(seed, t.counts)
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(s.stuck):
		stacks := make([]byte, 1<<20)
		err = fmt.Errorf("no end after %v\n%s", s.stuck, stacks[:runtime.Stack(stacks, true)])
		t.hangs = true
	}
	t.runs++
	t.took += time.Since(began)
	if err != nil {
		t.failed++
		s.save(ctx, t, seed, err)
	}
}

// save writes down all that is known of a failure.
func (s *soak) save(ctx context.Context, t *soaked, seed uint64, err error) {
	file := filepath.Join(s.dir, fmt.Sprintf("%s-%d.txt", t.Name, seed))
	text := fmt.Sprintf("trial %s, seed %d\nrepeat: go run ./fuzz/soak -only %s -exact %d\n\n%v\n", t.Name, seed, t.Name, seed, err)
	var failure *fuzz.Failure
	if errors.As(err, &failure) {
		if ctx.Err() == nil {
			failure = failure.Shrunk(shrinkFor)
		}
		list, saveErr := failure.Save(s.dir)
		text += fmt.Sprintf("\nthe list, shrunk: %s (%v)\n%v\n\n%s", list, saveErr, failure, failure.Text())
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		fmt.Fprintln(s.out, "soak:", err)
	}
	fmt.Fprintf(s.out, "soak: FAILED %s, seed %d: %.300s\n      saved in %s\n", t.Name, seed, err.Error(), file)
}

func (s *soak) runs() (n int) {
	for _, t := range s.trials {
		n += t.runs
	}
	return n
}

func (s *soak) failures() (n int) {
	for _, t := range s.trials {
		n += t.failed
	}
	return n
}
