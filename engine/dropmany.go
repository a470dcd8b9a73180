package engine

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/wal"
)

// DropForks drops all of the forks or none, a crash included: one log record of 8
// bytes a fork, and one fsync. None is dropped if one is gone already
// (ErrForkNotFound), if no other fork of the store would be left (ErrProtected), or
// if there are more than MaxDropMany (ErrLimit). A fork may be given more than once.
// See Fork.Drop.
func (s *Store) DropForks(forks []*Fork, opts ...WriteOption) error {
	for _, f := range forks {
		if f == nil || f.s != s {
			return fmt.Errorf("drop forks: a fork is nil or belongs to another store")
		}
	}
	all := make([]ids.ForkID, 0, len(forks))
	seen := make(map[ids.ForkID]struct{}, len(forks))
	for _, f := range forks {
		if _, again := seen[f.id]; !again {
			seen[f.id] = struct{}{}
			all = append(all, f.id)
		}
	}
	_, err := s.dropMany("drop forks", opts, func() ([]ids.ForkID, error) {
		for _, f := range forks {
			if _, err := f.topLocked(); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
	return err
}

// DropPrefix drops the forks whose names begin with prefix: all that there are at one
// moment, or none. It tells how many; that there are none is no error. For what is
// refused see DropForks. It costs O(those forks).
func (s *Store) DropPrefix(prefix string, opts ...WriteOption) (int, error) {
	return s.dropMany(fmt.Sprintf("drop forks %q…", prefix), opts, func() ([]ids.ForkID, error) {
		return s.prefixedLocked(prefix), nil
	})
}

// DropSubtree drops f, the forks that were made from it or from snapshots of it, and
// those made from these, and so on: all that there are at one moment, or none. It
// tells how many. What was made from a fork that is gone is not found through it. For
// what is refused see Store.DropForks. It costs O(forks that are younger than f), most of
// which are looked at before anybody has to wait for it.
func (f *Fork) DropSubtree(opts ...WriteOption) (int, error) {
	b := newSubtree(f.id)
	f.s.explore(b)
	return f.s.dropMany("drop subtree", opts, func() ([]ids.ForkID, error) {
		t := f.s.mu.tree
		if _, err := f.topLocked(); err != nil {
			return nil, err
		}
		for _, id := range b.found {
			if _, ok := t.ForkTop(id); !ok { // what was found through it may have to be left out
				*b = *newSubtree(f.id)
				break
			}
		}
		for b.goOn(t) {
		}
		return b.found, nil
	})
}

// Subtree walks f, the forks that were made from it or from snapshots of it, and those made
// from these, and so on: by rising number, f first. It gives handles, which are bound to
// the names that the forks have then if f is bound to its name (ForkWhileNamed). It looks
// at a slice of the forks at a time, so that nobody waits for it, and what is made, dropped
// or renamed meanwhile may be found or not. It ends with ErrLimit behind MaxDropMany forks.
// It costs O(forks that are younger than f), and memory for the numbers of those that it
// has found.
func (f *Fork) Subtree() iter.Seq2[*Fork, error] {
	return func(yield func(*Fork, error) bool) {
		b := newSubtree(f.id)
		rest := f.s.pace()
		for given, more := 0, true; more; rest() {
			var some []*Fork
			var err error
			if some, more, err = f.subtreeSlice(b, given); err != nil {
				yield(nil, err)
				return
			}
			given = len(b.found)
			for _, x := range some {
				if !yield(x, nil) {
					return
				}
			}
		}
		if len(b.found) > MaxDropMany {
			yield(nil, fmt.Errorf("what was made from fork %q: %w: more than %d forks", f.Name(), ErrLimit, MaxDropMany))
		}
	}
}

// subtreeSlice looks at some more forks, and gives handles of those that are found and not
// given yet. The root comes with the first.
func (f *Fork) subtreeSlice(b *subtree, given int) (some []*Fork, more bool, err error) {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, false, ErrClosed
	}
	if given == 0 {
		if _, err := f.recordLocked(); err != nil {
			return nil, false, err
		}
	}
	more = b.goOn(s.mu.tree)
	for _, id := range b.found[given:min(len(b.found), MaxDropMany)] {
		if r, ok := s.mu.tree.ForkRecord(id); ok {
			some = append(some, &Fork{s: s, id: id, name: r.Name, bound: f.bound})
		}
	}
	return some, more, nil
}

// prefixedLocked gives the forks whose names begin with prefix, by name; of more than
// can be dropped at once, one more.
func (s *Store) prefixedLocked(prefix string) (out []ids.ForkID) {
	for _, f := range s.mu.tree.ForksWithPrefix(prefix, "", MaxDropMany+1) {
		out = append(out, f.ID)
	}
	return out
}

// subtree is a fork and what came of it, as far as it has been explored: by rising id,
// and numbers rise, so that every fork comes after what it was made from. Of more than
// can be dropped at once it has some more. It is as the tree is now if all that it has
// found is still there, and it is explored to the end.
type subtree struct {
	found  []ids.ForkID
	within map[ids.ForkID]struct{}
	after  ids.ForkID // the forks behind it have not been looked at
}

func newSubtree(root ids.ForkID) *subtree {
	return &subtree{found: []ids.ForkID{root}, within: map[ids.ForkID]struct{}{root: {}}, after: root}
}

// exploredAtOnce is how many forks are looked at under one hold of the lock.
const exploredAtOnce = 1024

// goOn looks at some more forks, and tells whether there are others behind them.
func (b *subtree) goOn(t *forktree.Tree) (more bool) {
	b.after, more = t.ParentsByID(b.after, exploredAtOnce, func(fork, parent ids.ForkID) {
		if _, made := b.within[parent]; made {
			b.within[fork] = struct{}{}
			b.found = append(b.found, fork)
		}
	})
	return more && len(b.found) <= MaxDropMany
}

// explore looks at the forks there are, in slices.
func (s *Store) explore(b *subtree) {
	for rest := s.pace(); s.exploreSome(b); rest() {
	}
}

func (s *Store) exploreSome(b *subtree) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed.Load() && b.goOn(s.mu.tree)
}

// errOtherForks says that the room promised for a record does not fit the forks that
// there are now.
var errOtherForks = errors.New("the forks have changed")

// dropMany drops the forks that pick gives, and tells how many. pick is called with
// the lock held: once for the length of the record, for which room has to be made
// without the lock, and again when the record gets its place. If the number has
// changed in between, all begins anew.
func (s *Store) dropMany(what string, opts []WriteOption, pick func() ([]ids.ForkID, error)) (int, error) {
	for {
		count, err := s.pickCount(pick)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", what, err)
		}
		if count == 0 {
			return 0, nil
		}
		err = s.dropPicked(what, opts, pick, count)
		if !errors.Is(err, errOtherForks) {
			if err == nil {
				s.owe(count - 1)
				s.wake()
			} else {
				count = 0
			}
			return count, err
		}
	}
}

func (s *Store) pickCount(pick func() ([]ids.ForkID, error)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	forks, err := pick()
	if err == nil {
		err = s.droppableLocked(forks)
	}
	return len(forks), err
}

func (s *Store) dropPicked(what string, opts []WriteOption, pick func() ([]ids.ForkID, error), count int) error {
	rec := wal.DropMany{Forks: make([]ids.ForkID, count)}
	payload := rec.AppendTo(nil)
	return s.record(deed{what: what}, schedule.DropPlaced, true, len(payload), synced(opts), func(ids.LSN) (wal.Kind, []byte, error) {
		forks, err := pick()
		if err != nil {
			return 0, nil, err
		}
		if len(forks) != count {
			return 0, nil, errOtherForks
		}
		if err := s.droppableLocked(forks); err != nil {
			return 0, nil, err
		}
		copy(rec.Forks, forks)
		for _, id := range slices.Backward(forks) { // the youngest first: the fewest records change places
			s.dropLocked(id)
		}
		return wal.KindDropMany, rec.AppendTo(payload[:0]), nil
	})
}

func (s *Store) droppableLocked(forks []ids.ForkID) error {
	switch {
	case len(forks) > MaxDropMany:
		return fmt.Errorf("%w: more than %d forks at once", ErrLimit, MaxDropMany)
	case len(forks) > 0 && len(forks) == s.mu.tree.ForkCount():
		return fmt.Errorf("no fork would be left: %w", ErrProtected)
	}
	return nil
}
