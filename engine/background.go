package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// background owns the store's two goroutines: one for memory (consolidate,
// flush, sweep views, reclaim, trim), one for merges, so that a long merge never
// keeps writers waiting for memory. Claims keep them out of each other's way.
type background struct {
	mu       sync.Mutex
	cond     *sync.Cond // broadcast whenever something below changes
	stopping bool
	memory   worker
	merge    worker
	urgent   int   // callers of Settle: work at full speed
	flushErr error // why the last flush failed; nil after one that succeeded
	lastErr  error // of any background work
	wg       sync.WaitGroup
}

type worker struct {
	name    string
	pending bool // there may be something to do
	busy    bool
	retryAt bool // a timer will wake it after an error
}

// errStopping ends background work when the store is closed.
var errStopping = errors.New("the store is being closed")

// retryDelay is how long background work waits after an error.
const retryDelay = 500 * time.Millisecond

func (s *Store) startBackground() {
	b := &s.back
	b.cond = sync.NewCond(&b.mu)
	b.memory.name, b.merge.name = "memory", "merge"
	if s.opts.Manual || s.opts.ReadOnly {
		return
	}
	b.wg.Add(2)
	go s.work(&b.memory, s.tendMemory)
	go s.work(&b.merge, s.tendTables)
	s.wake()
}

func (s *Store) work(w *worker, do func() error) {
	b := &s.back
	defer b.wg.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for !w.pending && !b.stopping {
			b.cond.Wait()
		}
		if b.stopping {
			return
		}
		w.pending, w.busy = false, true
		b.mu.Unlock()
		err := do()
		if err != nil && !errors.Is(err, errStopping) {
			s.opts.Logger.Error("background work failed", "worker", w.name, "error", err)
		}
		b.mu.Lock()
		w.busy = false
		if err != nil && !errors.Is(err, errStopping) {
			b.lastErr = err
			s.retryLocked(w)
		}
		b.cond.Broadcast()
	}
}

// retryLocked wakes a worker again some time after an error, unless the store
// has stopped writing for good.
func (s *Store) retryLocked(w *worker) {
	if w.retryAt || s.failure() != nil {
		return
	}
	w.retryAt = true
	time.AfterFunc(retryDelay, func() {
		s.back.mu.Lock()
		w.retryAt = false
		w.pending = true
		s.back.cond.Broadcast()
		s.back.mu.Unlock()
	})
}

// wake tells both workers that there may be something to do.
func (s *Store) wake() {
	if s.opts.Manual || s.opts.ReadOnly {
		return
	}
	b := &s.back
	b.mu.Lock()
	if !b.memory.pending || !b.merge.pending {
		b.memory.pending, b.merge.pending = true, true
		b.cond.Broadcast()
	}
	b.mu.Unlock()
}

// wakeIfFull wakes the workers after a write, if there is a flush to do.
func (s *Store) wakeIfFull() {
	if s.memoryBytes.Load() > s.opts.MemtableBytes || s.log.Bytes() > s.logLimit() {
		s.wake()
	}
}

// logLimit is the length of log that asks for a flush of everything that keeps
// it, so that idle forks never pin the log.
func (s *Store) logLimit() int64 {
	return max(2*s.opts.MemtableBytes, 4*s.opts.SegmentBytes)
}

// stopped is asked by long work whether to give up.
func (s *Store) stopped() error {
	if s.closed.Load() {
		return errStopping
	}
	return s.failure()
}

// tendMemory is what the memory worker does when it is woken.
func (s *Store) tendMemory() error {
	if _, err := s.pass(func(k compaction.Kind) bool { return k == compaction.KindConsolidate }, s.stopped); err != nil {
		return err
	}
	var flushErr error
	switch {
	case s.log.Bytes() > s.logLimit():
		flushErr = s.flush(func(*forktree.Fork) bool { return true })
	case s.memoryBytes.Load() > s.opts.MemtableBytes:
		flushErr = s.flush(s.largeMemtables())
	}
	if !errors.Is(flushErr, errStopping) {
		s.back.mu.Lock()
		s.back.flushErr = flushErr
		s.back.mu.Unlock()
	}
	return errors.Join(flushErr, s.afterSwap(), s.trim(), s.rewriteManifest())
}

// largeMemtables chooses the forks whose memtables are worth a flush of their
// own: those that hold more than their share of half the budget.
func (s *Store) largeMemtables() func(*forktree.Fork) bool {
	s.mu.Lock()
	active := int64(0)
	for _, f := range s.mu.tree.Forks() {
		if f.Mem != nil {
			active++
		}
	}
	s.mu.Unlock()
	share := s.opts.MemtableBytes / 2 / max(active, 1)
	return func(f *forktree.Fork) bool { return f.Mem.Bytes() >= share }
}

func (s *Store) rewriteManifest() error {
	if !s.man.NeedsRewrite() {
		return nil
	}
	return s.writeError("rewrite the manifest", s.man.Rewrite())
}

// tendTables is what the merge worker does when it is woken.
func (s *Store) tendTables() error {
	tables := func(k compaction.Kind) bool { return k != compaction.KindConsolidate }
	for {
		did, err := s.pass(tables, s.paced())
		if err != nil || !did {
			return err
		}
		s.wake()
	}
}

// paced gives a stop function that leaves half of a core to the foreground: after
// each slice of work it rests as long as the slice took, unless somebody waits
// for the work to end.
func (s *Store) paced() func() error {
	const slice = 2 * time.Millisecond
	begun := time.Now()
	return func() error {
		if err := s.stopped(); err != nil {
			return err
		}
		worked := time.Since(begun)
		if worked < slice {
			return nil
		}
		s.back.mu.Lock()
		urgent := s.back.urgent > 0 || s.back.stopping
		s.back.mu.Unlock()
		if !urgent && s.memoryBytes.Load() < s.opts.MemtableBytes {
			time.Sleep(min(worked, 10*slice))
		}
		begun = time.Now()
		return nil
	}
}

// throttle makes a writer wait while twice the memory budget is in use. If the
// memory cannot be flushed, the writer is told why instead.
func (s *Store) throttle() error {
	if s.opts.Manual || s.memoryBytes.Load() < 2*s.opts.MemtableBytes {
		return nil
	}
	s.counter.stalls.Add(1)
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	for s.memoryBytes.Load() >= 2*s.opts.MemtableBytes {
		if b.stopping {
			return ErrClosed
		}
		if err := s.failure(); err != nil {
			return err
		}
		if b.flushErr != nil {
			return b.flushErr
		}
		if !b.memory.pending {
			b.memory.pending = true
			b.cond.Broadcast()
		}
		b.cond.Wait()
	}
	return nil
}

// announce makes waiting writers look at the memory in use again.
func (b *background) announce() {
	b.mu.Lock()
	b.cond.Broadcast()
	b.mu.Unlock()
}

// stopBackground ends the workers and waits for them.
func (s *Store) stopBackground() {
	b := &s.back
	b.mu.Lock()
	b.stopping = true
	b.cond.Broadcast()
	b.mu.Unlock()
	b.wg.Wait()
}
