package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// recoverSizes says how much is recovered and opened.
type recoverSizes struct {
	logged int // rows that are in the log alone
	memory int64
	wide   int // rows of a kilobyte, in tables
	gets   int // after an open
}

// recoverSuite measures how long it takes to open a store whose rows are all in the log,
// as a crash leaves it, and one with much in tables, that was closed.
func recoverSuite(cfg config, out *figures) error {
	n := recoverSizes{logged: 4_000_000, memory: 2 << 30, wide: 10_000_000, gets: 1000}
	if cfg.quick {
		n = recoverSizes{logged: 200_000, memory: 128 << 20, wide: 100_000, gets: 100}
	}
	m := match{field: cfg.field(), memory: cfg.memory()}
	m.note(out, "recover")
	logged := m
	logged.memory = memory{cacheBytes: 2 << 30, memtableBytes: n.memory, still: true}
	for round := range cfg.rounds {
		if err := logged.replayLogs(cfg, out, round, n); err != nil {
			return err
		}
	}
	if err := m.prepare(cfg, "wide", func(p peer) error { return fillWide(p, n.wide) }); err != nil {
		return err
	}
	for round := range cfg.rounds {
		if err := m.openLarge(cfg, out, round, n); err != nil {
			return err
		}
	}
	return m.prepared.remove()
}

// replayLogs opens what the files of a store are while it is still open, with all rows in
// its log.
func (m match) replayLogs(cfg config, out *figures, round int, n recoverSizes) error {
	return m.play(cfg, out, "recover/log", round, func(p peer, r *result) error {
		if err := setRows(p, n.logged, func(i int) (row, version int) { return i, 0 }); err != nil {
			return err
		}
		// What is written before a durable row is in the files.
		c := p.client()
		if err := errors.Join(c.put(key(nil, n.logged), newRow(nil, n.logged, 0), true), c.close()); err != nil {
			return err
		}
		image := filepath.Join(cfg.dir, "image")
		defer os.RemoveAll(image)
		if err := copyDir(image, r.dir, false); err != nil {
			return err
		}
		runtime.GC()
		begun := startClock()
		q, err := r.who.open(image, m.memory)
		if err != nil {
			return err
		}
		took := begun.lap()
		mb := float64(n.logged) * (keyBytes + valueBytes) / 1e6
		r.rate("rows", "MB/s", mb/took)
		r.show("opened", "s", took)
		return errors.Join(r.answer(q, "the recovered rows", false, n.logged+1), q.close())
	})
}

// wideBytes is the length of the values that make a store large.
const wideBytes = 1000

// fillWide loads rows whose values do not compress and brings p to rest.
func fillWide(p peer, rows int) error {
	var k []byte
	err := inBatches(p, rows, func(i int) {
		k = key(k, i)
		p.set(k, wideValue(i))
	})
	if err != nil {
		return err
	}
	return rest(p)
}

// wideValue gives row i's value. It is not to be changed.
func wideValue(i int) []byte {
	at := mix(uint64(i)) % uint64(len(noise)-wideBytes)
	return noise[at : at+wideBytes]
}

// openLarge opens each store twice, the first time after the system has forgotten what is
// in its files, and reads some rows.
func (m match) openLarge(cfg config, out *figures, round int, n recoverSizes) error {
	results := make([]result, len(m.field))
	for turn := range m.field {
		i := (turn + round) % len(m.field)
		r := &results[i]
		r.who, r.dir = m.field[i], m.prepared.dirs[i]
		if err := chillDir(r.dir); err != nil {
			return err
		}
		for _, name := range []string{"cold", "warm"} {
			if err := r.open(name, m.memory, n); err != nil {
				return fmt.Errorf("recover/open, %s: %w", r.who.name, err)
			}
		}
		size, err := countFiles(filepath.Join(r.dir, "*"))
		if err != nil {
			return err
		}
		r.show("store", "GB", float64(size.bytes)/1e9)
	}
	progress("recover/open, round %d of %d", round+1, cfg.rounds)
	return addAll(out, "recover/open", round, results)
}

// open opens a store, reads rows and closes it.
func (r *result) open(name string, m memory, n recoverSizes) error {
	runtime.GC()
	c := startClock()
	p, err := r.who.open(r.dir, m)
	if err != nil {
		return err
	}
	r.cost(name, "ms", c.lap()*1e3)
	h := newRowHash()
	var k, got []byte
	for i, row := range randomRows(90, n.gets, n.wide) {
		var found bool
		k = key(k, row)
		if got, found, err = p.get(got[:0], k); err != nil || !found {
			return errors.Join(fmt.Errorf("row %d: found is %v: %w", row, found, err), p.close())
		}
		h.add(k, got)
		if i == 0 {
			r.cost(name+"-with-a-get", "ms", r.costs[len(r.costs)-1].value+c.lap()*1e3)
		}
	}
	r.answers = append(r.answers, answer{name, h.sum()})
	return p.close()
}

// chillDir makes the system forget what is in a directory's files.
func chillDir(dir string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(chill(f), f.Close())
	})
}
