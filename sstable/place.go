package sstable

import (
	"sync/atomic"

	"github.com/tinedb/tine/internal/invariant"
)

// Place is where a table lies now: a cell that all who read the table share. A
// table is relocated by copying its bytes and then moving its Place: from then on
// everybody reads the copy, also those who hold a Reader or an iterator from
// before, so that the old file can go without waiting for them. It may be used
// concurrently and must not be copied.
type Place struct {
	meta atomic.Pointer[Meta]
	// reader is that of the table while a Tables keeps it, so that those who look
	// things up find it without a lock or a map. Set and cleared under Tables.mu.
	reader atomic.Pointer[Reader]
}

// NewPlace makes the cell of a table that lies where m says.
func NewPlace(m Meta) *Place {
	p := &Place{}
	p.Set(m)
	return p
}

// Set says for the first time where the table lies.
func (p *Place) Set(m Meta) {
	invariant.Check(p.meta.Load() == nil, "table %d has a place already", m.ID)
	p.meta.Store(&m)
}

// Meta describes the table as it lies now. Where that is may be out of date as
// soon as it is known: who reads by it and fails looks again, see moved.
func (p *Place) Meta() *Meta { return p.meta.Load() }

// Move says that the same table lies elsewhere now, and always has from what
// readers can tell. Its bytes must be durable there.
func (p *Place) Move(to Meta) {
	from := p.meta.Load()
	invariant.Check(from.ID == to.ID && from.Length == to.Length && from.Rows == to.Rows && from.File != to.File,
		"table %d of %d bytes is moved from file %d to file %d as table %d of %d", from.ID, from.Length, from.File, to.File, to.ID, to.Length)
	p.meta.Store(&to)
}

// moved tells whether the table lies elsewhere by now, so that a failure to read
// it at m says nothing: the file is gone perhaps. A success is one in any case, since
// a file is never changed, nor its number used again.
func (p *Place) moved(m *Meta) bool { return p.meta.Load() != m }
