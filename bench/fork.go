package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/tinedb/tine/engine"
)

const (
	keyBytes   = 16
	valueBytes = 100
)

// key gives row i's key: the same length for all, in an order unlike that of i.
func key(dst []byte, i int) []byte {
	return hexKey(dst, uint64(i)*0x9e3779b97f4a7c15)
}

// hexKey gives n as a key; keys are in the order of their numbers.
func hexKey(dst []byte, n uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], n)
	return hex.AppendEncode(dst[:0], raw[:])
}

// value gives row i's value as written by a writer: half of it compresses.
func value(dst []byte, i int, writer string) []byte {
	dst = fmt.Appendf(dst[:0], "%d by %s ", i, writer)
	r := rand.New(rand.NewPCG(uint64(i), 7))
	for len(dst) < valueBytes/2 {
		dst = append(dst, byte(r.Uint32()))
	}
	for len(dst) < valueBytes {
		dst = append(dst, '.')
	}
	return dst[:valueBytes]
}

// load fills a new store with rows and brings it to rest.
func load(dir string, rows int) (*engine.Store, *engine.Fork, error) {
	s, err := engine.Open(dir, &engine.Options{CacheBytes: 2 << 30})
	if err != nil {
		return nil, nil, err
	}
	f, err := s.Fork(engine.MainFork)
	if err != nil {
		return nil, nil, err
	}
	b := s.NewBatch()
	var k, v []byte
	for i := range rows {
		k, v = key(k, i), value(v, i, "main")
		b.Set(f, k, v)
		if b.Len() == 1000 || i == rows-1 {
			if err := b.Commit(engine.NoSync); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := s.Flush(); err != nil {
		return nil, nil, err
	}
	return s, f, s.Settle()
}

// forkSuite measures what a fork costs in stores of several sizes, when the
// parent's memtable holds nothing, one row, and a mebibyte.
func forkSuite(cfg config, out *figures) error {
	sizes := []int{1_000, 100_000, 5_000_000}
	forks := 2000
	if cfg.quick {
		sizes, forks = []int{1_000, 100_000, 500_000}, 500
	}
	type bed struct {
		rows  int
		store *engine.Store
		main  *engine.Fork
	}
	var beds []bed
	for _, rows := range sizes {
		s, f, err := load(filepath.Join(cfg.dir, fmt.Sprintf("fork-%d", rows)), rows)
		if err != nil {
			return err
		}
		defer s.Close()
		beds = append(beds, bed{rows, s, f})
	}
	for round := range cfg.rounds {
		base := map[string]float64{}
		for _, b := range beds {
			for _, c := range []struct {
				name  string
				dirty int // rows put into the parent's memtable before each fork
				sync  bool
				forks int
			}{
				{"clean/nosync", 0, false, forks},
				{"dirty-1-row/nosync", 1, false, forks},
				{"dirty-1MiB/nosync", 9000, false, 20},
				{"clean/sync", 0, true, forks / 4},
				{"dirty-1-row/sync", 1, true, forks / 4},
			} {
				took, allocs, err := forkMany(b.store, b.main, b.rows, c.dirty, c.forks, c.sync, round)
				if err != nil {
					return fmt.Errorf("%d rows, %s: %w", b.rows, c.name, err)
				}
				name := fmt.Sprintf("fork/%s/rows-%d", c.name, b.rows)
				p50 := percentile(took, 50)
				out.add(name+"/p50", "us", p50)
				out.add(name+"/p99", "us", percentile(took, 99))
				out.add(name+"/allocs", "allocs/fork", allocs)
				if b.rows == beds[0].rows {
					base[c.name] = p50
				} else {
					out.add(fmt.Sprintf("%s/vs-rows-%d", name, beds[0].rows), "ratio", p50/base[c.name])
				}
			}
		}
	}
	return nil
}

// forkMany forks main again and again, checks and drops the forks, and gives the
// sorted times of the fork calls alone, in microseconds, and allocations a call.
// The rows that dirty the memtable are written outside of the timed part.
func forkMany(s *engine.Store, parent *engine.Fork, rows, dirty, forks int, sync bool, round int) ([]float64, float64, error) {
	var opts []engine.WriteOption
	if !sync {
		opts = append(opts, engine.NoSync)
	}
	took := make([]float64, 0, forks)
	made := make([]*engine.Fork, 0, forks)
	var k, v []byte
	var before, after runtime.MemStats
	var mallocs uint64
	b := s.NewBatch()
	for i := range forks {
		for j := range dirty {
			k, v = key(k, (i*dirty+j)%rows), value(v, i, "main")
			b.Set(parent, k, v)
		}
		if err := b.Commit(engine.NoSync); err != nil {
			return nil, 0, err
		}
		if i == forks/2 { // reading the counters stops the world: once is enough
			runtime.ReadMemStats(&before)
		}
		name := fmt.Sprintf("f%d-%d-%v-%d", round, dirty, sync, i)
		start := time.Now()
		f, err := parent.Fork(name, opts...)
		took = append(took, float64(time.Since(start).Nanoseconds())/1000)
		if err != nil {
			return nil, 0, err
		}
		if i == forks/2 {
			runtime.ReadMemStats(&after)
			mallocs = after.Mallocs - before.Mallocs
		}
		made = append(made, f)
	}
	// The last fork reads what its parent had, and does not see what comes after.
	last := made[len(made)-1]
	k = key(k, 0)
	want, err := parent.Get(k)
	if err != nil {
		return nil, 0, err
	}
	if err := parent.Set(k, []byte("later"), engine.NoSync); err != nil {
		return nil, 0, err
	}
	if got, err := last.Get(k); err != nil || !bytes.Equal(got, want) {
		return nil, 0, fmt.Errorf("a fork reads %q, %v instead of %q", got, err, want)
	}
	for _, f := range made {
		if err := f.Drop(engine.NoSync); err != nil {
			return nil, 0, err
		}
	}
	slices.Sort(took)
	return took, float64(mallocs), s.Settle()
}
