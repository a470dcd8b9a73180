package iterator

import "bytes"

// Bounded shows only the rows of [lower, upper). The iterator below it may
// stand on a row outside; then valid is false.
type Bounded struct {
	it           Iterator
	lower, upper []byte // nil = open; own copies
	valid        bool
	row          *Row // where it leaves its rows
	own          Row
	room         []byte // of the bounds
}

// NewBounded gives the rows of it whose keys are in [lower, upper); a nil bound
// is open. Both bounds are copied. No move reads more than the one row behind a
// bound that shows where the range ends, and a seek that can have no result
// does not touch it at all. NewBounded takes it over: it is closed by the Close
// of the result.
func NewBounded(it Iterator, lower, upper []byte) Iterator {
	b := &Bounded{}
	b.Reset(it, lower, upper)
	return b
}

// Reset makes it what NewBounded makes, in the memory that it has. It must be closed, or
// never have been used.
func (b *Bounded) Reset(it Iterator, lower, upper []byte) {
	room := b.room
	if room == nil {
		room = make([]byte, 0, 64) // an empty bound must not become nil
	}
	room = append(append(room[:0], lower...), upper...)
	*b = Bounded{it: it, room: room}
	if lower != nil {
		b.lower = room[:len(lower):len(lower)]
	}
	if upper != nil {
		b.upper = room[len(lower):]
	}
	b.Into(&b.own)
}

// First moves to the first row of the range.
func (b *Bounded) First() bool {
	switch {
	case b.empty():
		return b.none()
	case b.lower == nil:
		return b.belowUpper(b.it.First())
	}
	return b.belowUpper(b.it.SeekGE(b.lower))
}

// Last moves to the last row of the range.
func (b *Bounded) Last() bool {
	switch {
	case b.empty():
		return b.none()
	case b.upper == nil:
		return b.fromLower(b.it.Last())
	}
	return b.fromLower(b.it.SeekLT(b.upper))
}

// SeekGE moves to the first row of the range at or after key.
func (b *Bounded) SeekGE(key []byte) bool {
	if b.upper != nil && bytes.Compare(key, b.upper) >= 0 {
		return b.none()
	}
	if bytes.Compare(key, b.lower) <= 0 {
		return b.First()
	}
	return b.belowUpper(b.it.SeekGE(key))
}

// SeekLT moves to the last row of the range before key.
func (b *Bounded) SeekLT(key []byte) bool {
	if bytes.Compare(key, b.lower) <= 0 {
		return b.none() // also where lower is nil: no key is before the empty one
	}
	if b.upper != nil && bytes.Compare(key, b.upper) >= 0 {
		return b.Last()
	}
	return b.fromLower(b.it.SeekLT(key))
}

// Next moves to the next row.
func (b *Bounded) Next() bool { return b.valid && b.belowUpper(b.it.Next()) }

// Prev moves to the row before.
func (b *Bounded) Prev() bool { return b.valid && b.fromLower(b.it.Prev()) }

// Valid tells whether it stands on a row of the range.
func (b *Bounded) Valid() bool { return b.valid }

// Key is that of the row.
func (b *Bounded) Key() []byte { return b.row.Key }

// Kind is that of the row.
func (b *Bounded) Kind() Kind { return b.row.Kind }

// Value is that of the row.
func (b *Bounded) Value() []byte { return b.row.Value }

// Error is that of the iterator below.
func (b *Bounded) Error() error { return b.it.Error() }

// Into makes moves leave the row in *row.
func (b *Bounded) Into(row *Row) {
	b.row = row
	b.it.Into(row)
}

// Close closes the iterator below.
func (b *Bounded) Close() error {
	b.valid = false
	return b.it.Close()
}

func (b *Bounded) empty() bool {
	return b.upper != nil && bytes.Compare(b.lower, b.upper) >= 0
}

func (b *Bounded) none() bool {
	b.valid = false
	return false
}

// belowUpper finishes a move that came from inside or below the range.
func (b *Bounded) belowUpper(ok bool) bool {
	b.valid = ok && (b.upper == nil || bytes.Compare(b.row.Key, b.upper) < 0)
	return b.valid
}

// fromLower finishes a move that came from inside or above the range.
func (b *Bounded) fromLower(ok bool) bool {
	b.valid = ok && (b.lower == nil || bytes.Compare(b.row.Key, b.lower) >= 0)
	return b.valid
}
