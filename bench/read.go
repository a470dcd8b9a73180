package main

import (
	"fmt"
	"runtime"
	"time"
)

// readSizes says how much the suites read and scan work on.
type readSizes struct {
	rows    int
	gets    int // of one measurement, of each kind
	seeks   int
	checked int // reads whose answers are compared
	delta   int // rows of each of the runs above the base
	fresh   int // rows in the memtable above them
}

func (c config) readSizes() readSizes {
	if c.quick {
		return readSizes{rows: 300_000, gets: 50_000, seeks: 5000, checked: 5000, delta: 6000, fresh: 30_000}
	}
	return readSizes{rows: 4_000_000, gets: 2_000_000, seeks: 100_000, checked: 50_000, delta: 80_000, fresh: 250_000}
}

// runsAbove is how many small runs lie above the base in the cases with many runs.
const runsAbove = 5

// readSuite measures gets, of rows that are there and of rows that are not, in a store
// whose rows are one run, and in one with small runs above that and a memtable that is
// half full. Everything is in the cache.
func readSuite(cfg config, out *figures) error {
	n := cfg.readSizes()
	m := match{field: cfg.field(), memory: roomy}
	m.note(out, "read")
	if err := m.prepare(cfg, "one-run", func(p peer) error { return fillOneRun(p, n.rows) }); err != nil {
		return err
	}
	for round := range cfg.rounds {
		for _, c := range []struct {
			name string
			more func(p peer) error
		}{
			{"read/one-run", func(peer) error { return nil }},
			{"read/runs-and-memtable", func(p peer) error { return pile(p, n) }},
		} {
			err := m.play(cfg, out, c.name, round, func(p peer, r *result) error {
				if err := c.more(p); err != nil {
					return err
				}
				if err := warm(p); err != nil {
					return err
				}
				return measureLookups(p, r, n)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// roomy is memory in which stores can be given a shape: each flush makes one run, and
// nothing is merged by itself.
var roomy = memory{cacheBytes: 2 << 30, memtableBytes: 1 << 30, still: true}

// fillOneRun loads rows into one run.
func fillOneRun(p peer, rows int) error {
	if err := setRows(p, rows, func(i int) (row, version int) { return i, 0 }); err != nil {
		return err
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.compact()
}

// setRows writes n rows in versions that pick gives.
func setRows(p peer, n int, pick func(i int) (row, version int)) error {
	var k, v []byte
	return inBatches(p, n, func(i int) {
		row, version := pick(i)
		k, v = key(k, row), newRow(v, row, version)
		p.set(k, v)
	})
}

// pile overwrites random rows and flushes, again and again, and leaves the last of them
// in the memtable.
func pile(p peer, n readSizes) error {
	for version := 1; version <= runsAbove; version++ {
		rows := randomRows(uint64(version), n.delta, n.rows)
		if err := setRows(p, len(rows), func(i int) (int, int) { return rows[i], version }); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	rows := randomRows(99, n.fresh, n.rows)
	return setRows(p, len(rows), func(i int) (int, int) { return rows[i], runsAbove + 1 })
}

// keyList is keys in the order in which they are asked for, in one piece of memory.
type keyList struct {
	bytes []byte
	each  int
}

func (l keyList) len() int         { return len(l.bytes) / l.each }
func (l keyList) key(i int) []byte { return l.bytes[i*l.each : (i+1)*l.each] }

// keysOf gives the keys of rows, or keys right behind them that no row has.
func keysOf(rows []int, absent bool) keyList {
	l := keyList{each: keyBytes}
	if absent {
		l.each++
	}
	var k []byte
	for _, row := range rows {
		k = key(k, row)
		if absent {
			k = append(k, 'x')
		}
		l.bytes = append(l.bytes, k...)
	}
	return l
}

// get looks up one key.
type get func(dst, key []byte) ([]byte, bool, error)

// measureLookups measures gets in a random order: the time of all of them, and, in a pass
// of its own, of each.
func measureLookups(p peer, r *result, n readSizes) error {
	rows := randomRows(50, n.gets, n.rows)
	client := p.client()
	filtered := client.get
	if f, ok := p.(interface {
		getFiltered(dst, key []byte) ([]byte, bool, error)
	}); ok {
		filtered = f.getFiltered
	}
	for _, kind := range []struct {
		name  string
		get   get
		found bool
	}{
		{"get", client.get, true},
		{"miss", client.get, false},
		{"miss-with-all-filters", filtered, false},
	} {
		keys := keysOf(rows, !kind.found)
		if err := r.checkGets(kind.name, kind.get, keys, n.checked); err != nil {
			return err
		}
		if err := measureGet(r, kind.name, kind.get, keys, kind.found); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return client.close()
}

// checkGets notes what some gets answer.
func (r *result) checkGets(name string, get get, keys keyList, checked int) error {
	h := newRowHash()
	var got []byte
	for i := range checked {
		k := keys.key(i)
		v, ok, err := get(got[:0], k)
		if err != nil {
			return err
		}
		if ok {
			h.add(k, v)
		}
	}
	r.answers = append(r.answers, answer{name, h.sum()})
	return nil
}

func measureGet(r *result, name string, get get, keys keyList, found bool) error {
	got := make([]byte, 0, 2*valueBytes)
	one := func(i int) error {
		v, ok, err := get(got[:0], keys.key(i))
		if err != nil {
			return err
		}
		if ok != found || ok && len(v) != valueBytes {
			return fmt.Errorf("key %q: found is %v, with %d bytes", keys.key(i), ok, len(v))
		}
		return nil
	}
	n := keys.len()
	before := allocations()
	c := startClock()
	for i := range n {
		if err := one(i); err != nil {
			return err
		}
	}
	took := c.lap()
	r.cost(name+"/mean", "us", took*1e6/float64(n))
	r.show(name+"/allocs", "allocs/op", float64(allocations()-before)/float64(n))

	var all latencies
	at := time.Now()
	for i := range n {
		if err := one(i); err != nil {
			return err
		}
		now := time.Now()
		all.add(now.Sub(at))
		at = now
	}
	r.latency(name, &all)
	return nil
}

func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
