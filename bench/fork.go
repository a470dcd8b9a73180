package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

// bed is an open store of some rows at rest, to be forked.
type bed struct {
	rows  int
	store *engine.Store
	main  *engine.Fork
}

// forkSizes says how much the suite does of what.
type forkSizes struct {
	rows    []int // in the beds
	forks   int   // of one latency case
	clients int   // forks that all clients make together, synced
	drops   int   // forks that are dropped at once
	peer    int   // forks of each peer in one case
}

// forkSuite measures what it costs to make a fork and to drop it: one at a time, by
// many clients at once, and next to Pebble.
func forkSuite(cfg config, out *figures) error {
	n := forkSizes{rows: []int{1_000, 100_000, 5_000_000}, forks: 2000, clients: 20_000, drops: 100_000, peer: 10}
	if cfg.quick {
		n = forkSizes{rows: []int{1_000, 100_000, 500_000}, forks: 500, clients: 4000, drops: 10_000, peer: 3}
	}
	var beds []bed
	for _, rows := range n.rows {
		s, f, err := load(filepath.Join(cfg.dir, fmt.Sprintf("fork-%d", rows)), rows)
		if err != nil {
			return err
		}
		defer s.Close()
		beds = append(beds, bed{rows, s, f})
	}
	middle := beds[1]
	peers, err := forkPeers(cfg, n.rows)
	if err != nil {
		return err
	}
	for round := range cfg.rounds {
		for _, step := range []struct {
			name string
			run  func() error
		}{
			{"latency", func() error { return forkLatency(out, beds, n.forks, round, cfg.dir) }},
			{"clients", func() error { return forkClients(out, middle, n.clients, round) }},
			{"drop", func() error { return forkDrops(out, middle, n.drops, round) }},
			{"vs-pebble", func() error { return forkContest(out, beds, peers, n.peer, round) }},
		} {
			c := startClock()
			if err := step.run(); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
			progress("fork/%s, round %d of %d: %.1f s", step.name, round+1, cfg.rounds, c.lap())
		}
	}
	return nil
}

// forkLatency measures single forks in stores of several sizes, when the parent's
// memtable holds nothing, one row, and a mebibyte; synced ones next to one sync of a
// preallocated file. After thousands of rows the processor's caches hold nothing of what
// forks need, which then costs more than the fork; so that case is measured once as it
// comes, and once while forks are made elsewhere in the store.
func forkLatency(out *figures, beds []bed, forks, round int, dir string) error {
	base := map[string]float64{}
	for _, b := range beds {
		for _, c := range []struct {
			name  string
			dirty int // rows put into the parent's memtable before each fork
			warm  int // forks that are made elsewhere before each
			sync  bool
			forks int
		}{
			{"clean/nosync", 0, 0, false, forks},
			{"dirty-1-row/nosync", 1, 0, false, forks},
			{"dirty-1MiB/nosync", rowsOfMiB, 0, false, 20},
			{"dirty-1MiB-warm/nosync", rowsOfMiB, 3, false, 20},
			{"clean/sync", 0, 0, true, forks / 4},
			{"dirty-1-row/sync", 1, 0, true, forks / 4},
		} {
			t, err := forkMany(b, c.dirty, c.warm, c.forks, c.sync, round)
			if err != nil {
				return fmt.Errorf("%d rows, %s: %w", b.rows, c.name, err)
			}
			name := fmt.Sprintf("fork/%s/rows-%d", c.name, b.rows)
			p50 := percentile(t.fork, 50)
			out.add(name+"/p50", "us", p50)
			out.add(name+"/p99", "us", percentile(t.fork, 99))
			if c.dirty > 0 {
				out.add(name+"/with-the-put/p50", "us", percentile(t.putAndFork, 50))
			}
			out.add(name+"/allocs", "allocs/fork", t.allocs)
			if b.rows == beds[0].rows {
				base[c.name] = p50
			} else {
				out.add(fmt.Sprintf("%s/vs-rows-%d", name, beds[0].rows), "ratio", p50/base[c.name])
			}
			if c.sync && c.dirty == 0 {
				syncs, err := fileSyncs(dir, c.forks)
				if err != nil {
					return err
				}
				one := percentile(syncs, 50)
				out.add(fmt.Sprintf("fork/one-fdatasync/beside-rows-%d/p50", b.rows), "us", one)
				out.add(name+"/vs-fdatasync", "ratio", p50/one)
			}
		}
	}
	return nil
}

// rowsOfMiB is how many rows make a memtable of about a mebibyte.
const rowsOfMiB = 9000

// forkTimes are sorted, in microseconds.
type forkTimes struct {
	fork, putAndFork []float64 // the fork alone; with the last of the puts before it
	allocs           float64   // of one fork
}

// forkMany forks main again and again, and checks and drops the forks. Of the puts
// that dirty the memtable all but the last are outside of the timed part, and so are some
// forks of another fork that come between.
func forkMany(b bed, dirty, warm, forks int, sync bool, round int) (t forkTimes, err error) {
	opts := syncOption(sync)
	made := make([]*engine.Fork, 0, forks)
	var k, v []byte
	var before, after runtime.MemStats
	batch := b.store.NewBatch()
	aside, err := b.main.Fork("aside", engine.NoSync)
	if err != nil {
		return t, err
	}
	for i := range forks {
		row := func(j int) { k, v = key(k, (i*dirty+j)%b.rows), value(v, i, "main") }
		for j := range dirty - 1 {
			row(j)
			batch.Set(b.main, k, v)
		}
		if err := batch.Commit(engine.NoSync); err != nil {
			return t, err
		}
		for range warm {
			if err := putForkDrop(aside); err != nil {
				return t, err
			}
		}
		name := fmt.Sprintf("f%d-%d-%v-%d", round, dirty, sync, i)
		start := time.Now()
		if dirty > 0 {
			row(dirty - 1)
			if err := b.main.Set(k, v, engine.NoSync); err != nil {
				return t, err
			}
		}
		counted := i == forks/2 // reading the counters stops the world: once is enough
		if counted {
			runtime.ReadMemStats(&before)
		}
		begun := time.Now()
		f, err := b.main.Fork(name, opts...)
		done := time.Now()
		if err != nil {
			return t, err
		}
		if counted {
			runtime.ReadMemStats(&after)
			t.allocs = float64(after.Mallocs - before.Mallocs)
		} else {
			t.fork = append(t.fork, done.Sub(begun).Seconds()*1e6)
			t.putAndFork = append(t.putAndFork, done.Sub(start).Seconds()*1e6)
		}
		made = append(made, f)
	}
	if err := checkFork(b.main, made[len(made)-1]); err != nil {
		return t, err
	}
	for _, f := range append(made, aside) {
		if err := f.Drop(engine.NoSync); err != nil {
			return t, err
		}
	}
	slices.Sort(t.fork)
	slices.Sort(t.putAndFork)
	return t, b.store.Settle()
}

func putForkDrop(f *engine.Fork) error {
	if err := f.Set(key(nil, 0), value(nil, 0, "aside"), engine.NoSync); err != nil {
		return err
	}
	child, err := f.Fork("aside-2", engine.NoSync)
	if err != nil {
		return err
	}
	return child.Drop(engine.NoSync)
}

// checkFork tells whether a fork reads what its parent has, and goes on doing so when
// the parent is written.
func checkFork(parent, fork *engine.Fork) error {
	k := key(nil, 0)
	want, err := parent.Get(k)
	if err != nil {
		return err
	}
	if err := parent.Set(k, []byte("later"), engine.NoSync); err != nil {
		return err
	}
	if got, err := fork.Get(k); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("a fork reads %q, %v instead of %q", got, err, want)
	}
	return parent.Set(k, want, engine.NoSync)
}

func syncOption(sync bool) []engine.WriteOption {
	if sync {
		return nil
	}
	return []engine.WriteOption{engine.NoSync}
}
