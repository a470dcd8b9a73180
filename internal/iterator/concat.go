package iterator

import (
	"bytes"
	"sort"
)

// concat walks a run: tables that are sorted and disjoint. At most one of them
// is open, and it is closed as soon as the walk leaves it.
//
// Invariants: table is the index of the open iterator it; it is nil if none is
// open. While valid, it stands on a row, and has left it in *row.
type concat struct {
	n      int
	bounds func(i int) (smallest, largest []byte)
	open   func(i int) (Iterator, error)
	table  int
	it     Iterator
	valid  bool
	err    error // sticky
	row    *Row
	own    Row
}

// NewConcat gives the rows of n tables one behind the other. bounds(i) must
// enclose every key of table i; the ranges rise and do not overlap. It is called
// O(log n) times a seek and must be cheap. open(i) is called when a row of table
// i may be the answer, never for a table whose bounds say that it cannot be.
// The caller's error from open is returned as it is.
func NewConcat(n int, bounds func(i int) (smallest, largest []byte), open func(i int) (Iterator, error)) Iterator {
	c := &concat{n: n, bounds: bounds, open: open}
	c.row = &c.own
	return c
}

func (c *concat) First() bool {
	c.valid = c.enter(0) && c.forward(c.it.First())
	return c.valid
}

func (c *concat) Last() bool {
	c.valid = c.enter(c.n-1) && c.backward(c.it.Last())
	return c.valid
}

func (c *concat) SeekGE(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		_, largest := c.bounds(i)
		return bytes.Compare(largest, key) >= 0
	})
	c.valid = c.enter(i) && c.forward(c.it.SeekGE(key))
	return c.valid
}

func (c *concat) SeekLT(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		smallest, _ := c.bounds(i)
		return bytes.Compare(smallest, key) >= 0
	})
	c.valid = c.enter(i-1) && c.backward(c.it.SeekLT(key))
	return c.valid
}

func (c *concat) Next() bool {
	if !c.valid {
		return false
	}
	if c.it.Next() {
		return true
	}
	c.valid = c.forward(false)
	return c.valid
}

func (c *concat) Prev() bool {
	if !c.valid {
		return false
	}
	if c.it.Prev() {
		return true
	}
	c.valid = c.backward(false)
	return c.valid
}

func (c *concat) Valid() bool   { return c.valid }
func (c *concat) Key() []byte   { return c.row.Key }
func (c *concat) Kind() Kind    { return c.row.Kind }
func (c *concat) Value() []byte { return c.row.Value }
func (c *concat) Error() error  { return c.err }

func (c *concat) Into(row *Row) {
	c.row = row
	if c.it != nil {
		c.it.Into(row)
	}
}

func (c *concat) Close() error {
	c.valid = false
	c.leave()
	return c.err
}

// enter makes table i the open one. It is false if there is no such table, if
// an error stands, or if the table does not open.
func (c *concat) enter(i int) bool {
	if c.err != nil {
		return false
	}
	if c.it != nil && c.table == i {
		return true
	}
	if !c.leave() || i < 0 || i >= c.n {
		return false
	}
	it, err := c.open(i)
	if err != nil {
		c.err = err
		return false
	}
	it.Into(c.row)
	c.table, c.it = i, it
	return true
}

// leave closes the open table, if any. It is false if an error stands.
func (c *concat) leave() bool {
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
func (c *concat) forward(ok bool) bool {
	for !ok {
		if c.err = c.it.Error(); c.err != nil || !c.enter(c.table+1) {
			return false
		}
		ok = c.it.First()
	}
	return true
}

func (c *concat) backward(ok bool) bool {
	for !ok {
		if c.err = c.it.Error(); c.err != nil || !c.enter(c.table-1) {
			return false
		}
		ok = c.it.Last()
	}
	return true
}
