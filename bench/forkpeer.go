package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tinedb/tine/engine"
)

// pebbleBed is a directory with a closed Pebble store of some rows at rest.
type pebbleBed struct {
	rows int
	dir  string
	mem  memory
}

// forkPeers makes a Pebble store of each size.
func forkPeers(cfg config, sizes []int) ([]pebbleBed, error) {
	var beds []pebbleBed
	for _, rows := range sizes {
		b := pebbleBed{rows, filepath.Join(cfg.dir, fmt.Sprintf("fork-pebble-%d", rows)), cfg.memory()}
		if err := prepareOne(cfg, openPebble, b.dir, rows); err != nil {
			return nil, err
		}
		beds = append(beds, b)
	}
	return beds, nil
}

// peerForks is what forks cost one of the peers; times are sorted.
type peerForks struct {
	micros           []float64
	heap, goroutines float64 // of one fork, while it is open and has read a row
	dropMicros       []float64
}

// forkContest makes durable forks of equal data: here, and of a Pebble store by a
// checkpoint that is opened. The memtable of the parent holds nothing, or a mebibyte.
func forkContest(out *figures, beds []bed, peers []pebbleBed, forks, round int) error {
	for i, b := range beds {
		for _, c := range []struct {
			name  string
			dirty int
		}{{"clean", 0}, {"dirty-1MiB", rowsOfMiB}} {
			ours, err := ourForks(b, c.dirty, 5*forks, round) // they are so cheap that few say nothing
			if err != nil {
				return fmt.Errorf("%s, %d rows: %w", c.name, b.rows, err)
			}
			theirs, err := peers[i].forks(c.dirty, forks)
			if err != nil {
				return fmt.Errorf("pebble, %s, %d rows: %w", c.name, b.rows, err)
			}
			name := fmt.Sprintf("fork/durable-%s/rows-%d", c.name, b.rows)
			for _, x := range []struct {
				what, unit   string
				ours, theirs float64
			}{
				{"create/p50", "us", percentile(ours.micros, 50), percentile(theirs.micros, 50)},
				{"drop/p50", "us", percentile(ours.dropMicros, 50), percentile(theirs.dropMicros, 50)},
			} {
				out.add(name+"/"+x.what+"/tine", x.unit, x.ours)
				out.add(name+"/"+x.what+"/pebble", x.unit, x.theirs)
				out.add(name+"/"+x.what+"/vs-pebble", "ratio", x.theirs/x.ours)
			}
			for _, x := range []struct {
				who string
				p   peerForks
			}{{"tine", ours}, {"pebble", theirs}} {
				out.add(name+"/heap-each/"+x.who, "bytes", x.p.heap)
				out.add(name+"/goroutines-each/"+x.who, "goroutines", x.p.goroutines)
			}
		}
	}
	return nil
}

// peerRow gives the row that is written last before fork i.
func peerRow(rows, i int) (k, v []byte) { return key(nil, i%rows), value(nil, i, "before a fork") }

// dirtyRows gives the rows that are written before fork i, peerRow's last.
func dirtyRows(rows, dirty, i int, set func(k, v []byte)) {
	var k, v []byte
	for j := range dirty - 1 {
		k, v = key(k, (i+1+j)%rows), value(v, j, "before a fork")
		set(k, v)
	}
	if dirty > 0 {
		k, v = peerRow(rows, i)
		set(k, v)
	}
}

func ourForks(b bed, dirty, forks, round int) (p peerForks, err error) {
	var made []*engine.Fork
	batch := b.store.NewBatch()
	before := liveHeap()
	goroutines := runtime.NumGoroutine()
	for i := range forks {
		dirtyRows(b.rows, dirty, i, func(k, v []byte) { batch.Set(b.main, k, v) })
		if err := batch.Commit(engine.NoSync); err != nil {
			return p, err
		}
		c := startClock()
		f, err := b.main.Fork(fmt.Sprintf("p%d-%d-%d", round, dirty, i))
		p.micros = append(p.micros, c.lap()*1e6)
		if err != nil {
			return p, err
		}
		k, v := peerRow(b.rows, i)
		got, err := f.Get(k)
		if err != nil || dirty > 0 && !bytes.Equal(got, v) {
			return p, fmt.Errorf("fork %d reads %q, %v instead of %q", i, got, err, v)
		}
		made = append(made, f)
	}
	p.heap = (liveHeap() - before) / float64(forks)
	p.goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(forks)
	for _, f := range made {
		c := startClock()
		err := f.Drop()
		p.dropMicros = append(p.dropMicros, c.lap()*1e6)
		if err != nil {
			return p, err
		}
	}
	slices.Sort(p.micros)
	slices.Sort(p.dropMicros)
	return p, b.store.Settle()
}

// forks opens the store, and makes forks of it that share its block cache.
func (b pebbleBed) forks(dirty, forks int) (p peerForks, err error) {
	cache := pebble.NewCache(b.mem.cacheBytes)
	defer cache.Unref()
	open := func(dir string) (*pebble.DB, error) {
		o := pebbleOptions(b.mem)
		o.Cache = cache
		return pebble.Open(dir, o)
	}
	db, err := open(b.dir)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	before := liveHeap()
	goroutines := runtime.NumGoroutine()
	made := map[string]*pebble.DB{}
	for i := range forks {
		batch := db.NewBatch()
		var failed error
		dirtyRows(b.rows, dirty, i, func(k, v []byte) { failed = errors.Join(failed, batch.Set(k, v, nil)) })
		if err := errors.Join(failed, batch.Commit(pebble.NoSync), batch.Close()); err != nil {
			return p, err
		}
		dir := fmt.Sprintf("%s-fork-%d", b.dir, i)
		c := startClock()
		if err := db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
			return p, err
		}
		fork, err := open(dir)
		p.micros = append(p.micros, c.lap()*1e6)
		if err != nil {
			return p, err
		}
		made[dir] = fork
		k, v := peerRow(b.rows, i)
		got, closer, err := fork.Get(k)
		if err != nil || dirty > 0 && !bytes.Equal(got, v) {
			return p, fmt.Errorf("fork %d reads %q, %v instead of %q", i, got, err, v)
		}
		if err := closer.Close(); err != nil {
			return p, err
		}
	}
	p.heap = (liveHeap() - before) / float64(forks)
	p.goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(forks)
	for dir, fork := range made {
		c := startClock()
		err := errors.Join(fork.Close(), os.RemoveAll(dir))
		p.dropMicros = append(p.dropMicros, c.lap()*1e6)
		if err != nil {
			return p, err
		}
	}
	slices.Sort(p.micros)
	slices.Sort(p.dropMicros)
	return p, nil
}

// liveHeap gives the bytes on the heap that are in use.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC() // what the first one found to be finalised or cleaned up
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
