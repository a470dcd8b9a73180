package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// What an assertion that fails stops depends on what it is about:
//
//   - the rows that a job reads or writes: the job fails, nothing of it is
//     published, and the nodes of its range are left as they are, unmerged and
//     unflushed, until the store is reopened. Everything else goes on.
//   - the tree, under the store's lock: the store stops. It gives no more views and
//     takes no more writes, so that nothing wrong is read or made durable. Iterators
//     that are open go on.
//   - the log or the manifest themselves: the panic is not held up. What may be
//     acknowledged is in doubt then, and no process should go on with that.

// treeLock is the lock of the tree. A panic that passes through a section whose
// Unlock is deferred leaves the lock free and the tree broken.
type treeLock struct {
	sync.Mutex
	broken atomic.Pointer[breakdown]
}

// breakdown is the panic that has left the tree in an unknown state.
type breakdown struct{ cause any }

func (b *breakdown) err() error {
	if err, ok := b.cause.(error); ok {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return fmt.Errorf("%w: %v", ErrBroken, b.cause)
}

// Unlock ends a section. If it is deferred and a panic passes, it notes that.
func (l *treeLock) Unlock() {
	if cause := recover(); cause != nil {
		l.broken.CompareAndSwap(nil, &breakdown{cause})
		l.Mutex.Unlock()
		panic(cause)
	}
	l.Mutex.Unlock()
}

// failed is the error of a store whose tree is broken, nil while it is sound.
func (l *treeLock) failed() error {
	if b := l.broken.Load(); b != nil {
		return b.err()
	}
	return nil
}

// contain is deferred by what runs jobs. It makes an error of a panic that has
// broken the tree, and lets every other pass.
func (s *Store) contain(err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	broken := s.mu.failed()
	if broken == nil {
		panic(cause)
	}
	s.opts.Logger.Error("the store has stopped", "error", broken, "stack", string(debug.Stack()))
	s.mu.unclaimed.Broadcast() // the job's claims are never given back: nobody shall wait for them
	s.back.announce()
	*err = broken
}

// shielded runs the part of a job that reads and writes rows. An assertion that
// fails in it becomes an error, and the nodes that it is about are let be from
// then on.
func (s *Store) shielded(c *forktree.Claim, rows func() error) (err error) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		violation, ok := cause.(invariant.Violation)
		if !ok || s.mu.failed() != nil {
			panic(cause)
		}
		err = fmt.Errorf("%w: %w", ErrBroken, violation)
		s.opts.Logger.Error("a job has failed an assertion", "error", err, "stack", string(debug.Stack()))
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range c.Range {
			s.mu.letBe[n.ID] = err
		}
	}()
	return rows()
}

// letBeError is why nodes in memory, up to upTo, cannot be flushed.
func (s *Store) letBeError(upTo ids.NodeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.letBe) == 0 {
		return nil
	}
	var failed error
	for _, n := range s.mu.tree.Nodes() {
		if err := s.mu.letBe[n.ID]; err != nil && n.Mem != nil && n.ID < upTo {
			failed = errors.Join(failed, fmt.Errorf("node %d: %w", n.ID, err))
		}
	}
	return failed
}
