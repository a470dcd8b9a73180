package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	ycsbThreads = 2
	ycsbSkew    = 0.99
	ycsbScan    = 100 // the longest scan
)

// workload is one of the Yahoo! Cloud Serving Benchmark's core workloads, in percent of
// its operations.
type workload struct {
	name                                string
	read, update, insert, scan, readMod int
	latest                              bool // reads prefer what was inserted last
}

var workloads = []workload{
	{name: "a", read: 50, update: 50},
	{name: "b", read: 95, update: 5},
	{name: "c", read: 100},
	{name: "d", read: 95, insert: 5, latest: true},
	{name: "e", scan: 95, insert: 5},
	{name: "f", read: 50, readMod: 50},
}

// ycsbSizes says on how much the suite works.
type ycsbSizes struct {
	rows   int    // even
	ops    int    // of all threads
	inFork string // the workloads that are run in a fork, too
}

// ycsbSuite runs the workloads in two threads, unsynced, over rows of which all fit into
// the cache, and of which an eighth does; and again in a fork that lies 64 forks deep and
// whose parent is written meanwhile. Which rows are hot is a scrambled zipfian choice.
func ycsbSuite(cfg config, out *figures) error {
	n := ycsbSizes{rows: 10_000_000, ops: 2_000_000, inFork: "abcdef"}
	if cfg.quick {
		n = ycsbSizes{rows: 200_000, ops: 20_000, inFork: "ae"}
	}
	m := match{field: cfg.field(), memory: cfg.memory()}
	err := m.prepare(cfg, "ycsb", func(p peer) error {
		if err := setRows(p, n.rows, func(i int) (row, version int) { return i, 0 }); err != nil {
			return err
		}
		return rest(p)
	})
	if err != nil {
		return err
	}
	z := newZipf(n.rows, ycsbSkew)
	for round := range cfg.rounds {
		for _, w := range workloads {
			plans := w.plans(n, z)
			for _, times := range []int{1, 8} {
				m.memory = n.memory(times)
				m.note(out, fmt.Sprintf("ycsb/%dx", times))
				err := m.play(cfg, out, fmt.Sprintf("ycsb/%dx/%s", times, w.name), round, func(p peer, r *result) error {
					return runPlans(p, r, n, plans)
				})
				if err != nil {
					return err
				}
			}
			if !strings.Contains(n.inFork, w.name) {
				continue
			}
			if err := ycsbInFork(cfg, out, m, round, w.name, n, plans); err != nil {
				return err
			}
		}
	}
	return nil
}

// memory is what a store gets whose rows are so many times as large as its cache.
func (n ycsbSizes) memory(times int) memory {
	cache := int64(n.rows) * (keyBytes + valueBytes) / int64(times)
	return memory{cacheBytes: cache, memtableBytes: min(max(cache/8, 512<<10), 64<<20), rows: n.rows}
}

// step is one operation of a plan.
type step struct {
	row    uint32
	do     action
	length uint8 // of a scan
}

type action uint8

const (
	actRead action = iota
	actUpdate
	actInsert
	actScan
	actReadModify
)

// plans draws what each thread will do. A thread writes rows of its own (a thread's
// number is what the row leaves when divided by their count), so that what is there in
// the end does not depend on who was first; it reads all.
func (w workload) plans(n ycsbSizes, z zipf) [][]step {
	plans := make([][]step, ycsbThreads)
	ops := n.ops
	if w.scan > 0 {
		ops /= 5
	}
	for t := range plans {
		random := rand.New(rand.NewPCG(uint64(t), 70))
		inserted := 0
		for range ops / ycsbThreads {
			s := step{do: w.draw(random.IntN(100))}
			hot := z.rank(random)
			row := int(mix(uint64(hot)) % uint64(n.rows))
			switch {
			case s.do == actInsert:
				row = n.rows + inserted*ycsbThreads + t
				inserted++
			case s.do == actUpdate || s.do == actReadModify:
				row = row - row%ycsbThreads + t
			case w.latest && hot < inserted:
				row = n.rows + (inserted-1-hot)*ycsbThreads + t
			case w.latest:
				row = n.rows - 1 - (hot - inserted)
			}
			s.row, s.length = uint32(row), uint8(1+random.IntN(ycsbScan))
			plans[t] = append(plans[t], s)
		}
	}
	return plans
}

func (w workload) draw(percent int) action {
	for _, part := range []struct {
		percent int
		do      action
	}{{w.read, actRead}, {w.update, actUpdate}, {w.insert, actInsert}, {w.scan, actScan}} {
		if percent < part.percent {
			return part.do
		}
		percent -= part.percent
	}
	return actReadModify
}

// runPlans warms the cache, carries the plans out, each in a thread, and notes how fast
// that was and how long operations took.
func runPlans(p peer, r *result, n ycsbSizes, plans [][]step) error {
	if err := warm(p); err != nil {
		return err
	}
	if err := warmHot(p, plans, n.rows); err != nil {
		return err
	}
	threads := make([]ycsbThread, len(plans))
	inserted, total := 0, 0
	for t, plan := range plans {
		threads[t].client = p.client()
		total += len(plan)
		for _, s := range plan {
			if s.do == actInsert {
				inserted++
			}
		}
	}
	missed := cacheMisses(p)
	c := startClock()
	err := inTurns(len(plans), len(plans), func(t int, _ func() (int, bool)) error { return threads[t].run(plans[t]) })
	seconds := c.lap()
	var all ycsbThread
	for t := range threads {
		err = errors.Join(err, threads[t].client.close())
		all.reads.merge(&threads[t].reads)
		all.writes.merge(&threads[t].writes)
		all.scans.merge(&threads[t].scans)
	}
	if err != nil {
		return err
	}
	r.rate("throughput", "ops/s", float64(total)/seconds)
	r.show("cache-misses", "blocks/op", (cacheMisses(p)-missed)/float64(total))
	for _, x := range []struct {
		name string
		took *latencies
	}{{"read", &all.reads}, {"write", &all.writes}, {"scan", &all.scans}} {
		if x.took.n > 0 {
			r.latency(x.name, x.took)
		}
	}
	return r.answer(p, "the rows in the end", false, n.rows+inserted)
}

// cacheMisses gives how many blocks had to be read from files since the peer was opened;
// 0 if it does not say.
func cacheMisses(p peer) float64 {
	switch p := p.(type) {
	case *tinePeer:
		return float64(p.store.Stats().CacheMisses)
	case *pebblePeer:
		return float64(p.db.Metrics().BlockCache.Misses)
	}
	return 0
}

// warmHot reads some of what the plans will read.
func warmHot(p peer, plans [][]step, rows int) error {
	c := p.client()
	var k, got []byte
	var err error
	for _, s := range plans[0] {
		if int(s.row) >= rows {
			continue // not yet there
		}
		k = key(k, int(s.row))
		if got, _, err = c.get(got[:0], k); err != nil {
			return errors.Join(err, c.close())
		}
	}
	return c.close()
}

// ycsbThread is one thread at work.
type ycsbThread struct {
	client               client
	k, v, got            []byte
	reads, writes, scans latencies
}

func (t *ycsbThread) run(plan []step) error {
	var seen tally
	at := time.Now()
	for i, s := range plan {
		row := int(s.row)
		t.k = key(t.k, row)
		into := &t.writes
		var err error
		switch s.do {
		case actRead:
			into, err = &t.reads, t.read(row)
		case actScan:
			into, err = &t.scans, t.client.walk(t.k, int(s.length), &seen)
		case actInsert:
			err = t.write(row, 0)
		case actUpdate:
			err = t.write(row, i)
		case actReadModify:
			if err = t.read(row); err == nil {
				err = t.write(row, i)
			}
		}
		if err != nil {
			return err
		}
		now := time.Now()
		into.add(now.Sub(at))
		at = now
	}
	return nil
}

func (t *ycsbThread) read(row int) (err error) {
	var found bool
	if t.got, found, err = t.client.get(t.got[:0], t.k); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("row %d is not there", row)
	}
	if i, _ := rowOf(t.got); i != row {
		return fmt.Errorf("row %d has the value of row %d", row, i)
	}
	return nil
}

func (t *ycsbThread) write(row, version int) error {
	t.v = newRow(t.v, row, version)
	return t.client.put(t.k, t.v, false)
}
