package main

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// writeSizes says how much the suite writes.
type writeSizes struct {
	loaded  int         // rows of a load
	singles int         // rows that are written one by one, unsynced
	synced  map[int]int // rows, by the number of writers
}

// writeSuite measures writes: loads of an empty store until it is at rest, with the
// bytes and the processor time that it took, and rows that are written one by one.
func writeSuite(cfg config, out *figures) error {
	n := writeSizes{loaded: 10_000_000, singles: 2_000_000, synced: map[int]int{1: 5000, 64: 200_000, 256: 500_000}}
	if cfg.quick {
		n = writeSizes{loaded: 300_000, singles: 50_000, synced: map[int]int{1: 300, 64: 6000, 256: 20_000}}
	}
	m := match{field: cfg.field(), memory: cfg.memory()}
	m.note(out, "write")
	durable := m
	durable.memory.synced = true
	for round := range cfg.rounds {
		for _, c := range []struct {
			name string
			m    match
			run  func(p peer, r *result) error
		}{
			{"load-random", m, func(p peer, r *result) error { return measureLoad(p, r, n.loaded, key) }},
			{"load-sequential", m, func(p peer, r *result) error { return measureLoad(p, r, n.loaded, keyInOrder) }},
			{"set-unsynced", m, func(p peer, r *result) error { return measureWriters(p, r, 1, n.singles, false) }},
			{"set-synced/writers-1", durable, func(p peer, r *result) error { return measureWriters(p, r, 1, n.synced[1], true) }},
			{"set-synced/writers-64", durable, func(p peer, r *result) error { return measureWriters(p, r, 64, n.synced[64], true) }},
			{"set-synced/writers-256", durable, func(p peer, r *result) error { return measureWriters(p, r, 256, n.synced[256], true) }},
		} {
			if err := c.m.play(cfg, out, "write/"+c.name, round, c.run); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyInOrder gives row i's key so that keys are in the order of rows.
func keyInOrder(dst []byte, i int) []byte { return hexKey(dst, uint64(i)) }

// measureLoad writes rows in unsynced batches and waits for rest.
func measureLoad(p peer, r *result, rows int, key func([]byte, int) []byte) error {
	var took latencies
	var k, v []byte
	used, err := measureUse(p, func() (float64, error) {
		c := startClock()
		err := inBatches(timedCommits{p, &took}, rows, func(i int) {
			k, v = key(k, i), newRow(v, i, 0)
			p.set(k, v)
		})
		if err != nil {
			return 0, err
		}
		load := c.lap()
		r.rate("rows-until-the-last-commit", "rows/s", float64(rows)/load)
		if err := p.flush(); err != nil {
			return 0, err
		}
		flush := c.lap()
		settle, err := p.settle()
		return load + flush + settle, err
	})
	if err != nil {
		return err
	}
	used.note(r, rows)
	tables, err := tableFiles(r.dir)
	if err != nil {
		return err
	}
	r.cost("on-disk", "bytes/row", float64(tables.bytes)/float64(rows))
	r.latency("commit-of-1000", &took)
	return r.answer(p, "the loaded rows", false, rows)
}

// timedCommits notes how long each commit takes.
type timedCommits struct {
	peer
	took *latencies
}

func (p timedCommits) commit() error {
	begun := time.Now()
	err := p.peer.commit()
	p.took.add(time.Since(begun))
	return err
}

// use is what some work on a peer used.
type use struct {
	wall, cpu          float64 // seconds
	io                 ioCounts
	flushed, compacted uint64 // bytes of tables, as the store counts
}

// measureUse measures what do uses. Do gives the seconds that count, so that a peer is
// not charged for waiting to be sure that it is at rest.
func measureUse(p peer, do func() (seconds float64, err error)) (u use, err error) {
	flushed, compacted := p.wrote()
	cpu, err := processCPU()
	if err != nil {
		return u, err
	}
	if u.wall, u.io, err = measureIO(do); err != nil {
		return u, err
	}
	after, err := processCPU()
	u.cpu = after - cpu
	u.flushed, u.compacted = p.wrote()
	u.flushed, u.compacted = u.flushed-flushed, u.compacted-compacted
	return u, err
}

// note notes the use for each of so many rows.
func (u use) note(r *result, rows int) {
	per := 1 / float64(rows)
	r.cost("wall", "ns/row", u.wall*1e9*per)
	r.cost("cpu", "ns/row", u.cpu*1e9*per)
	r.cost("written", "bytes/row", float64(u.io.written)*per)
	r.show("read", "bytes/row", float64(u.io.read)*per)
	r.show("flushed", "bytes/row", float64(u.flushed)*per)
	r.show("compacted", "bytes/row", float64(u.compacted)*per)
}

// measureWriters writes rows one by one, in an order that is random to the keys, by some
// writers at once.
func measureWriters(p peer, r *result, writers, rows int, sync bool) error {
	took := make([]latencies, writers)
	clients := make([]client, writers)
	for i := range clients {
		clients[i] = p.client()
	}
	c := startClock()
	err := inTurns(writers, rows, func(writer int, next func() (int, bool)) error {
		var k, v []byte
		at := time.Now()
		for i, ok := next(); ok; i, ok = next() {
			k, v = key(k, i), newRow(v, i, 0)
			if err := clients[writer].put(k, v, sync); err != nil {
				return err
			}
			now := time.Now()
			took[writer].add(now.Sub(at))
			at = now
		}
		return nil
	})
	seconds := c.lap()
	for i := range clients {
		err = errors.Join(err, clients[i].close())
		if i > 0 {
			took[0].merge(&took[i])
		}
	}
	if err != nil {
		return err
	}
	r.rate("throughput", "rows/s", float64(rows)/seconds)
	r.latency("set", &took[0])
	return r.answer(p, "the rows", false, rows)
}

// inTurns deals the numbers below n out to some goroutines, in turns, and waits for all.
func inTurns(goroutines, n int, do func(worker int, next func() (int, bool)) error) error {
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		i := g - goroutines
		next := func() (int, bool) { i += goroutines; return i, i < n }
		wg.Go(func() { errs[g] = do(g, next) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// randomRows gives so many rows below limit.
func randomRows(seed uint64, n, limit int) []int {
	r := rand.New(rand.NewPCG(seed, 40))
	out := make([]int, n)
	for i := range out {
		out[i] = r.IntN(limit)
	}
	return out
}
