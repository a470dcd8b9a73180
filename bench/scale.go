package main

import "fmt"

// scaleSizes says how many forks the suite lets live.
type scaleSizes struct {
	idle     int // forks that nobody has written
	cold     int // forks with about 4 KB written to each
	coldRows int // of their base
	steps    int // of the chains
	rows     int // of the chains' base
}

// scaleSuite measures what it costs to have forks: a million of them idle, a hundred
// thousand with a little written to each, and ten thousand with a row each, never
// flushed, next to or upon one another. There is no peer: nothing else here can have
// them.
func scaleSuite(cfg config, out *figures) error {
	n := scaleSizes{idle: 1_000_000, cold: 100_000, coldRows: 1_000_000, steps: 10_000, rows: 1_000_000}
	if cfg.quick {
		n = scaleSizes{idle: 50_000, cold: 4000, coldRows: 100_000, steps: 10_000, rows: 200_000}
	}
	base, err := newBase(cfg, "scale-base", n.rows)
	if err != nil {
		return err
	}
	depths := []int{0, n.steps}
	for _, c := range []chain{
		{name: "scale/write-parent-and-fork", writes: 1, parent: true, depths: depths},
		{name: "scale/nested-with-a-write", writes: 1, depths: depths},
	} {
		if err := c.measure(cfg, out, base); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range cfg.rounds {
		for _, step := range []struct {
			name string
			run  func() error
		}{
			{"scale/idle", func() error { return idleForks(cfg, out, n.idle) }},
			{"scale/cold", func() error { return coldForks(cfg, out, n.cold, n.coldRows) }},
		} {
			c := startClock()
			if err := step.run(); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
			progress("%s, round %d of %d: %.1f s", step.name, round+1, cfg.rounds, c.lap())
		}
	}
	return nil
}
