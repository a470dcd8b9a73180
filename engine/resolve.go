package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// resolver turns what a job's node deletes into marks on the rows of older tables,
// so that no tombstone is written for it. One goroutine uses it, with keys that
// rise.
//
// What it marks holds for the tables as they were when the job began; if one is
// replaced meanwhile, the tree carries the marks over when the job installs them.
//
// A key's row is marked in every older table that has one, also where something
// hides it now: a merge may leave out what hides it, because of the very row that is
// marked here.
type resolver struct {
	below  *view
	layers []layer // of below
	budget int64   // bytes of blocks that may still be read from disk
	own    *memtable.Memtable

	marks   map[*forktree.Table]*roaring.Bitmap
	finders []finder // by layer
	found   []foundRow

	resolved uint64 // tombstones that became marks
}

// finder looks keys up in the table of a layer that it came to last.
type finder struct {
	table *forktree.Table
	*sstable.Finder
}

type foundRow struct {
	table   *forktree.Table
	ordinal uint64
}

// newResolver makes a resolver for a node over below. own is the memtable that is
// being flushed, nil for a merge.
func newResolver(below *view, budget int64, own *memtable.Memtable) *resolver {
	layers := below.layers()
	return &resolver{
		below: below, layers: layers, budget: budget, own: own,
		marks: map[*forktree.Table]*roaring.Bitmap{}, finders: make([]finder, len(layers)),
	}
}

// gone tells whether a tombstone of key need not be written: nothing older has the
// key, or all that has it is marked now. If a node that is still in memory has the
// key, or finding its rows costs more than the budget, it must be. Neither is there
// an answer in a table that cannot be read: its error is for those who read it, not
// for a job that other forks wait for.
func (r *resolver) gone(key []byte) (bool, error) {
	if r.own != nil && r.own.Covered(key, memtable.MaxLSN) {
		return true, nil // deleteRanges has marked all there is
	}
	r.found = r.found[:0]
	for i, l := range r.layers {
		if l.mem != nil {
			_, kind, ok := l.mem.Get(key, memtable.MaxLSN)
			switch {
			case !ok && !l.mem.Covered(key, memtable.MaxLSN):
				continue
			case ok && kind == iterator.Set || len(r.found) > 0:
				return false, nil
			}
			return true, nil // it is deleted below already, by the node that will see to its rows
		}
		t := l.run.Find(key)
		if t == nil {
			continue
		}
		dead := r.below.dead.of(t)
		if dead.whole() {
			continue
		}
		ordinal, kind, ok, err := r.find(i, t, key)
		switch {
		case err != nil:
			return false, nil
		case !ok || dead.get().Contains(ordinal):
			continue
		case kind == iterator.Tombstone && len(r.found) == 0:
			return true, nil // as above
		}
		r.found = append(r.found, foundRow{t, ordinal})
	}
	if len(r.found) > 0 {
		r.resolved++
	}
	for _, f := range r.found {
		r.bitmap(f.table).Add(uint32(f.ordinal))
	}
	return true, nil
}

func (r *resolver) find(layer int, t *forktree.Table, key []byte) (ordinal uint64, kind iterator.Kind, ok bool, err error) {
	f := &r.finders[layer]
	if f.table != t {
		reader, err := r.below.s.tables.ReaderAt(&t.Place)
		if err != nil {
			return 0, 0, false, err
		}
		*f = finder{t, reader.NewFinder()}
	}
	return f.Find(key, &r.budget)
}

func (r *resolver) bitmap(t *forktree.Table) *roaring.Bitmap {
	b := r.marks[t]
	if b == nil {
		b = roaring.New()
		r.marks[t] = b
	}
	return b
}

// errRanges is why a node with range deletes stays in memory: it has no other form
// than marks.
var errRanges = errors.New("the rows that a range delete covers cannot be found")

// deleteRanges marks the rows of all older tables that the spans cover, which are
// sorted and disjoint. At most two blocks are read for each span and table, and none
// if the span covers the table. All that is below must be in tables. stop is asked
// now and then whether to give up.
func (r *resolver) deleteRanges(spans []iterator.Span, stop func() error) error {
	const spansAtOnce = 64
	for _, l := range r.layers {
		invariant.Check(l.mem == nil, "a node with range deletes is flushed before an older one")
		for i, span := range spans {
			if i%spansAtOnce == 0 {
				if err := stop(); err != nil {
					return err
				}
			}
			if err := r.deleteRange(l, span); err != nil {
				return fmt.Errorf("%w: %w", errRanges, err)
			}
		}
	}
	return nil
}

func (r *resolver) deleteRange(l layer, span iterator.Span) error {
	tables := l.run.Tables
	first := sort.Search(len(tables), func(i int) bool { return bytes.Compare(tables[i].Meta.Largest, span.Lo) >= 0 })
	for _, t := range tables[first:] {
		if span.Hi != nil && bytes.Compare(t.Meta.Smallest, span.Hi) >= 0 {
			break
		}
		if r.below.dead.of(t).whole() {
			continue
		}
		from, to := uint64(0), t.Meta.Rows
		var err error
		if bytes.Compare(t.Meta.Smallest, span.Lo) < 0 {
			if from, err = r.ordinalGE(t, span.Lo); err != nil {
				return err
			}
		}
		if span.Hi != nil && bytes.Compare(t.Meta.Largest, span.Hi) >= 0 {
			if to, err = r.ordinalGE(t, span.Hi); err != nil {
				return err
			}
		}
		if from < to {
			r.bitmap(t).AddRange(from, to)
		}
	}
	return nil
}

func (r *resolver) ordinalGE(t *forktree.Table, key []byte) (uint64, error) {
	reader, err := r.below.s.tables.ReaderAt(&t.Place)
	if err != nil {
		return 0, r.below.s.blame(err)
	}
	n, err := reader.OrdinalGE(key)
	return n, r.below.s.blame(err)
}

// deletes is what has become of the deletes that a job came upon.
type deletes struct {
	marks    []forktree.TableMarks // by table
	marked   uint64                // rows in marks
	dropped  uint64                // tombstones
	resolved uint64                // of those, by marks
}

// deletes gives all that was marked and was not dead before, beside the number of
// tombstones that the job has dropped.
func (r *resolver) deletes(dropped uint64) deletes {
	out := deletes{dropped: dropped, resolved: r.resolved}
	for t, b := range r.marks {
		for dead := r.below.dead.of(t); dead != nil; dead = dead.below {
			b.AndNot(dead.vector.Bitmap())
		}
		if n := b.GetCardinality(); n > 0 {
			out.marks = append(out.marks, forktree.TableMarks{Table: t, Vector: sstable.NewVector(t.Meta.Rows, b)})
			out.marked += n
		}
	}
	slices.SortFunc(out.marks, func(a, b forktree.TableMarks) int { return cmp.Compare(a.Table.Meta.ID, b.Table.Meta.ID) })
	return out
}

func (s *Store) countDeletes(d *deletes) {
	s.counter.rowsMarked.Add(d.marked)
	s.counter.tombstonesDropped.Add(d.dropped)
	s.counter.tombstonesResolved.Add(d.resolved)
}
