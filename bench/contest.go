package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// memory is what every store of a contest gets.
type memory struct {
	cacheBytes, memtableBytes int64
	rows                      int  // of which the cache has to hold indexes and filters, too; 0: it is large
	still                     bool // nothing is merged but when compact is called
	synced                    bool // what a client puts is durable; of use to peers that cannot tell by each write
}

// memory gives a quick run smaller memtables, so that its smaller data, too, passes
// through many of them.
func (c config) memory() memory {
	if c.quick {
		return memory{cacheBytes: 2 << 30, memtableBytes: 8 << 20}
	}
	return memory{cacheBytes: 2 << 30, memtableBytes: 64 << 20}
}

// contestant is a kind of store.
type contestant struct {
	name     string
	open     func(dir string, m memory) (peer, error)
	settings func(m memory) string // that it is opened with
}

// contestants of every contest, ours first.
var contestants = []contestant{
	{"tine", openTine, tineSettings},
	{"pebble", openPebble, pebbleSettings},
}

// result is what one case measured on one peer, in order, and what it read.
type result struct {
	who     contestant
	dir     string // of its store
	costs   []cost
	answers []answer
}

type cost struct {
	name, unit string
	value      float64
	compare    comparison
}

// comparison says what the ratio of two values of a cost tells.
type comparison uint8

const (
	lessWins comparison = iota
	moreWins
	noRatio
)

type answer struct {
	what string
	got  digest
}

func (r *result) cost(name, unit string, value float64) {
	r.costs = append(r.costs, cost{name, unit, value, lessWins})
}

// rate is cost where more is better.
func (r *result) rate(name, unit string, value float64) {
	r.costs = append(r.costs, cost{name, unit, value, moreWins})
}

// show is cost without the ratio.
func (r *result) show(name, unit string, value float64) {
	r.costs = append(r.costs, cost{name, unit, value, noRatio})
}

// answer notes all rows of the peer's present state, or of the one it kept. The
// other peers must have the same.
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

// match says who meets in a contest, with how much memory, and with which rows each
// begins.
type match struct {
	field    []contestant // ours first
	memory   memory
	prepared *prepared // a store of each to begin with; nil: an empty one
}

// note notes the settings of all contestants.
func (m match) note(out *figures, suite string) {
	for _, c := range m.field {
		out.note(suite+"/settings/"+c.name, c.settings(m.memory))
	}
	out.note(suite+"/rows", fmt.Sprintf("keys of %d bytes, values of %d, of which half compresses", keyBytes, valueBytes))
}

// contest is a match of our store and Pebble with the memory that cfg gives them.
func contest(cfg config, out *figures, name string, round int, prepared *prepared, run func(p peer, r *result) error) error {
	return match{contestants, cfg.memory(), prepared}.play(cfg, out, name, round, run)
}

// play runs one case once on every peer, one peer after the other, who is first
// changing from round to round, compares what they answered, and adds the figures
// NAME/COST/PEER of each and NAME/COST/vs-PEER of all but ours. The peers are on their
// own while they run: the others are closed.
func (m match) play(cfg config, out *figures, name string, round int, run func(p peer, r *result) error) error {
	results := make([]result, len(m.field))
	c := startClock()
	for turn := range m.field {
		i := (turn + round) % len(m.field)
		if err := m.runOn(cfg, i, run, &results[i]); err != nil {
			return fmt.Errorf("%s, round %d: %s: %w", name, round, m.field[i].name, err)
		}
	}
	progress("%s, round %d of %d: %.1f s", name, round+1, cfg.rounds, c.lap())
	return addAll(out, name, round, results)
}

// addAll adds the results of one round, ours first.
func addAll(out *figures, name string, round int, results []result) error {
	for i := range results[1:] {
		if err := results[0].add(out, name, &results[i+1]); err != nil {
			return fmt.Errorf("%s, round %d: %w", name, round, err)
		}
	}
	return nil
}

// runOn runs a case on one peer, in a directory that is gone afterwards.
func (m match) runOn(cfg config, i int, run func(peer, *result) error, r *result) (err error) {
	dir := filepath.Join(cfg.dir, "contest-"+m.field[i].name)
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if m.prepared != nil {
		if err := m.prepared.copyTo(dir, i); err != nil {
			return err
		}
	}
	r.who, r.dir = m.field[i], dir
	runtime.GC() // what another one left is not this one's burden
	p, err := m.field[i].open(dir, m.memory)
	if err != nil {
		return err
	}
	return errors.Join(run(p, r), p.close())
}

// add adds our costs and another's, and how many times better ours are, if their answers
// are equal.
func (r *result) add(out *figures, name string, other *result) error {
	who := other.who.name
	if !slices.Equal(r.answers, other.answers) {
		return fmt.Errorf("the answers differ:\n  tine: %v\n  %s: %v", r.answers, who, other.answers)
	}
	for i, c := range r.costs {
		name, theirs := name+"/"+c.name, other.costs[i].value
		if who == contestants[1].name {
			out.add(name+"/tine", c.unit, c.value)
		}
		out.add(name+"/"+who, c.unit, theirs)
		if c.value <= 0 || theirs <= 0 {
			continue
		}
		switch c.compare {
		case lessWins:
			out.add(name+"/vs-"+who, "ratio", theirs/c.value)
		case moreWins:
			out.add(name+"/vs-"+who, "ratio", c.value/theirs)
		}
	}
	return nil
}
