package compaction

import (
	"bytes"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// tally watches the inputs of a merge from below, so that what the merge says it
// did can be checked against what it read. It knows of each row that is read
// whether the merge loop saw it. A row that it did not see was stepped over, and
// that is right only if the next row it sees has the same key and comes from a
// newer input.
type tally struct {
	inputs   []tallied
	shadowed uint64

	// The rows stepped over since the last row that the loop saw.
	skipped uint64
	key     []byte // their key
	newest  int    // the newest input that had one
}

// tallied is one input.
type tallied struct {
	iterator.Iterator
	tally *tally
	place int
	rows  uint64
	seen  bool // the loop saw the current row
}

func newTally(inputs []iterator.Iterator) *tally {
	t := &tally{inputs: make([]tallied, len(inputs))}
	for i, it := range inputs {
		t.inputs[i] = tallied{Iterator: it, tally: t, place: i}
	}
	return t
}

func (t *tally) iterators() []iterator.Iterator {
	its := make([]iterator.Iterator, len(t.inputs))
	for i := range t.inputs {
		its[i] = &t.inputs[i]
	}
	return its
}

// rows is the number of rows read from all inputs.
func (t *tally) rows() uint64 {
	var n uint64
	for i := range t.inputs {
		n += t.inputs[i].rows
	}
	return n
}

// lead notes that the loop sees the current row of an input.
func (t *tally) lead(place int, key []byte) {
	in := &t.inputs[place]
	invariant.Check(!in.seen, "merge: a row of input %d is seen twice", place)
	in.seen = true
	if t.skipped == 0 {
		return
	}
	invariant.Check(bytes.Equal(key, t.key), "merge: key %q is stepped over, the next is %q", t.key, key)
	invariant.Check(place < t.newest, "merge: key %q of input %d gives way to that of input %d", key, t.newest, place)
	t.shadowed += t.skipped
	t.skipped = 0
}

// skip notes that the merge steps over a row that the loop has not seen.
func (t *tally) skip(in *tallied) {
	key := in.Key()
	if t.skipped == 0 {
		t.key = append(t.key[:0], key...)
		t.newest = in.place
	}
	invariant.Check(bytes.Equal(key, t.key), "merge: keys %q and %q are stepped over together", t.key, key)
	t.newest = min(t.newest, in.place)
	t.skipped++
}

// First moves to the first row and counts it.
func (in *tallied) First() bool { return in.count(in.Iterator.First()) }

// Next moves to the next row and counts it.
func (in *tallied) Next() bool {
	if !in.seen {
		in.tally.skip(in)
	}
	return in.count(in.Iterator.Next())
}

func (in *tallied) count(ok bool) bool {
	in.seen = false
	if ok {
		in.rows++
	}
	return ok
}
