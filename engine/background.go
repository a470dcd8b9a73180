package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/schedule"
)

// background owns the store's two goroutines: one for memory (consolidate,
// flush, sweep views, reclaim, trim), one for merges, so that a long merge never
// keeps writers waiting for memory. Claims keep them out of each other's way.
type background struct {
	mu        sync.Mutex
	cond      *sync.Cond // broadcast whenever something below changes
	stopping  bool
	memory    worker
	merge     worker
	owing     bool  // what is owed to the manifest is being published
	urgent    int   // callers of Settle: work at full speed, do not rest
	flushErr  error // why the last flush failed; nil after one that succeeded
	logKeptBy error // why a node cannot be written that keeps the log long: no flush for its sake for a while
	failures  int   // of any background work
	lastErr   error // the last of them
	idle      idleViews
	timers    map[*time.Timer]struct{} // those of afterLocked that have not gone off
	resting   resting
	wg        sync.WaitGroup
}

// worker is one of the goroutines. Its fields are under background.mu.
type worker struct {
	name     string
	at       schedule.Point
	do       func() error
	watch    *forktree.Watch // the paths that may have work; under Store.mu
	pending  bool            // there may be something to do
	rests    bool            // after a long turn, unless somebody waits
	blocked  bool            // after a failed turn, whoever waits
	begun    uint64          // turns
	done     uint64          // the number of the last turn that has ended
	failures int             // in a row
	untidy   bool            // reclaiming failed: look again after a while
	rested   time.Time       // when a turn last found nothing left to do, or it began to live
}

// errStopping ends background work when the store is closed.
var errStopping = fmt.Errorf("%w: the store is being closed", ErrClosed)

// After a failed turn a worker waits retryDelay, twice as long after each further
// one, up to maxRetryDelay.
const (
	retryDelay    = 500 * time.Millisecond
	maxRetryDelay = 5 * time.Second
)

// A turn that took longer than shortTurn is followed by a rest of restFactor times
// its length, so that looking at a large tree again and again leaves the lock to
// others.
const (
	shortTurn  = time.Millisecond
	restFactor = 4
	maxRest    = time.Second
)

func (s *Store) startBackground() {
	b := &s.back
	b.cond = sync.NewCond(&b.mu)
	b.idle.after, b.resting.after = viewIdle, restAfter
	b.timers = map[*time.Timer]struct{}{}
	b.memory = worker{name: "memory", at: schedule.MemoryTurn, do: s.tendMemory}
	b.merge = worker{name: "merge", at: schedule.MergeTurn, do: s.tendTables}
	if s.opts.Manual || s.opts.ReadOnly {
		return
	}
	s.mu.Lock()
	b.memory.watch, b.merge.watch = s.mu.tree.Watch(), s.mu.tree.Watch()
	s.mu.Unlock()
	b.memory.rested, b.merge.rested = time.Now(), time.Now()
	b.wg.Add(2)
	go s.work(&b.memory)
	go s.work(&b.merge)
	s.wake()
}

// work is the life of a worker: wait, take a turn, rest.
func (s *Store) work(w *worker) {
	defer s.back.wg.Done()
	for s.beginTurn(w) {
		s.opts.Schedule.Reach(w.at)
		begun := time.Now()
		err := s.contained(w.do)
		if err != nil && !errors.Is(err, errStopping) {
			s.opts.Logger.Error("background work failed", "worker", w.name, "error", err)
		}
		s.endTurn(w, time.Since(begun), err)
	}
}

func (s *Store) contained(do func() error) (err error) {
	defer s.contain(&err)
	if err := s.mu.failed(); err != nil {
		return err
	}
	return do()
}

func (s *Store) beginTurn(w *worker) bool {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.stopping && (!w.pending || w.blocked || w.rests && b.urgent == 0 && !s.overBudget() && !s.logFull()) {
		b.cond.Wait()
	}
	if b.stopping {
		return false
	}
	w.pending = false
	w.begun++
	return true
}

func (s *Store) endTurn(w *worker, took time.Duration, err error) {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	w.done = w.begun
	switch {
	case err == nil:
		w.failures, w.rested = 0, time.Now()
		if w.untidy {
			w.untidy = false
			b.afterLocked(maxRetryDelay, func() { b.memory.pending, b.merge.pending = true, true })
		}
		if took > shortTurn {
			b.pauseLocked(&w.rests, min(restFactor*took, maxRest))
		}
	case !errors.Is(err, errStopping):
		b.failures++
		b.lastErr = err
		w.pending = true
		b.memory.pending = true // there may be files of the failed job to remove
		b.pauseLocked(&w.blocked, min(retryDelay<<min(w.failures, 10), maxRetryDelay))
		w.failures++
	}
	b.cond.Broadcast()
}

// pauseLocked sets a flag for some time.
func (b *background) pauseLocked(flag *bool, d time.Duration) {
	*flag = true
	b.afterLocked(d, func() { *flag = false })
}

// afterLocked calls change, with the lock held, when some time has passed, unless the
// store is closed before: a timer that nobody stops would keep all of it in memory.
func (b *background) afterLocked(d time.Duration, change func()) {
	if b.stopping {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.timers, t)
		change()
		b.cond.Broadcast()
	})
	b.timers[t] = struct{}{}
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
	if s.overBudget() || s.logTooLong() {
		s.wake()
	}
}

func (s *Store) overBudget() bool { return s.memoryBytes.Load() > s.opts.MemtableBytes }

// stopped is asked by long work whether to give up, and sees to it that it does
// not run out of numbers.
func (s *Store) stopped() error {
	if s.closed.Load() {
		return errStopping
	}
	if err := s.failure(); err != nil {
		return err
	}
	if s.idBound.Load()-s.nextID.Load() < lowNumbers {
		if err := s.reserveNumbers(lowNumbers); err != nil && s.idBound.Load()-s.nextID.Load() < fewNumbers {
			return err
		}
	}
	return nil
}

// tendMemory is a turn of the memory worker.
func (s *Store) tendMemory() error {
	_, err := s.pass(s.back.memory.watch, func(k compaction.Kind) bool { return k == compaction.KindConsolidate }, s.whileMemory(s.paced()))
	if errors.Is(err, errStopping) {
		return err
	}
	begun, before := time.Now(), s.counter.memoryFlushed.Load()
	flushErr := s.flushIfNeeded()
	s.noteFlush(int64(s.counter.memoryFlushed.Load()-before), time.Since(begun))
	if errors.Is(flushErr, errRanges) && s.nodeBytes() < s.opts.MemtableBytes {
		// All but some nodes was written, and they leave enough memory to the others.
		s.tidied("a flush", flushErr)
		s.keepLog(flushErr)
		flushErr = nil
	}
	if !errors.Is(flushErr, errStopping) {
		s.back.mu.Lock()
		s.back.flushErr = flushErr
		s.back.cond.Broadcast()
		s.back.mu.Unlock()
	}
	s.tidied("reclaiming space", errors.Join(s.afterSwap(), s.trim(), s.rewriteManifest()))
	s.back.announce() // to those who wait for the log to be trimmed
	s.makeSieves()
	s.makeWeaves()
	return errors.Join(err, flushErr)
}

// whileMemory gives a stop function for what puts more into memory: the rows of a node that
// is entered stay when they are merged for those above. Where writers wait for memory it
// is to be flushed instead; then the next turn goes on.
func (s *Store) whileMemory(stop func() error) func() error {
	return func() error {
		if s.memoryBytes.Load() >= fullBudgets*s.opts.MemtableBytes {
			return errEnough
		}
		return stop()
	}
}

// nodeBytes is the memory of all nodes in memory: what has not been flushed.
func (s *Store) nodeBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.MemoryBytes()
}

// tidied notes an error of work that gives space back. It is done again at the
// next turn, and does not keep the worker from flushing meanwhile.
func (s *Store) tidied(what string, err error) {
	if err == nil || errors.Is(err, ErrClosed) {
		return
	}
	s.opts.Logger.Error(what+" failed", "error", err)
	b := &s.back
	b.mu.Lock()
	b.failures++
	b.lastErr = err
	b.memory.untidy = true
	b.mu.Unlock()
}

func (s *Store) flushIfNeeded() error {
	switch {
	case s.logTooLong() && s.logKeptBy() == nil:
		return s.flush(func(*forktree.Fork) bool { return true })
	case s.overBudget():
		return s.flush(s.largeMemtables())
	}
	return nil
}

// largeMemtables chooses the forks whose memtables are worth a flush of their
// own: those that hold at least their share of half the budget.
func (s *Store) largeMemtables() func(*forktree.Fork) bool {
	share := s.opts.MemtableBytes / 2 / max(s.activeMemtables(), 1)
	return func(f *forktree.Fork) bool { return f.Mem.Bytes() >= share }
}

func (s *Store) activeMemtables() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.mu.tree.ActiveForks() {
		if f.Mem != nil {
			n++
		}
	}
	return n
}

func (s *Store) rewriteManifest() error {
	if !s.man.NeedsRewrite() {
		return nil
	}
	return s.writeError("rewrite the manifest", s.man.Rewrite())
}

// tendTables is a turn of the merge worker.
func (s *Store) tendTables() error {
	tables := func(k compaction.Kind) bool { return k != compaction.KindConsolidate }
	for {
		did, err := s.pass(s.back.merge.watch, tables, s.paced())
		moved, unmoved := s.relocateSparse(false, s.paced())
		if err = errors.Join(err, unmoved); err != nil {
			return err
		}
		tidied, err := s.tidy(s.paced())
		if err != nil || !did && !moved && !tidied {
			return err
		}
	}
}

// isUrgent tells whether somebody waits for the background work to end.
func (b *background) isUrgent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.urgent > 0
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
	if b.idle.timer != nil {
		b.idle.timer.Stop()
	}
	for t := range b.timers {
		t.Stop()
	}
	clear(b.timers)
	b.cond.Broadcast()
	b.mu.Unlock()
	b.wg.Wait()
}
