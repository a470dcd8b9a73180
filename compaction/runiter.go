package compaction

import (
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// RunTable is one table of a run that a merge reads.
type RunTable struct {
	Meta *sstable.Meta
	// Open gives an iterator over the rows that are alive: it steps over dead ones
	// by itself. Nil says that none is, so that the table need not be opened.
	Open func() (*sstable.Iter, error)
}

// RunIter walks a run, and can say of the row it stands on which row of which
// table it is: keys do not tell, because a key has a row in many tables. It opens
// a table when it comes to it. It belongs to one merge, and one goroutine.
//
// Invariant: while it is valid, row stands on its row, and source is that of
// row's table.
type RunIter struct {
	iterator.Iterator // the tables one behind the other

	remap  *sstable.RemapBuilder
	row    *sstable.Iter
	source *sstable.RemapSource // nil without a remap
}

// NewRunIter makes an iterator over tables, which rise and are disjoint. It tells
// remap, if that is not nil, that all of them are consumed, whether or not a row
// of them is alive.
func NewRunIter(tables []RunTable, remap *sstable.RemapBuilder) *RunIter {
	r := &RunIter{remap: remap}
	var alive []RunTable
	var sources []*sstable.RemapSource
	for _, t := range tables {
		var s *sstable.RemapSource
		if remap != nil {
			s = remap.From(t.Meta.ID, t.Meta.Rows)
		}
		if t.Open != nil {
			alive, sources = append(alive, t), append(sources, s)
		}
	}
	r.Iterator = iterator.NewConcat(len(alive),
		func(i int) (smallest, largest []byte) { return alive[i].Meta.Smallest, alive[i].Meta.Largest },
		func(i int) (iterator.Iterator, error) {
			it, err := alive[i].Open()
			if err != nil {
				return nil, err
			}
			r.row, r.source = it, sources[i]
			return it, nil
		})
	return r
}

// Key is the current row's key. This and the next two ask the table's iterator
// at once, past the one that strings tables together.
func (r *RunIter) Key() []byte { return r.row.Key() }

// Kind is the current row's kind.
func (r *RunIter) Kind() iterator.Kind { return r.row.Kind() }

// Value is the current row's value.
func (r *RunIter) Value() []byte { return r.row.Value() }
