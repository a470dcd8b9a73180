package engine

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/spin"
)

// What an assertion that fails stops depends on what it is about:
//
//   - the rows that a job reads or writes: the job fails, nothing of it is
//     published, and the nodes of its range are left as they are, unmerged and
//     unflushed, until the store is reopened. Everything else goes on.
//   - the tree, under the store's lock: the store stops. It builds no more views,
//     takes no more writes, and the manifest takes nothing more to disk, so that
//     nothing wrong is read or made durable, no file is removed and no log trimmed.
//     Views that were built before, and iterators over them, go on.
//   - the log or the manifest themselves: the panic is not held up. What may be
//     acknowledged is in doubt then, and no process should go on with that.

// treeLock is the lock of the tree. A panic that passes through a section whose
// Unlock is deferred leaves the lock free and the tree broken.
//
// Sections take microseconds, so who finds the lock taken looks again for as long before
// he sleeps (internal/spin). Who has slept is woken on the
// processor of whoever gave the lock free, and if no other is idle, gets it when the
// turn of that one ends, which is after 10 ms; meanwhile that one takes the lock again
// and again. So those who have passed others stand back.
type treeLock struct {
	sync.Mutex
	waiting  atomic.Int32 // how many wait
	passed   int          // how often others were faster since one who waited got it; under the lock
	broken   atomic.Pointer[breakdown]
	onBroken func(error) // called under the lock, before anybody else gets it; nil: nothing
}

// breakdown is what a panic that has left the tree in an unknown state goes on
// as.
type breakdown struct{ cause any }

// Error tells the panic. It matches ErrBroken.
func (b *breakdown) Error() string { return b.Unwrap().Error() }

func (b *breakdown) Unwrap() error {
	if err, ok := b.cause.(error); ok {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return fmt.Errorf("%w: %v", ErrBroken, b.cause)
}

// mayPass is how often those who wait for the lock may be passed before others stand
// back. Never would cost a change of goroutines for each of many short waits.
const mayPass = 2

// Lock begins a section.
func (l *treeLock) Lock() {
	if l.TryLock() || spin.Patiently(l.TryLock) {
		if l.waiting.Load() > 0 {
			l.passed++
		}
		return
	}
	l.waiting.Add(1)
	l.Mutex.Lock()
	l.waiting.Add(-1)
	l.passed = 0
}

// Unlock ends a section. If it is deferred and a panic passes, the tree is broken.
func (l *treeLock) Unlock() {
	cause := recover()
	if cause == nil {
		standBack := l.passed > mayPass
		l.Mutex.Unlock()
		if standBack {
			runtime.Gosched()
		}
		return
	}
	b, again := cause.(*breakdown)
	if !again {
		b = &breakdown{cause}
	}
	if l.broken.CompareAndSwap(nil, b) && l.onBroken != nil {
		l.onBroken(b)
	}
	l.Mutex.Unlock()
	panic(b)
}

// rest lets others have the lock in the middle of a long section.
func (l *treeLock) rest() {
	l.Mutex.Unlock()
	runtime.Gosched()
	l.Mutex.Lock()
}

// failed is the error of a store whose tree is broken, nil while it is sound.
func (l *treeLock) failed() error {
	if b := l.broken.Load(); b != nil {
		return b
	}
	return nil
}

// contain is deferred by what runs jobs. It makes an error of a panic that broke
// the tree, and lets every other pass.
func (s *Store) contain(err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	broken, ok := cause.(*breakdown)
	if !ok {
		panic(cause)
	}
	s.opts.Logger.Error("the store has stopped", "error", broken, "stack", string(debug.Stack()))
	*err = broken
}

// stopPublishing is what happens first when the tree is broken: the manifest takes
// no more of it. Those who wait for a claim or for memory will not get it.
func (s *Store) stopPublishing(broken error) {
	if s.man != nil {
		s.man.Poison(broken)
	}
	s.mu.unclaimed.Broadcast()
	s.back.announce()
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

// unshielded makes a function that jobs call in between let its panics through: it
// is about numbers, manifest and log, not about rows.
func unshielded(stop func() error) func() error {
	return func() error {
		defer func() {
			cause := recover()
			if violation, ok := cause.(invariant.Violation); ok {
				cause = "not about rows: " + violation.Error()
			}
			if cause != nil {
				panic(cause)
			}
		}()
		return stop()
	}
}

// letBeError is why some nodes stay in memory whatever is flushed.
func (s *Store) letBeError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.letBe) == 0 {
		return nil
	}
	var failed error
	for _, n := range s.mu.tree.Nodes() {
		if err := s.mu.letBe[n.ID]; err != nil && n.Mem != nil {
			failed = errors.Join(failed, fmt.Errorf("node %d: %w", n.ID, err))
		}
	}
	return failed
}
