package main

import "fmt"

// deleteSizes says how much the suite deletes from how much.
type deleteSizes struct {
	rows        int // in the prepared store
	queueOps    int // inserts and deletes of the queue
	queueSeeks  int // of its head, spread over them
	coldDeletes int
	reads       int // gets of one measurement
	holders     int // forks that delete one row of the same table
}

// deleteSuite measures what deleting costs and what deleted rows cost afterwards, next
// to Pebble. In all cases but the queue an old state is kept alive (a fork here, a
// snapshot there), so that nothing that was deleted may really go.
func deleteSuite(cfg config, out *figures) error {
	n := deleteSizes{rows: 4_000_000, queueOps: 10_000_000, queueSeeks: 500, coldDeletes: 1_000_000, reads: 100_000, holders: 100_000}
	if cfg.quick {
		n = deleteSizes{rows: 400_000, queueOps: 500_000, queueSeeks: 100, coldDeletes: 50_000, reads: 20_000, holders: 5_000}
	}
	for round := range cfg.rounds {
		if err := manyHolders(cfg, out, round, n.rows/4, n.holders); err != nil {
			return err
		}
	}
	stores, err := prepare(cfg, n.rows)
	if err != nil {
		return err
	}
	cold := *stores
	cold.cold = true
	for round := range cfg.rounds {
		for _, c := range []struct {
			name string
			from *prepared
			run  func(p peer, r *result, n deleteSizes) error
		}{
			{"delete/by-key", stores, deleteByKey},
			{"delete/by-range", stores, deleteByRange},
			{"delete/queue", nil, queue},
			{"delete/queue-old-fork", nil, queueOldFork},
			{"delete/cold-flush", &cold, coldFlush},
		} {
			run := func(p peer, r *result) error { return c.run(p, r, n) }
			if err := contest(cfg, out, c.name, round, c.from, run); err != nil {
				return err
			}
		}
	}
	return deadRows(cfg, out, stores, n)
}

// warm reads every row once, so that what follows finds the data in the cache.
func warm(p peer) error {
	_, err := p.scan(false)
	return err
}

// measureScans scans forward and in reverse and notes what a live row costs.
func measureScans(p peer, r *result, name string, rows int) error {
	for _, dir := range []struct {
		name    string
		reverse bool
	}{{"scan", false}, {"reverse-scan", true}} {
		c := startClock()
		t, err := p.scan(dir.reverse)
		took := c.lap()
		if err != nil {
			return err
		}
		if want := rows * (keyBytes + valueBytes); t.rows != rows || t.bytes != want {
			return fmt.Errorf("a scan gives %d rows and %d bytes, not %d and %d", t.rows, t.bytes, rows, want)
		}
		r.cost(name+dir.name, "ns/live-row", took*1e9/float64(rows))
	}
	return nil
}

// measureSeek opens an iterator and seeks, and notes the time of both.
func measureSeek(p peer, r *result, name string, to, want []byte) error {
	buf := make([]byte, 0, 64)
	c := startClock()
	got, err := p.seek(buf, to)
	took := c.lap()
	if err != nil {
		return err
	}
	if string(got) != string(want) {
		return fmt.Errorf("a seek to %q finds %q, not %q", to, got, want)
	}
	r.cost(name, "us", took*1e6)
	return nil
}

// measureRest flushes and waits for compactions, and notes the time of each.
func measureRest(p peer, r *result) error {
	c := startClock()
	if err := p.flush(); err != nil {
		return err
	}
	flush := c.lap()
	settle, err := p.settle()
	if err != nil {
		return err
	}
	r.cost("flush", "s", flush)
	r.cost("flush-and-settle", "s", flush+settle)
	return nil
}
