package engine

import (
	"bytes"
	"slices"
	"sort"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// woven walks the rows of a weave that are alive in a view. Of each key it gives the newest
// of them. It is used by one goroutine.
//
// Invariants, while no error stands: at is between 0 and the number of rows, and passed
// has for each strand how many of its rows come before at. While it is valid, at is
// the row that it stands on.
type woven struct {
	w       *weave
	v       *view
	strands []wovenStrand
	passed  []uint32
	at      int
	valid   bool
	closed  bool
	err     error // sticky
	row     *iterator.Row
	own     iterator.Row

	last []byte // if invariants are expensive: the key of the row that it stood on
}

// wovenStrand reads the rows of one strand, at one of its tables at a time.
type wovenStrand struct {
	rows       sstable.Iter
	dead       *sstable.Dead
	first, end uint32 // the rows of the strand that are in the open table; none if nothing is open
}

// reset makes it a new iterator. It must be closed, or never have been used.
func (x *woven) reset(w *weave, v *view) {
	n := len(w.strands)
	*x = woven{w: w, v: v, strands: slices.Grow(x.strands[:0], n)[:n], passed: slices.Grow(x.passed[:0], n)[:n], last: x.last[:0]}
	x.row = &x.own
}

// First moves to the first row.
func (x *woven) First() bool {
	x.moveTo(0)
	return x.forward()
}

// Last moves to the last row.
func (x *woven) Last() bool {
	x.moveTo(len(x.w.rows))
	return x.backward()
}

// SeekGE moves to the first row at or after key.
func (x *woven) SeekGE(key []byte) bool {
	x.seek(key)
	return x.forward()
}

// SeekLT moves to the last row before key.
func (x *woven) SeekLT(key []byte) bool {
	x.seek(key)
	return x.backward()
}

// Next moves to the next row.
func (x *woven) Next() bool {
	if !x.valid {
		return false
	}
	for x.pass(); x.at < len(x.w.rows) && x.w.hidden(x.at); {
		x.pass()
	}
	return x.forward()
}

// Prev moves to the row before.
func (x *woven) Prev() bool {
	if !x.valid {
		return false
	}
	x.toNewest()
	return x.backward()
}

// Valid tells whether it stands on a row.
func (x *woven) Valid() bool { return x.valid }

// Into makes moves leave the row in *row.
func (x *woven) Into(row *iterator.Row) {
	x.row = row
	for i := range x.strands {
		if s := &x.strands[i]; s.end > 0 {
			s.rows.Into(row)
		}
	}
}

// Key is that of the row.
func (x *woven) Key() []byte { return x.row.Key }

// Kind is that of the row.
func (x *woven) Kind() iterator.Kind { return x.row.Kind }

// Value is that of the row.
func (x *woven) Value() []byte { return x.row.Value }

// Error is that of the table that ended the walk.
func (x *woven) Error() error { return x.err }

// Close lets go of the tables.
func (x *woven) Close() error {
	x.valid, x.closed = false, true
	clear(x.strands)
	return x.err
}

// forget lets go of all that was read through it, once it is closed.
func (x *woven) forget() {
	*x = woven{strands: x.strands[:0], passed: x.passed[:0], last: x.last[:0]}
}

// moveTo goes to a row, without looking at it.
func (x *woven) moveTo(row int) {
	x.valid = false
	x.at = row
	x.w.countBefore(x.passed, row)
	x.last = x.last[:0]
}

// pass goes one row on.
func (x *woven) pass() {
	x.passed[x.w.strandOf(x.at)]++
	x.at++
}

// back goes one row back.
func (x *woven) back() {
	x.at--
	x.passed[x.w.strandOf(x.at)]--
}

// toNewest goes back to the newest row of the same key.
func (x *woven) toNewest() {
	for x.w.hidden(x.at) {
		x.back()
	}
}

// seek goes to the first row at or after key, dead or alive. What it has to read to find
// it, it reads where later rows are read.
func (x *woven) seek(key []byte) {
	x.moveTo(x.w.find(key, func(row int) int {
		s, n := x.w.place(row)
		if !x.read(s, n) {
			return 0 // it ends soon, and whatever it finds does not count
		}
		return bytes.Compare(x.row.Key, key)
	}))
}

// forward goes on to the first live row from at on, which is the newest of its key.
func (x *woven) forward() bool {
	x.valid = false
	for x.err == nil && !x.closed && x.at < len(x.w.rows) {
		if x.show() {
			x.checkOrder(1)
			return true
		}
		x.pass() // the next older row of the key, if there is one, may be alive
	}
	return false
}

// backward goes back to the last key before at that has a live row, and to the newest
// of those.
func (x *woven) backward() bool {
	x.valid = false
	for x.err == nil && !x.closed && x.at > 0 {
		behind := x.at
		x.back()
		x.toNewest()
		for newest := x.at; ; {
			if x.show() {
				x.checkOrder(-1)
				return true
			}
			if x.err != nil {
				return false
			}
			if x.at+1 == behind {
				for x.at > newest {
					x.back()
				}
				break
			}
			x.pass()
		}
	}
	return false
}

// show makes the row at at the current one, if it is alive.
func (x *woven) show() bool {
	i := x.w.strandOf(x.at)
	n := x.passed[i]
	s := &x.strands[i]
	if (n < s.first || n >= s.end) && !x.open(i, n) {
		return false
	}
	if s.dead != nil && s.dead.Contains(uint64(n-s.first)) {
		return false
	}
	x.valid = x.stand(s, n)
	return x.valid
}

// read reads row n of a strand, dead or alive.
func (x *woven) read(i int, n uint32) bool {
	if x.err != nil || x.closed {
		return false
	}
	s := &x.strands[i]
	return (n >= s.first && n < s.end || x.open(i, n)) && x.stand(s, n)
}

// stand leaves row n of the open table of a strand where rows are expected.
func (x *woven) stand(s *wovenStrand, n uint32) bool {
	if s.rows.StandAt(uint64(n - s.first)) {
		return true
	}
	x.err = s.rows.Error()
	invariant.Check(x.err != nil, "a weave knows of row %d in a table that ends before", n)
	return false
}

// open opens the table that has row n of a strand.
func (x *woven) open(i int, n uint32) bool {
	of, s := &x.w.strands[i], &x.strands[i]
	at := sort.Search(len(of.tables), func(j int) bool { return of.firsts[j+1] > n })
	t := of.tables[at]
	reader, err := x.v.s.tables.ReaderAt(&t.Place)
	if err != nil {
		x.err = err
		return false
	}
	s.first, s.end = of.firsts[at], of.firsts[at+1]
	s.dead = x.v.dead.of(t).get()
	s.rows.Reset(reader, nil)
	s.rows.Into(x.row)
	return true
}

// checkOrder asserts that rows come in the order of their keys.
func (x *woven) checkOrder(want int) {
	if !invariant.Expensive {
		return
	}
	if len(x.last) > 0 {
		c := bytes.Compare(x.row.Key, x.last)
		invariant.Check(c == want, "a weave gives key %q after %q", x.row.Key, x.last)
	}
	x.last = append(x.last[:0], x.row.Key...)
}
