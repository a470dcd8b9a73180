package iterator

import (
	"bytes"
	"sort"
)

// concat walks a run: tables that are sorted and disjoint. At most one of them
// is open, and it is closed as soon as the walk leaves it.
//
// Invariant: table is the index of the open iterator it; it is nil if none is
// open, and then the iterator is not valid.
type concat struct {
	n      int
	bounds func(i int) (smallest, largest []byte)
	open   func(i int) (Iterator, error)
	table  int
	it     Iterator
	err    error // sticky
}

// NewConcat gives the rows of n tables one behind the other. bounds(i) must
// enclose every key of table i; the ranges rise and do not overlap. It is called
// O(log n) times a seek and must be cheap. open(i) is called when a row of table
// i may be the answer, never for a table whose bounds say that it cannot be.
// The caller's error from open is returned as it is.
func NewConcat(n int, bounds func(i int) (smallest, largest []byte), open func(i int) (Iterator, error)) Iterator {
	return &concat{n: n, bounds: bounds, open: open}
}

func (c *concat) First() bool {
	return c.enter(0) && c.forward(c.it.First())
}

func (c *concat) Last() bool {
	return c.enter(c.n-1) && c.backward(c.it.Last())
}

func (c *concat) SeekGE(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		_, largest := c.bounds(i)
		return bytes.Compare(largest, key) >= 0
	})
	return c.enter(i) && c.forward(c.it.SeekGE(key))
}

func (c *concat) SeekLT(key []byte) bool {
	i := sort.Search(c.n, func(i int) bool {
		smallest, _ := c.bounds(i)
		return bytes.Compare(smallest, key) >= 0
	})
	return c.enter(i-1) && c.backward(c.it.SeekLT(key))
}

func (c *concat) Next() bool { return c.Valid() && c.forward(c.it.Next()) }
func (c *concat) Prev() bool { return c.Valid() && c.backward(c.it.Prev()) }

func (c *concat) Valid() bool   { return c.it != nil && c.err == nil && c.it.Valid() }
func (c *concat) Key() []byte   { return c.it.Key() }
func (c *concat) Kind() Kind    { return c.it.Kind() }
func (c *concat) Value() []byte { return c.it.Value() }
func (c *concat) Error() error  { return c.err }

func (c *concat) Close() error {
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
