package engine

import (
	"fmt"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
)

// Iterator walks the rows of a fork or snapshot in key order, both ways. It sees
// what was there when it was opened, whatever is written, forked, dropped or
// compacted meanwhile. It is used by one goroutine and must be closed: until then
// it keeps the files that it reads. After Store.Close it ends with ErrClosed.
type Iterator struct {
	s     *Store
	v     *view
	stack *stack         // what it reads through; nil once it is closed
	rows  *iterator.Live // the top of stack
	row   iterator.Row   // that it stands on
	err   error
	done  bool

	sought []byte // the key of the last seek
	steps  int    // what it has cost, see view.noteSteps
}

// NewIter opens an iterator over a range. It is not positioned.
func (r *viewer) NewIter(rng Range) (*Iterator, error) {
	if err := rng.check(); err != nil {
		return nil, err
	}
	v, err := r.acquire()
	if err != nil {
		return nil, fmt.Errorf("open iterator: %w", err)
	}
	r.s.opts.Schedule.Reach(schedule.IteratorOpening)
	at := ids.LSN(r.s.visible.Load())
	r.s.counter.iterators.Add(1)
	st := takeStack()
	it := &Iterator{s: r.s, v: v, stack: st, rows: st.live(r, v, at, rng)}
	it.rows.Into(&it.row)
	return it, nil
}

func (it *Iterator) usable() bool {
	if it.err != nil {
		return false
	}
	if it.done || it.s.closed.Load() {
		it.err = ErrClosed
		return false
	}
	return true
}

// moved finishes a move.
func (it *Iterator) moved(ok bool) bool {
	if !ok {
		it.fail(it.rows.Error())
	}
	return ok
}

// placed counts a seek.
func (it *Iterator) placed(ok bool) bool {
	it.steps += seekWorth
	return ok
}

func (it *Iterator) fail(err error) {
	if err != nil && it.err == nil {
		it.err = fmt.Errorf("iterate: %w", it.s.readError(it.s.blame(err)))
	}
}

// First moves to the first row of the range.
func (it *Iterator) First() bool { return it.usable() && it.moved(it.placed(it.rows.First())) }

// Last moves to the last row of the range.
func (it *Iterator) Last() bool { return it.usable() && it.moved(it.placed(it.rows.Last())) }

// SeekGE moves to the first row whose key is at or after key, which may be what
// Key returned.
func (it *Iterator) SeekGE(key []byte) bool {
	return it.usable() && it.moved(it.placed(it.rows.SeekGE(it.own(key))))
}

// SeekLT moves to the last row whose key is before key, which may be what Key
// returned.
func (it *Iterator) SeekLT(key []byte) bool {
	return it.usable() && it.moved(it.placed(it.rows.SeekLT(it.own(key))))
}

// own copies a key, because the iterators below move while they look at it.
func (it *Iterator) own(key []byte) []byte {
	it.sought = append(it.sought[:0], key...)
	return it.sought
}

// Next moves to the next row. On an iterator that is not on a row it does
// nothing.
func (it *Iterator) Next() bool {
	it.steps++
	return it.usable() && it.moved(it.rows.Next())
}

// Prev moves to the row before.
func (it *Iterator) Prev() bool {
	it.steps++
	return it.usable() && it.moved(it.rows.Prev())
}

// Valid tells whether the iterator is on a row.
func (it *Iterator) Valid() bool { return it.err == nil && !it.done && it.rows.Valid() }

// Key is the row's key, good until the next move.
func (it *Iterator) Key() []byte { return it.row.Key }

// Value is the row's value, good until the next move.
func (it *Iterator) Value() []byte { return it.row.Value }

// Error is what ended the iteration early, nil if nothing did.
func (it *Iterator) Error() error { return it.err }

// Close lets go of what the iterator reads and returns its error, if any. It may
// be called more than once.
func (it *Iterator) Close() error {
	if it.done {
		return it.err
	}
	it.done = true
	it.fail(it.rows.Close())
	giveStack(it.stack)
	it.stack, it.rows, it.row = nil, nil, iterator.Row{}
	it.s.counter.iterators.Add(-1)
	it.s.opts.Schedule.Reach(schedule.IteratorClosing)
	it.v.noteSteps(it.steps)
	it.v.release()
	return it.err
}
