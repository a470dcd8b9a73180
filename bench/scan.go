package main

import (
	"errors"
	"fmt"
	"time"
)

// mergedRuns is how many runs of equal size the rows of a merge are in, at random.
const mergedRuns = 6

// scanSuite measures scans of all rows, both ways, and short ones from random rows, where
// the rows are one run and where they are spread over six. Everything is in the cache.
func scanSuite(cfg config, out *figures) error {
	n := cfg.readSizes()
	m := match{field: cfg.field(), memory: roomy}
	m.note(out, "scan")
	merged := m
	if err := m.prepare(cfg, "one-run", func(p peer) error { return fillOneRun(p, n.rows) }); err != nil {
		return err
	}
	if err := merged.prepare(cfg, "six-runs", func(p peer) error { return fillRuns(p, n.rows) }); err != nil {
		return err
	}
	run := func(p peer, r *result) error {
		if err := r.answer(p, "all rows", false, n.rows); err != nil { // which warms, too
			return err
		}
		if err := measureScans(p, r, "", n.rows); err != nil {
			return err
		}
		return measureShortScans(p, r, n)
	}
	for round := range cfg.rounds {
		if err := m.play(cfg, out, "scan/one-run", round, run); err != nil {
			return err
		}
		if err := merged.play(cfg, out, "scan/six-runs", round, run); err != nil {
			return err
		}
	}
	return nil
}

// fillRuns loads rows in so many runs that all have rows everywhere.
func fillRuns(p peer, rows int) error {
	for part := range mergedRuns {
		in := rows * (part + 1) / mergedRuns
		from := rows * part / mergedRuns
		if err := setRows(p, in-from, func(i int) (row, version int) { return from + i, 0 }); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

// measureShortScans measures seeks with some rows read: with an iterator for each, and
// with one that is kept.
func measureShortScans(p peer, r *result, n readSizes) (err error) {
	keys := keysOf(randomRows(60, n.seeks, n.rows), false)
	fresh := p.client()
	kept, err := p.walker()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.close(), fresh.close()) }()
	if err := measureSeeks(r, "seek-50", fresh, keys, n.checked/10); err != nil {
		return err
	}
	return measureSeeks(r, "seek-50-kept-iterator", kept, keys, n.checked/10)
}

// measureSeeks measures seeks to random rows, with some rows read from there.
func measureSeeks(r *result, name string, w walker, keys keyList, checked int) error {
	h := newRowHash()
	for i := range checked {
		if err := w.walk(keys.key(i), seekRows, &tally{hash: h}); err != nil {
			return err
		}
	}
	r.answers = append(r.answers, answer{name, h.sum()})
	var all latencies
	var t tally
	begun := time.Now()
	at := begun
	for i := range keys.len() {
		if err := w.walk(keys.key(i), seekRows, &t); err != nil {
			return err
		}
		now := time.Now()
		all.add(now.Sub(at))
		at = now
	}
	r.cost(name+"/mean", "us", micros(at.Sub(begun))/float64(keys.len()))
	r.latency(name, &all)
	if full := keys.len() * seekRows; t.rows > full || t.rows < full*9/10 {
		return fmt.Errorf("%d rows are read instead of %d", t.rows, full)
	}
	return nil
}
