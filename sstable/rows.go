package sstable

import "github.com/tinedb/tine/internal/iterator"

// Rows walks a table from its first row to its last and does nothing else: no
// cache, no filter, no search, no way back. A check that compares two ways of
// reading uses it as the plain one; every block comes from disk. One goroutine
// uses it.
type Rows struct {
	r      *Reader
	next   int // number of the block behind the present one
	block  block
	row    int // in block
	key    []byte
	failed error
}

// Rows gives a walk that stands before the first row.
func (r *Reader) Rows() *Rows { return &Rows{r: r} }

// Next goes one row on. It is false at the end and after an error.
func (w *Rows) Next() bool {
	if w.failed != nil {
		return false
	}
	w.row++
	if w.row >= w.block.rows {
		if w.next == len(w.r.index.entries) {
			w.block = block{}
			return false
		}
		if w.block, w.failed = w.r.readBlock(w.next, passing); w.failed != nil {
			return false
		}
		w.next, w.row = w.next+1, 0
	}
	w.key = w.block.appendKey(w.key[:0], w.row)
	return true
}

// Key gives the present row's key, good until Next.
func (w *Rows) Key() []byte { return w.key }

// Kind gives the present row's kind.
func (w *Rows) Kind() iterator.Kind { return w.block.kind(w.row) }

// Value gives the present row's value, which must not be changed.
func (w *Rows) Value() []byte { return w.block.value(w.row) }

// Error gives what ended the walk early, nil if nothing did.
func (w *Rows) Error() error { return w.failed }
