package engine

import (
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
)

// A fork that nobody uses is a record in the tree and nothing else: no memtable, no
// view, no object of any kind. The first read or write through one of its handles
// makes it active, and all handles share what it has then. When it has neither a
// memtable nor a view any more the sweeper lets it come to rest again; handles find
// that out at their next use.

// activeFork is what the engine keeps about a fork that is in use. It belongs to the
// tree's Fork, as its Local.
type activeFork struct {
	viewer
	f    *forktree.Fork
	idle atomic.Bool // it came to rest: whoever still has this one must look the fork up again. Set under Store.mu
}

// useLocked gives what the engine keeps about a fork of the tree.
func (s *Store) useLocked(f *forktree.Fork) *activeFork {
	if a, ok := f.Local.(*activeFork); ok {
		return a
	}
	a := &activeFork{f: f}
	a.s = s
	id := f.ID
	a.state = func() (*forktree.Node, *memtable.Memtable, error) {
		now := a.f
		if a.idle.Load() { // a reader had it in its hands when it came to rest
			a.passing = true
			now = s.mu.tree.ForkByID(id)
		}
		if now == nil || now.Dropped() {
			return nil, nil, fmt.Errorf("fork %d: %w", id, ErrForkNotFound)
		}
		m, _ := now.Mem.(*memtable.Memtable)
		return now.Top, m, nil
	}
	f.Local = a
	return a
}

// treeForkLocked gives the tree's Fork of the handle, and makes it active.
func (f *Fork) treeForkLocked() (*forktree.Fork, error) {
	if a := f.used.Load(); a != nil && !a.idle.Load() {
		if a.f.Dropped() || !f.meansLocked(a.f.Name) {
			return nil, f.gone()
		}
		return a.f, nil
	}
	t := f.s.mu.tree.ForkByID(f.id)
	if t == nil || !f.meansLocked(t.Name) {
		return nil, f.gone()
	}
	return t, nil
}

// useLocked makes the fork active and gives what its handles share.
func (f *Fork) useLocked() (*activeFork, error) {
	t, err := f.treeForkLocked()
	if err != nil {
		return nil, err
	}
	a := f.s.useLocked(t)
	f.used.Store(a)
	return a, nil
}

// reader gives what the fork is read through.
func (f *Fork) reader() (*viewer, error) {
	if a := f.used.Load(); a != nil && !a.idle.Load() {
		return &a.viewer, nil
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.closed.Load() {
		return nil, ErrClosed
	}
	if err := f.s.mu.failed(); err != nil {
		return nil, err
	}
	a, err := f.useLocked()
	if err != nil {
		return nil, err
	}
	return &a.viewer, nil
}

// restForks makes the forks idle that have neither a memtable nor a view. It holds the
// lock for a slice at a time.
func (s *Store) restForks() {
	rest := s.pace()
	for from := -1; from != 0; {
		from = s.restSlice(from)
		rest()
	}
}

// restSlice looks at some active forks below from, the last first: one that comes to
// rest gives its place to the last, which has been looked at. It gives where to go on.
func (s *Store) restSlice(from int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.failed() != nil {
		return 0
	}
	active := s.mu.tree.ActiveForks()
	if from < 0 || from > len(active) {
		from = len(active)
	}
	to := max(0, from-sweepSlice)
	for i := from - 1; i >= to; i-- {
		s.restLocked(s.mu.tree.ActiveForks()[i])
	}
	return to
}

func (s *Store) restLocked(f *forktree.Fork) {
	if f.Mem != nil {
		return
	}
	if a, ok := f.Local.(*activeFork); ok {
		a.mu.Lock()
		used := a.view != nil
		a.mu.Unlock()
		if used {
			return
		}
		a.idle.Store(true)
	}
	s.mu.tree.Rest(f)
}

// Get returns the value of key as a copy that belongs to the caller, or
// ErrNotFound.
func (f *Fork) Get(key []byte) ([]byte, error) { return f.AppendGet(nil, key) }

// AppendGet appends the value of key to dst and returns the extended slice; it
// allocates only if dst is too short. On an error, ErrNotFound among them, dst is
// returned as it was.
func (f *Fork) AppendGet(dst, key []byte) ([]byte, error) {
	r, err := f.reader()
	if err != nil {
		return dst, fmt.Errorf("get: %w", err)
	}
	out, err := r.AppendGet(dst, key)
	if gone := f.stillMeant(); gone != nil {
		return dst, fmt.Errorf("get: %w", gone)
	}
	return out, err
}

// NewIter opens an iterator over a range. It is not positioned.
func (f *Fork) NewIter(rng Range) (*Iterator, error) {
	r, err := f.reader()
	if err != nil {
		return nil, fmt.Errorf("open iterator: %w", err)
	}
	it, err := r.NewIter(rng)
	if gone := f.stillMeant(); gone != nil && err == nil {
		return nil, fmt.Errorf("open iterator: %w", errors.Join(gone, it.Close()))
	}
	return it, err
}

// Scan walks the rows of a range in key order, for use with range. The slices it
// yields are good until the next row. rows can be ranged over once; after the
// loop err tells whether it ended because of an error.
//
//	rows, err := fork.Scan(engine.Range{})
//	for key, value := range rows { … }
//	if err() != nil { … }
func (f *Fork) Scan(rng Range) (rows iter.Seq2[[]byte, []byte], err func() error) {
	return scan(f.NewIter, rng)
}
