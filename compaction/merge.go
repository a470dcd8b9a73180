package compaction

import (
	"fmt"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// Between two questions whether to stop, this many rows or bytes are merged:
// fractions of a millisecond.
const (
	stopRows  = 256
	stopBytes = 64 << 10
)

// Result counts the rows of one merge. Rows that the inputs step over because they
// are dead are none of them. RowsIn is RowsOut + Shadowed + TombstonesDropped; all
// four are counted apart from each other.
type Result struct {
	RowsIn            uint64 // read from the inputs
	RowsOut           uint64 // written, tombstones included
	Shadowed          uint64 // not written because a newer input has the key
	TombstonesDropped uint64 // not written because nothing is there to hide
}

// MergeOptions tune a merge. The zero value keeps all tombstones and never ends
// early.
type MergeOptions struct {
	// Gone tells whether nothing older than the inputs can hold a key: then its
	// tombstone is dropped. It is asked once for each tombstone that is not
	// shadowed; nil keeps them all. When in doubt it must say false.
	Gone func(key []byte) (bool, error)
	// Stop is asked every few hundred rows or 64 KiB, and its error ends the merge.
	Stop func() error
	// Remap, if not nil, learns where each row went. Then every input must be a
	// RunIter that was made with it, and the current run of the output must have no
	// rows. Several merges may fill one remap, one after the other.
	Remap *sstable.RemapBuilder
}

// Merge copies the rows of inputs, newest first, into the current run of out:
// one row a key, from the newest input that has it. With one input it is a
// flush. It closes the inputs, and leaves ending the run to the caller.
//
// After an error out holds a part of the rows and is to be discarded. Cost: one
// comparison a row while one input leads.
func Merge(inputs []iterator.Iterator, out *Output, o MergeOptions) (Result, error) {
	t := newTally(inputs)
	m := iterator.NewMerge(t.iterators())
	res, err := mergeRows(m, t, newTrace(inputs, o.Remap), out, o)
	if closeErr := m.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("merge: close the inputs: %w", closeErr)
	}
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

func mergeRows(m *iterator.Merge, t *tally, tr *trace, out *Output, o MergeOptions) (Result, error) {
	var res Result
	before := out.rows
	rows, bytes := stopRows, 0 // since the last question; the first is asked at once
	for ok := m.First(); ok; ok = m.Next() {
		if (rows >= stopRows || bytes >= stopBytes) && o.Stop != nil {
			if err := o.Stop(); err != nil {
				return res, err
			}
			rows, bytes = 0, 0
		}
		key, kind, value := m.Key(), m.Kind(), m.Value()
		rows++
		bytes += len(key) + len(value)
		t.lead(m.Source(), key)
		if kind == iterator.Tombstone && o.Gone != nil {
			gone, err := o.Gone(key)
			if err != nil {
				return res, fmt.Errorf("merge: look below a tombstone: %w", err)
			}
			if gone {
				res.TombstonesDropped++
				continue
			}
		}
		if err := out.Add(key, kind, value); err != nil {
			return res, err
		}
		if tr != nil {
			tr.wrote(m.Source(), out)
		}
	}
	if err := m.Error(); err != nil {
		return res, fmt.Errorf("merge: read: %w", err)
	}
	res.RowsIn, res.Shadowed, res.RowsOut = t.rows(), t.shadowed, out.rows-before
	invariant.Check(res.RowsIn == res.RowsOut+res.Shadowed+res.TombstonesDropped,
		"merge: %d rows in, but %d out, %d shadowed and %d tombstones dropped",
		res.RowsIn, res.RowsOut, res.Shadowed, res.TombstonesDropped)
	invariant.Check(tr == nil || tr.all == res.RowsOut, "merge: %d rows out, but another number in the remap", res.RowsOut)
	return res, nil
}
