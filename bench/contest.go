package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// memory is what both stores get.
type memory struct {
	cacheBytes, memtableBytes int64
}

// memory gives a quick run smaller memtables, so that its smaller data, too, passes
// through many of them.
func (c config) memory() memory {
	if c.quick {
		return memory{2 << 30, 8 << 20}
	}
	return memory{2 << 30, 64 << 20}
}

// contestants, ours first.
var contestants = []struct {
	name string
	open func(dir string, m memory) (peer, error)
}{
	{"tine", openTine},
	{"pebble", openPebble},
}

// result is what one case measured on one peer, in order, and what it read.
type result struct {
	costs   []cost
	answers []answer
}

type cost struct {
	name, unit string
	value      float64
	shown      bool // only: no ratio is made of it
}

type answer struct {
	what string
	got  digest
}

func (r *result) cost(name, unit string, value float64) {
	r.costs = append(r.costs, cost{name, unit, value, false})
}

// show is cost without the ratio.
func (r *result) show(name, unit string, value float64) {
	r.costs = append(r.costs, cost{name, unit, value, true})
}

// answer notes all rows of the peer's present state, or of the one it kept. The
// other peer must have the same.
func (r *result) answer(p peer, what string, old bool, rows int) error {
	got, err := p.digest(old)
	if err != nil {
		return err
	}
	if got.rows != rows {
		return fmt.Errorf("%s: %d rows, expected %d", what, got.rows, rows)
	}
	r.answers = append(r.answers, answer{what, got})
	return nil
}

// contest runs one case once on either peer, one peer after the other, who is first
// changing from round to round, compares what they answered, and adds the figures
// NAME/COST/tine, NAME/COST/pebble and NAME/COST/vs-pebble. The peers are on their own
// while they run: the other is closed.
//
// prepared holds a store of each peer to begin with; nil: with an empty one.
func contest(cfg config, out *figures, name string, round int, prepared *prepared, run func(p peer, r *result) error) error {
	results := make([]result, len(contestants))
	c := startClock()
	for turn := range contestants {
		i := (turn + round) % len(contestants)
		if err := runOn(cfg, i, prepared, run, &results[i]); err != nil {
			return fmt.Errorf("%s, round %d: %s: %w", name, round, contestants[i].name, err)
		}
	}
	progress("%s, round %d of %d: %.1f s", name, round+1, cfg.rounds, c.lap())
	if err := results[0].add(out, name, &results[1]); err != nil {
		return fmt.Errorf("%s, round %d: %w", name, round, err)
	}
	return nil
}

// runOn runs a case on one peer, in a directory that is gone afterwards.
func runOn(cfg config, i int, prepared *prepared, run func(peer, *result) error, r *result) (err error) {
	dir := filepath.Join(cfg.dir, "contest-"+contestants[i].name)
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if prepared != nil {
		if err := prepared.copyTo(dir, i); err != nil {
			return err
		}
	}
	runtime.GC() // what the other one left is not this one's burden
	p, err := contestants[i].open(dir, cfg.memory())
	if err != nil {
		return err
	}
	return errors.Join(run(p, r), p.close())
}

// add adds our costs and Pebble's, and how many times cheaper ours are, if their answers
// are equal.
func (r *result) add(out *figures, name string, pebble *result) error {
	if !slices.Equal(r.answers, pebble.answers) {
		return fmt.Errorf("the answers differ:\n  tine:   %v\n  pebble: %v", r.answers, pebble.answers)
	}
	for i, c := range r.costs {
		name, theirs := name+"/"+c.name, pebble.costs[i].value
		out.add(name+"/tine", c.unit, c.value)
		out.add(name+"/pebble", c.unit, theirs)
		if !c.shown && c.value > 0 && theirs > 0 {
			out.add(name+"/vs-pebble", "ratio", theirs/c.value)
		}
	}
	return nil
}
