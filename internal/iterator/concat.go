package iterator

import (
	"bytes"
	"sort"
)

// Tables is a run as a Concat walks it: tables that are sorted and disjoint.
type Tables interface {
	Len() int
	// Bounds encloses every key of table i; the ranges rise and do not overlap. It is
	// called O(log n) times a seek and must be cheap.
	Bounds(i int) (smallest, largest []byte)
	// Open is called when a row of table i may be the answer, never for a table whose
	// bounds say that it cannot be, and not before the last one was closed: it may give
	// the same iterator again. Its error is returned to the caller as it is.
	Open(i int) (Iterator, error)
}

// Concat gives the rows of a run's tables one behind the other. At most one of them
// is open, and it is closed as soon as the walk leaves it.
//
// Invariants: table is the index of the open iterator it; it is nil if none is
// open. While valid, it stands on a row, and has left it in *row.
type Concat struct {
	tables Tables
	n      int
	table  int
	it     Iterator
	valid  bool
	err    error // sticky
	row    *Row
	own    Row
}

// NewConcat is a Concat of n tables.
func NewConcat(n int, bounds func(i int) (smallest, largest []byte), open func(i int) (Iterator, error)) Iterator {
	c := &Concat{}
	c.Reset(tableFuncs{n, bounds, open})
	return c
}

type tableFuncs struct {
	n      int
	bounds func(i int) (smallest, largest []byte)
	open   func(i int) (Iterator, error)
}

func (f tableFuncs) Len() int                                { return f.n }
func (f tableFuncs) Bounds(i int) (smallest, largest []byte) { return f.bounds(i) }
func (f tableFuncs) Open(i int) (Iterator, error)            { return f.open(i) }

// Reset makes it a new iterator over tables. It must be closed, or never have been used.
func (c *Concat) Reset(tables Tables) {
	*c = Concat{tables: tables, n: tables.Len()}
	c.row = &c.own
}

// First moves to the first row.
func (c *Concat) First() bool {
	c.valid = c.enter(0) && c.forward(c.it.First())
	return c.valid
}

// Last moves to the last row.
func (c *Concat) Last() bool {
	c.valid = c.enter(c.n-1) && c.backward(c.it.Last())
	return c.valid
}

// SeekGE moves to the first row at or after key.
func (c *Concat) SeekGE(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		_, largest := c.tables.Bounds(i)
		return bytes.Compare(largest, key) >= 0
	})
	c.valid = c.enter(i) && c.forward(c.it.SeekGE(key))
	return c.valid
}

// SeekLT moves to the last row before key.
func (c *Concat) SeekLT(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		smallest, _ := c.tables.Bounds(i)
		return bytes.Compare(smallest, key) >= 0
	})
	c.valid = c.enter(i-1) && c.backward(c.it.SeekLT(key))
	return c.valid
}

// Next moves to the next row.
func (c *Concat) Next() bool {
	if !c.valid {
		return false
	}
	if c.it.Next() {
		return true
	}
	c.valid = c.forward(false)
	return c.valid
}

// Prev moves to the row before.
func (c *Concat) Prev() bool {
	if !c.valid {
		return false
	}
	if c.it.Prev() {
		return true
	}
	c.valid = c.backward(false)
	return c.valid
}

// Valid tells whether it stands on a row.
func (c *Concat) Valid() bool { return c.valid }

// Key is that of the row.
func (c *Concat) Key() []byte { return c.row.Key }

// Kind is that of the row.
func (c *Concat) Kind() Kind { return c.row.Kind }

// Value is that of the row.
func (c *Concat) Value() []byte { return c.row.Value }

// Error is that of the table that ended the walk.
func (c *Concat) Error() error { return c.err }

// Into makes moves leave the row in *row.
func (c *Concat) Into(row *Row) {
	c.row = row
	if c.it != nil {
		c.it.Into(row)
	}
}

// Close closes the open table and gives the sticky error.
func (c *Concat) Close() error {
	c.valid = false
	c.leave()
	return c.err
}

// enter makes table i the open one. It is false if there is no such table, if
// an error stands, or if the table does not open.
func (c *Concat) enter(i int) bool {
	if c.err != nil {
		return false
	}
	if c.it != nil && c.table == i {
		return true
	}
	if !c.leave() || i < 0 || i >= c.n {
		return false
	}
	it, err := c.tables.Open(i)
	if err != nil {
		c.err = err
		return false
	}
	it.Into(c.row)
	c.table, c.it = i, it
	return true
}

// leave closes the open table, if any. It is false if an error stands.
func (c *Concat) leave() bool {
	if c.it != nil {
		err := c.it.Close()
		c.it = nil
		if c.err == nil {
			c.err = err
		}
	}
	return c.err == nil
}

// forward goes on to the following tables until there is a row. The end of a
// table counts only if the table reports no error.
func (c *Concat) forward(ok bool) bool {
	for !ok {
		if c.err = c.it.Error(); c.err != nil || !c.enter(c.table+1) {
			return false
		}
		ok = c.it.First()
	}
	return true
}

func (c *Concat) backward(ok bool) bool {
	for !ok {
		if c.err = c.it.Error(); c.err != nil || !c.enter(c.table-1) {
			return false
		}
		ok = c.it.Last()
	}
	return true
}
