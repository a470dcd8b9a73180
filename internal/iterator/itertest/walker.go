package itertest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/tinedb/tine/internal/iterator"
)

// walker moves an iterator and a position in a slice alike, and fails the test
// where they differ. The last moves are kept to be printed.
type walker struct {
	t    *testing.T
	rows []Row
	open func() iterator.Iterator
	it   iterator.Iterator
	row  *Row // where it is to leave its rows; nil if it was not told
	at   int  // in rows; -1 = not valid
	past []string
	key  []byte // buffer that is passed to seeks and then overwritten
}

func newWalker(t *testing.T, rows []Row, open func() iterator.Iterator) *walker {
	w := newPlainWalker(t, rows, open)
	w.row = new(Row)
	w.it.Into(w.row)
	return w
}

// newPlainWalker does not tell the iterator where to leave its rows.
func newPlainWalker(t *testing.T, rows []Row, open func() iterator.Iterator) *walker {
	return &walker{t: t, rows: rows, open: open, it: open(), at: -1}
}

func (w *walker) first() bool { return w.moved(w.it.First(), 0, "First") }
func (w *walker) last() bool  { return w.moved(w.it.Last(), len(w.rows)-1, "Last") }

func (w *walker) seekGE(key []byte) bool {
	w.key = append(w.key[:0], key...)
	ok := w.it.SeekGE(w.key)
	w.scramble()
	return w.moved(ok, w.firstGE(key), "SeekGE(%q)", key)
}

func (w *walker) seekLT(key []byte) bool {
	w.key = append(w.key[:0], key...)
	ok := w.it.SeekLT(w.key)
	w.scramble()
	return w.moved(ok, w.firstGE(key)-1, "SeekLT(%q)", key)
}

func (w *walker) next() bool {
	w.check()
	to := -1
	if w.at >= 0 {
		to = w.at + 1
	}
	return w.moved(w.it.Next(), to, "Next")
}

func (w *walker) prev() bool {
	w.check()
	to := -1
	if w.at >= 0 {
		to = w.at - 1
	}
	return w.moved(w.it.Prev(), to, "Prev")
}

// random makes one move; seekPercent of the moves that are neither First nor
// Last are seeks. With 0 it is always a seek.
func (w *walker) random(rng *rand.Rand, seekPercent int) {
	switch n := rng.IntN(100); {
	case seekPercent == 0 || n < seekPercent/2:
		key := []byte(nil)
		if len(w.rows) > 0 {
			keys := around(w.rows[rng.IntN(len(w.rows))].Key)
			key = keys[rng.IntN(len(keys))]
		}
		if rng.IntN(2) == 0 {
			w.seekGE(key)
		} else {
			w.seekLT(key)
		}
	case n >= 98:
		w.first()
	case n >= 96:
		w.last()
	case rng.IntN(2) == 0:
		w.next()
	default:
		w.prev()
	}
}

// moved records a move with its result, and checks where it led to.
func (w *walker) moved(ok bool, to int, format string, args ...any) bool {
	w.t.Helper()
	w.past = append(w.past, fmt.Sprintf(format, args...))
	if len(w.past) > 12 {
		w.past = w.past[1:]
	}
	if to < 0 || to >= len(w.rows) {
		to = -1
	}
	w.at = to
	if ok != (to >= 0) {
		w.fail("returned %v, want %v", ok, to >= 0)
	}
	w.check()
	return ok
}

// check compares the iterator with the slice. It reads everything twice: reading
// must not change anything.
func (w *walker) check() {
	w.t.Helper()
	for range 2 {
		if err := w.it.Error(); err != nil {
			w.fail("failed: %v", err)
		}
		if got := w.it.Valid(); got != (w.at >= 0) {
			w.fail("Valid() = %v, want %v", got, w.at >= 0)
		}
		if w.at < 0 {
			continue
		}
		want := w.rows[w.at]
		if got := w.it.Key(); !bytes.Equal(got, want.Key) {
			w.fail("stands on key %q, want %q", got, want.Key)
		}
		if got := w.it.Value(); !bytes.Equal(got, want.Value) {
			w.fail("key %q has value %q, want %q", want.Key, got, want.Value)
		}
		if got := w.it.Kind(); got != want.Kind {
			w.fail("key %q has kind %d, want %d", want.Key, got, want.Kind)
		}
		if w.row == nil {
			continue
		}
		if got := *w.row; !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) || got.Kind != want.Kind {
			w.fail("left the row %q, %d, %q, want %q, %d, %q", got.Key, got.Kind, got.Value, want.Key, want.Kind, want.Value)
		}
	}
}

func (w *walker) close() {
	w.t.Helper()
	if err := w.it.Close(); err != nil {
		w.fail("Close: %v", err)
	}
}

// scramble overwrites the buffer of the last seek: the caller may do so.
func (w *walker) scramble() {
	for i := range w.key {
		w.key[i] ^= 0x55
	}
}

func (w *walker) firstGE(key []byte) int {
	return sort.Search(len(w.rows), func(i int) bool { return bytes.Compare(w.rows[i].Key, key) >= 0 })
}

func (w *walker) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("the iterator %s\nlast moves: %v", fmt.Sprintf(format, args...), w.past)
}
