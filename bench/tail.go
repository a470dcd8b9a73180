package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// tailSizes says how long a writer writes.
type tailSizes struct {
	rows    int // in the store before
	atOnce  int // rows of a batch
	longest time.Duration
	maximum int // rows that are written as fast as possible, to learn the maximum
}

// stall is a write that took so long that somebody will have noticed.
const stall = 50 * time.Millisecond

// tailSuite lets a writer overwrite random rows at a fixed rate, half of what the slower
// of our store and Pebble can bear, and measures how long its writes take while flushes and compactions
// go on beside it.
func tailSuite(cfg config, out *figures) error {
	n := tailSizes{rows: 10_000_000, atOnce: 100, longest: 10 * time.Minute, maximum: 10_000_000}
	if cfg.quick {
		n = tailSizes{rows: 200_000, atOnce: 100, longest: 2 * time.Second, maximum: 100_000}
	}
	m := match{field: cfg.field(), memory: cfg.memory()}
	if cfg.quick {
		m.memory.memtableBytes = 2 << 20 // so that some are flushed, and compacted, in that time
	}
	m.note(out, "tail")
	err := m.prepare(cfg, "tail", func(p peer) error {
		if err := setRows(p, n.rows, func(i int) (row, version int) { return i, 0 }); err != nil {
			return err
		}
		return rest(p)
	})
	if err != nil {
		return err
	}
	if !cfg.roundsGiven {
		cfg.rounds = 1 // which is long enough
	}
	for round := range cfg.rounds {
		err := m.play(cfg, out, "tail/as-fast-as-possible", round, func(p peer, r *result) error {
			return n.write(p, r, 0)
		})
		if err != nil {
			return err
		}
		slower := math.Inf(1)
		for _, c := range contestants {
			slower = min(slower, out.last("tail/as-fast-as-possible/rate/"+c.name))
		}
		err = m.play(cfg, out, "tail/half-of-the-maximum", round, func(p peer, r *result) error {
			return n.write(p, r, slower/2)
		})
		if err != nil {
			return err
		}
	}
	return m.prepared.remove()
}

// write overwrites random rows in unsynced batches, at a rate in rows a second; 0: as
// fast as it goes. When writes are late because of those before them, they wait from the
// moment at which they were due; the time that the writer itself sleeps too long does not
// count.
func (n tailSizes) write(p peer, r *result, rate float64) error {
	random := rand.New(rand.NewPCG(100, 101))
	rows := n.maximum
	if rate > 0 {
		rows = int(rate * n.longest.Seconds())
	}
	batches := max(rows/n.atOnce, 1)
	var all latencies
	var k, v []byte
	begun := time.Now()
	for i := range batches {
		for range n.atOnce {
			row := random.IntN(n.rows)
			k, v = key(k, row), newRow(v, row, i)
			p.set(k, v)
		}
		from := time.Now()
		if rate > 0 {
			due := begun.Add(time.Duration(float64(i*n.atOnce) / rate * 1e9))
			if wait := due.Sub(from); wait > 0 {
				time.Sleep(wait)
				from = time.Now()
			} else {
				from = due
			}
		}
		if err := p.commit(); err != nil {
			return err
		}
		all.add(time.Since(from))
	}
	if rate == 0 {
		// The debt of a short burst is not left out.
		if err := p.flush(); err != nil {
			return err
		}
		idle := time.Now()
		settle, err := p.settle()
		if err != nil {
			return err
		}
		took := idle.Sub(begun).Seconds() + settle
		r.rate("rate", "rows/s", float64(batches*n.atOnce)/took)
	} else {
		r.show("rate", "rows/s", float64(batches*n.atOnce)/time.Since(begun).Seconds())
	}
	r.latency("batch", &all)
	r.show("batch/longer-than-50-ms", "batches", float64(all.above(stall)))
	flushed, compacted := p.wrote()
	r.show("flushed", "MB", float64(flushed)/1e6)
	r.show("compacted", "MB", float64(compacted)/1e6)
	return r.answer(p, "all rows", false, n.rows)
}
