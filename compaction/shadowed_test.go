package compaction

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// keyedRun is the set of keys of a run.
type keyedRun map[int]struct{}

// keyedPath is one path, newest first, on which rows have keys, one byte each.
type keyedPath struct {
	runs      []keyedRun
	entered   []bool
	next      ids.NodeID
	nodes     []ids.NodeID
	rewritten int
}

func (p *keyedPath) write(keys []int) {
	run := keyedRun{}
	for _, k := range keys {
		run[k] = struct{}{}
	}
	p.next++
	p.runs = slices.Insert(p.runs, 0, run)
	p.entered = slices.Insert(p.entered, 0, false)
	p.nodes = slices.Insert(p.nodes, 0, p.next)
}

func (p *keyedPath) items() []Item {
	var items []Item
	for i, run := range p.runs {
		items = append(items, Item{Node: p.nodes[i], Bytes: uint64(len(run)), Rows: uint64(len(run)), Entered: i > 0 && p.entered[i]})
	}
	return items
}

func (p *keyedPath) do(plan Plan) {
	all := keyedRun{}
	for _, run := range p.runs[plan.First : plan.Last+1] {
		for k := range run {
			all[k] = struct{}{}
		}
	}
	p.rewritten += len(all)
	p.runs = slices.Replace(p.runs, plan.First, plan.Last+1, all)
	p.entered = slices.Delete(p.entered, plan.First+1, plan.Last+1)
	p.nodes = slices.Delete(p.nodes, plan.First+1, plan.Last+1)
}

// work does what is done while rows are written.
func (p *keyedPath) work() {
	for {
		plan, ok := Pick(p.items(), Policy{})
		if !ok {
			return
		}
		p.do(plan)
	}
}

// rest does what is done when none are.
func (p *keyedPath) rest() {
	passed := map[ids.NodeID]bool{}
	for {
		plan, ok := PickShadowed(p.items(), Policy{}, func(newest Item) bool { return passed[newest.Node] })
		if !ok {
			return
		}
		passed[p.nodes[plan.First]] = true
		all, distinct := 0, keyedRun{}
		for _, run := range p.runs[plan.First : plan.Last+1] {
			all += len(run)
			for k := range run {
				distinct[k] = struct{}{}
			}
		}
		if (Policy{}).Worthwhile(float64(all-len(distinct)), float64(all)) {
			p.do(plan)
		}
	}
}

func (p *keyedPath) bytes() (held, needed int) {
	all := keyedRun{}
	for _, run := range p.runs {
		held += len(run)
		for k := range run {
			all[k] = struct{}{}
		}
	}
	return held, len(all)
}

// Bursts of writes with rests between them: what is held at rest comes near what is
// needed, and what that costs beyond ordinary merges is bounded.
func TestAtRestLittleIsShadowed(t *testing.T) {
	const base = 10_000
	for _, c := range []struct {
		name        string
		burst       int
		key         func(r *rand.Rand, round, i int) int
		rounds      int
		maxRewrites float64 // of a row, by rests
	}{
		{"bursts of a hundredth of the rows", base / 100, anyKey, 200, 20},
		{"bursts of a tenth of the rows", base / 10, anyKey, 40, 11},
		{"bursts of as many rows as there are", base, anyKey, 10, 2},
		{"the same few rows", base / 10, func(_ *rand.Rand, _, i int) int { return i }, 40, 11},
		{"new rows", base / 10, func(_ *rand.Rand, round, i int) int { return base*(round+1) + i }, 40, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			run := func(rests bool) (p keyedPath, worst float64) {
				p.write(r.Perm(base))
				for round := range c.rounds {
					var keys []int
					for i := range c.burst {
						keys = append(keys, c.key(r, round, i))
					}
					p.write(keys)
					p.work()
					if rests {
						p.rest()
					}
					held, needed := p.bytes()
					worst = max(worst, float64(held)/float64(needed))
				}
				return p, worst
			}
			busy, before := run(false)
			p, worst := run(true)
			rewrites := float64(p.rewritten-busy.rewritten) / float64(c.rounds*c.burst)
			t.Logf("at most %.3f times as much as is needed, %.3f without rests; %.1f more rewrites of a row", worst, before, rewrites)
			require.LessOrEqual(t, worst, 1/(1-DefaultPolicy().MaxShadowedRatio))
			require.LessOrEqual(t, rewrites, c.maxRewrites)
		})
	}
}

func anyKey(r *rand.Rand, _, _ int) int { return r.Intn(10_000) }
