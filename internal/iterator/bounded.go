package iterator

import "bytes"

// bounded shows only the rows of [lower, upper). The iterator below it may
// stand on a row outside; then valid is false.
type bounded struct {
	it           Iterator
	lower, upper []byte // nil = open; own copies
	valid        bool
	row          *Row // where it leaves its rows
	own          Row
}

// NewBounded gives the rows of it whose keys are in [lower, upper); a nil bound
// is open. Both bounds are copied. No move reads more than the one row behind a
// bound that shows where the range ends, and a seek that can have no result
// does not touch it at all. NewBounded takes it over: it is closed by the Close
// of the result.
func NewBounded(it Iterator, lower, upper []byte) Iterator {
	b := &bounded{it: it, lower: bytes.Clone(lower), upper: bytes.Clone(upper)}
	b.Into(&b.own)
	return b
}

func (b *bounded) First() bool {
	switch {
	case b.empty():
		return b.none()
	case b.lower == nil:
		return b.belowUpper(b.it.First())
	}
	return b.belowUpper(b.it.SeekGE(b.lower))
}

func (b *bounded) Last() bool {
	switch {
	case b.empty():
		return b.none()
	case b.upper == nil:
		return b.fromLower(b.it.Last())
	}
	return b.fromLower(b.it.SeekLT(b.upper))
}

func (b *bounded) SeekGE(key []byte) bool {
	if b.upper != nil && bytes.Compare(key, b.upper) >= 0 {
		return b.none()
	}
	if bytes.Compare(key, b.lower) <= 0 {
		return b.First()
	}
	return b.belowUpper(b.it.SeekGE(key))
}

func (b *bounded) SeekLT(key []byte) bool {
	if bytes.Compare(key, b.lower) <= 0 {
		return b.none() // also where lower is nil: no key is before the empty one
	}
	if b.upper != nil && bytes.Compare(key, b.upper) >= 0 {
		return b.Last()
	}
	return b.fromLower(b.it.SeekLT(key))
}

func (b *bounded) Next() bool { return b.valid && b.belowUpper(b.it.Next()) }
func (b *bounded) Prev() bool { return b.valid && b.fromLower(b.it.Prev()) }

func (b *bounded) Valid() bool   { return b.valid }
func (b *bounded) Key() []byte   { return b.row.Key }
func (b *bounded) Kind() Kind    { return b.row.Kind }
func (b *bounded) Value() []byte { return b.row.Value }
func (b *bounded) Error() error  { return b.it.Error() }

func (b *bounded) Into(row *Row) {
	b.row = row
	b.it.Into(row)
}

func (b *bounded) Close() error {
	b.valid = false
	return b.it.Close()
}

func (b *bounded) empty() bool {
	return b.upper != nil && bytes.Compare(b.lower, b.upper) >= 0
}

func (b *bounded) none() bool {
	b.valid = false
	return false
}

// belowUpper finishes a move that came from inside or below the range.
func (b *bounded) belowUpper(ok bool) bool {
	b.valid = ok && (b.upper == nil || bytes.Compare(b.row.Key, b.upper) < 0)
	return b.valid
}

// fromLower finishes a move that came from inside or above the range.
func (b *bounded) fromLower(ok bool) bool {
	b.valid = ok && (b.lower == nil || bytes.Compare(b.row.Key, b.lower) >= 0)
	return b.valid
}
