package main

import (
	"errors"
	"fmt"
	"path/filepath"
)

// depthSuite measures reads of a fork at several depths of a chain in which each fork is
// made of the one before, next to the same reads of the fork that the chain begins with:
// without writes in between, with writes in each fork that are left to background work,
// and with small deltas that are flushed before the next fork is made.
func depthSuite(cfg config, out *figures) error {
	depths := []int{0, 64, 1024, 10_000}
	rows, crowded, flushed := 1_000_000, depths, []int{0, 64, 1024}
	if cfg.quick {
		rows, crowded, flushed = 200_000, []int{0, 64, 1024}, []int{0, 64, 256}
	}
	base, err := newBase(cfg, "depth-base", rows)
	if err != nil {
		return err
	}
	for _, c := range []chain{
		{name: "depth/no-writes", depths: depths},
		{name: "depth/a-write-each", writes: 1, depths: depths},
		{name: "depth/100-writes-each", writes: 100, depths: crowded},
		{name: "depth/flushed-deltas", writes: 100, flush: true, depths: flushed},
	} {
		if err := c.measure(cfg, out, base); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// storeBase is a directory with a closed store of some rows at rest: chains begin with
// a copy of it.
type storeBase struct {
	dir  string
	rows int
}

func newBase(cfg config, name string, rows int) (storeBase, error) {
	b := storeBase{filepath.Join(cfg.dir, name), rows}
	s, _, err := load(b.dir, rows)
	if err != nil {
		return b, err
	}
	return b, s.Close()
}

// measure makes the chain and measures reads at all its depths.
func (c chain) measure(cfg config, out *figures, base storeBase) (err error) {
	l, err := c.make(filepath.Join(cfg.dir, "chain"), out, base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var readers []readCost
	for _, d := range c.depths {
		r := newReadCost(cfg, l.at[d], base.rows)
		if err := r.check(); err != nil {
			return fmt.Errorf("depth %d: %w", d, err)
		}
		readers = append(readers, r)
		info, err := l.at[d].fork.Info()
		if err != nil {
			return err
		}
		out.add(fmt.Sprintf("%s/nodes-on-path/depth-%d", c.name, d), "nodes", float64(info.Depth))
	}
	for round := range cfg.rounds {
		clock := startClock()
		for _, m := range readKinds {
			costs, err := m.interleaved(readers)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			for i, d := range c.depths {
				name := fmt.Sprintf("%s/%s/depth-%d", c.name, m.name, d)
				out.add(name, m.unit, costs[i])
				if i > 0 && costs[0] > 0 {
					out.add(name+"/vs-depth0", "ratio", costs[i]/costs[0])
				}
			}
		}
		progress("%s, round %d of %d: %.1f s", c.name, round+1, cfg.rounds, clock.lap())
	}
	return nil
}
