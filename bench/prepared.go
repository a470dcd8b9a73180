package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// prepared are closed stores, one of each contestant of a match, with the same rows at
// rest in tables: copies of them are what the rounds begin with.
type prepared struct {
	dirs []string
	cold bool // a copy is in nobody's cache
}

// prepare loads rows into a store of our own and one of Pebble.
func prepare(cfg config, rows int) (*prepared, error) {
	m := match{field: contestants, memory: cfg.memory()}
	err := m.prepare(cfg, "prepared", func(p peer) error { return fill(p, rows) })
	return m.prepared, err
}

// prepare makes the stores that the match begins with by filling an empty one of each
// contestant. What another match has prepared by that name goes.
func (m *match) prepare(cfg config, name string, fill func(peer) error) error {
	out := &prepared{}
	for _, c := range m.field {
		dir := filepath.Join(cfg.dir, name+"-"+c.name)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := m.prepareOne(c, dir, fill); err != nil {
			return fmt.Errorf("load %s: %w", c.name, err)
		}
		out.dirs = append(out.dirs, dir)
	}
	m.prepared = out
	return nil
}

func (m match) prepareOne(c contestant, dir string, fill func(peer) error) error {
	p, err := c.open(dir, m.memory)
	if err != nil {
		return err
	}
	return errors.Join(fill(p), p.close())
}

func prepareOne(cfg config, open func(string, memory) (peer, error), dir string, rows int) error {
	m := match{memory: cfg.memory()}
	return m.prepareOne(contestant{open: open}, dir, func(p peer) error { return fill(p, rows) })
}

// fill loads rows in an order that is random to the keys and brings p to rest.
func fill(p peer, rows int) error {
	var k, v []byte
	err := inBatches(p, rows, func(i int) {
		k, v = key(k, i), value(v, i, "main")
		p.set(k, v)
	})
	if err != nil {
		return err
	}
	return rest(p)
}

// batchRows is how many writes make a batch.
const batchRows = 1000

// inBatches adds n writes to p and commits them in batches.
func inBatches(p peer, n int, add func(i int)) error {
	for i := range n {
		add(i)
		if (i+1)%batchRows == 0 || i == n-1 {
			if err := p.commit(); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest brings p to rest, with all rows in tables.
func rest(p peer) error {
	if err := p.flush(); err != nil {
		return err
	}
	_, err := p.settle()
	return err
}

// remove removes the stores.
func (p *prepared) remove() error {
	var errs []error
	for _, dir := range p.dirs {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// copyTo copies contestant i's store.
func (p *prepared) copyTo(dir string, i int) error { return copyDir(dir, p.dirs[i], p.cold) }

func copyDir(to, from string, cold bool) error {
	return filepath.WalkDir(from, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return copyFile(filepath.Join(to, rel), name, cold)
	})
}

func copyFile(to, from string, cold bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil && cold {
		err = chill(out)
	}
	return errors.Join(err, out.Close())
}
