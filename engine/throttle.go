package engine

import (
	"math/rand/v2"
	"time"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
)

// Rows can come into memory faster than a flush takes them out. Then writers are held
// back, and only those who cause it: what a writer has to bear follows the debt of the
// forks that it writes, which is what they hold in memory.
//
//   - Above the memory budget each commit pauses, the longer the more memory is in use
//     and the larger the forks' part of it, up to the time that a flush takes for as
//     many bytes.
//   - At twice the budget writers of forks that hold much of it wait: a certain part of the
//     budget, or no less than is usual. Where many forks hold little each it is they who
//     use the memory up, also those that are new and write their first row.
//   - At three times the budget all wait.
const (
	fullBudgets   = 2
	brimmingAbove = 3

	// quietPart is the part of the budget, one in so many, that a fork may hold and
	// still be none of those who cause it, unless the half of what a memtable or node in
	// memory has on the average is less.
	quietPart = 32

	// Shorter pauses are taken by chance, so that they cost what they should on the
	// average; longer ones are cut off.
	shortestPause = time.Millisecond
	longestPause  = 10 * time.Millisecond

	// debtNodes is how many nodes of a path are looked at for what a fork has frozen.
	debtNodes = 64
)

// throttle holds back a writer of the forks of a batch. If the memory cannot be
// flushed, the writer is told why instead of waiting.
func (s *Store) throttle(parts []batchPart) error {
	budget := s.opts.MemtableBytes
	used := s.memoryBytes.Load()
	if s.opts.Manual || used <= budget {
		return nil
	}
	d := s.debt(parts)
	switch {
	case used >= s.roomFor(d):
		return s.waitForRoom(parts)
	case d.held >= budget/quietPart:
		size := 0
		for _, p := range parts {
			size += len(p.ops)
		}
		defer s.clock.memoryWaits.since(time.Now())
		pause(pauseFor(int64(size), used, budget, d.held, s.flushRate.Load()))
	}
	return nil
}

// debt is what the forks of a batch hold in memory, and how that compares.
type debt struct {
	held  int64 // now
	after int64 // with the batch
	usual int64 // what a memtable or a node in memory has on the average
}

// roomFor is the memory in use at which writers of forks with that debt wait.
func (s *Store) roomFor(d debt) int64 {
	budgets := int64(fullBudgets)
	if d.little(s.opts.MemtableBytes) {
		budgets = brimmingAbove
	}
	return budgets * s.opts.MemtableBytes
}

// little tells whether the forks are none of those who use the memory up.
func (d debt) little(budget int64) bool {
	return d.held < budget/quietPart && d.after <= d.usual/2
}

func (s *Store) debt(parts []batchPart) (d debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		d.held += s.debtLocked(p.fork)
		d.after += int64(len(p.ops))
		if x := s.mu.tree.ActiveFork(p.fork.id); x == nil || x.Mem == nil {
			d.after += emptyMemtable
		}
	}
	d.after += d.held
	d.usual = s.memoryBytes.Load() / int64(max(1, s.mu.activeMems+s.mu.tree.MemoryNodes()))
	return d
}

// emptyMemtable is the memory of a memtable without a row: that of a small one is not much more.
var emptyMemtable = memtable.New().Bytes()

// debtLocked is what a fork has written and is not in tables: its memtable, and the
// nodes at the top of its path that were its memtables.
func (s *Store) debtLocked(f *Fork) (n int64) {
	var top *forktree.Node
	if x := s.mu.tree.ActiveFork(f.id); x != nil {
		top = x.Top
		if x.Mem != nil {
			n = x.Mem.Bytes()
		}
	} else if r, ok := s.mu.tree.ForkRecord(f.id); ok {
		top = s.mu.tree.NodeByID(r.Top)
	}
	seen := 0
	for x := top; x != nil && x.Mem != nil && seen < debtNodes; x = x.Older {
		if x.Fork == f.id {
			n += x.Mem.Bytes()
		}
		seen++
	}
	return n
}

// pauseFor is how long a commit of so many bytes is held up. perSecond is what a flush
// writes; nothing is known while it is 0.
func pauseFor(size, used, budget, debt, perSecond int64) time.Duration {
	if perSecond <= 0 || used <= budget {
		return 0
	}
	share := min(float64(debt)/float64(used), 1)
	depth := min(float64(used-budget)/float64(budget), 1)
	return time.Duration(share * depth * float64(size) / float64(perSecond) * float64(time.Second))
}

func pause(d time.Duration) {
	if d < shortestPause {
		if rand.Float64()*float64(shortestPause) >= float64(d) {
			return
		}
		d = shortestPause
	}
	time.Sleep(min(d, longestPause))
}

// waitForRoom waits until there is room for writers of the forks.
func (s *Store) waitForRoom(parts []batchPart) error {
	s.counter.stalls.Add(1)
	defer s.clock.memoryWaits.since(time.Now())
	for first := true; ; first = false {
		d := s.debt(parts)
		if s.memoryBytes.Load() < s.roomFor(d) {
			return nil
		}
		if err := s.waitForFlush(d, first); err != nil {
			return err
		}
	}
}

// waitForFlush waits until the memory worker has something to tell, if there is no
// room. d may be a little out of date: while there is no room the worker takes one
// turn after the other, and tells of each. Who waits calls for the first turn, which
// ends a rest of the worker; later ones are asked for once by all who wait, so that
// they do not wake each other without end.
func (s *Store) waitForFlush(d debt, first bool) error {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.memoryBytes.Load() < s.roomFor(d) {
		return nil
	}
	switch {
	case b.stopping:
		return ErrClosed
	case s.failure() != nil:
		return s.failure()
	case b.flushErr != nil:
		return b.flushErr
	}
	if first || !b.memory.pending {
		b.memory.pending = true
		b.cond.Broadcast()
	}
	b.cond.Wait()
	return nil
}

// noteFlush learns from a turn of the memory worker how fast a flush is.
func (s *Store) noteFlush(bytes int64, took time.Duration) {
	if bytes < s.opts.MemtableBytes/quietPart || took <= 0 {
		return
	}
	rate := int64(float64(bytes) / took.Seconds())
	if before := s.flushRate.Load(); before > 0 {
		rate = (3*before + rate) / 4
	}
	s.flushRate.Store(max(rate, 1))
}
