package engine

import (
	"slices"
	"sync"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// stack is what one iterator reads through, from the layers of a view up to the rows
// that its caller sees. To make one takes some fifty pieces on a path of nine runs,
// which would cost a short read more than its rows: so they are kept together, and a
// stack is used by one iterator after the other. It belongs to whoever took it.
//
// The pieces are pointed to by each other, so a stack must not be copied.
type stack struct {
	inputs  []iterator.Iterator // newest first
	mems    []*memtable.Iter    // the first usedMems are in use
	runs    []*runRows          // the first usedRuns are in use
	wovens  []*woven            // the first usedWovens are in use
	merge   iterator.Merge
	bounded iterator.Bounded
	top     iterator.Live
	skip    skipper
	nobody  iterator.Row // where rows are left while the stack is not in use: there are none

	usedMems, usedRuns, usedWovens int
}

// maxKeptPieces bounds the iterators of layers that a stack keeps when it is not in
// use: paths are longer for moments only.
const maxKeptPieces = 16

// maxKeptWovens is the like for walks through weaves, of which a path has one as a rule.
const maxKeptWovens = 2

// stacks are those that nobody uses, of all stores: an empty one remembers none. A pool
// that is a part of something keeps all of that alive until two collections after its
// last use. Where stores are opened and closed faster than that, as in tests, every
// collection would find the stores since the last one alive, and let twice as many
// gather until the next.
var stacks = sync.Pool{New: func() any { return new(stack) }}

// takeStack gives a stack that nobody uses.
func takeStack() *stack { return stacks.Get().(*stack) }

// giveStack takes a stack back whose iterators are closed.
func giveStack(st *stack) {
	st.empty()
	stacks.Put(st)
}

// empty lets go of all that was read through the stack.
func (st *stack) empty() {
	st.top.Into(&st.nobody)
	clear(st.inputs)
	for _, m := range st.mems[:st.usedMems] {
		m.Reset(nil, 0)
	}
	for _, r := range st.runs[:st.usedRuns] {
		*r = runRows{}
	}
	for _, x := range st.wovens[:st.usedWovens] {
		x.forget()
	}
	clear(st.wovens[min(maxKeptWovens, len(st.wovens)):])
	st.wovens = st.wovens[:min(maxKeptWovens, len(st.wovens))]
	clear(st.mems[min(maxKeptPieces, len(st.mems)):])
	clear(st.runs[min(maxKeptPieces, len(st.runs)):])
	st.mems = st.mems[:min(maxKeptPieces, len(st.mems))]
	st.runs = st.runs[:min(maxKeptPieces, len(st.runs))]
	st.inputs, st.usedMems, st.usedRuns = st.inputs[:0], 0, 0
	st.usedWovens = 0
	st.skip = skipper{}
}

// live gives the live rows of a view within a range.
func (st *stack) live(r *viewer, v *view, at ids.LSN, rng Range) *iterator.Live {
	st.skip = skipper{r: r, v: v, at: at, bounds: rng}
	st.top.Reset(st.rows(v, at, rng), &st.skip)
	return &st.top
}

// rows merges the layers of a view within a range, tombstones included. What a row
// need not pass through is left out.
func (st *stack) rows(v *view, at ids.LSN, rng Range) (rows iterator.Iterator) {
	st.open(v, at)
	if len(st.inputs) == 1 {
		rows = st.inputs[0]
	} else {
		st.merge.Reset(st.inputs)
		rows = &st.merge
	}
	if rng.Lower != nil || rng.Upper != nil {
		st.bounded.Reset(rows, rng.Lower, rng.Upper)
		rows = &st.bounded
	}
	return rows
}

// rows is stack.rows for those who read once.
func (v *view) rows(at ids.LSN, rng Range) iterator.Iterator { return new(stack).rows(v, at, rng) }

// open makes an input of each layer. What a range delete of a newer memtable covers is
// left out.
func (st *stack) open(v *view, at ids.LSN) {
	var hidden []iterator.Span
	if v.mem != nil {
		st.add(st.memIter(v.mem, at), nil)
		hidden = v.mem.Spans(at)
	}
	layers, below := v.own, v.flat
	for {
		for _, l := range layers {
			if l.mem == nil {
				st.add(st.runIter(v, l.run), hidden)
				continue
			}
			st.add(st.memIter(l.mem, memtable.MaxLSN), hidden)
			if l.mem.HasRanges() {
				hidden = iterator.JoinSpans(slices.Concat(hidden, l.mem.Spans(memtable.MaxLSN)))
			}
		}
		if below == nil {
			return
		}
		if w := below.weave.Load(); w != nil && v.fits(w) {
			v.s.opts.Schedule.Walked()
			st.add(st.wovenIter(v, w), hidden)
			if w.next == nil {
				return
			}
			layers, below = w.next.layers[w.at:], w.next.below
			continue
		}
		layers, below = below.layers, below.below
	}
}

func (st *stack) add(it iterator.Iterator, hidden []iterator.Span) {
	if len(hidden) > 0 {
		it = iterator.NewMasked(it, hidden)
	}
	st.inputs = append(st.inputs, it)
}

func (st *stack) memIter(m *memtable.Memtable, at ids.LSN) iterator.Iterator {
	if st.usedMems == len(st.mems) {
		st.mems = append(st.mems, &memtable.Iter{})
	}
	it := st.mems[st.usedMems]
	st.usedMems++
	it.Reset(m, at)
	return it
}

// runIter walks the live rows of a layer's run, opening only the tables it comes to.
func (st *stack) runIter(v *view, run *forktree.Run) iterator.Iterator {
	if st.usedRuns == len(st.runs) {
		st.runs = append(st.runs, &runRows{})
	}
	r := st.runs[st.usedRuns]
	st.usedRuns++
	r.v, r.tables = v, v.dead.aliveIn(run)
	r.rows.Reset(r)
	return &r.rows
}

// wovenIter walks the rows of all runs that a weave stands for.
func (st *stack) wovenIter(v *view, w *weave) iterator.Iterator {
	if st.usedWovens == len(st.wovens) {
		st.wovens = append(st.wovens, &woven{})
	}
	x := st.wovens[st.usedWovens]
	st.usedWovens++
	x.reset(w, v)
	return x
}

// runRows are the rows of one layer's run. It is its own list of tables.
type runRows struct {
	rows   iterator.Concat
	v      *view
	tables []*forktree.Table
	table  sstable.Iter // of the open one
}

// Len is how many tables there are.
func (r *runRows) Len() int { return len(r.tables) }

// Bounds gives the first and the last key of a table.
func (r *runRows) Bounds(i int) (smallest, largest []byte) {
	m := &r.tables[i].Meta
	return m.Smallest, m.Largest
}

// Open opens a table; the one before is closed.
func (r *runRows) Open(i int) (iterator.Iterator, error) {
	t := r.tables[i]
	reader, err := r.v.s.tables.ReaderAt(&t.Place)
	if err != nil {
		return nil, err
	}
	r.table.Reset(reader, r.v.dead.of(t).get())
	return &r.table, nil
}
