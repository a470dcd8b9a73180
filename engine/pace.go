package engine

import (
	"runtime"
	"time"
)

// Background work shares the processors with those who read and write. A goroutine
// that has to wait for a lock, or for another's write to the log, is woken on the
// processor of whoever it waited for, and unless another one is free it stays there
// until the runtime ends that goroutine's turn: up to 10 ms, for a wait of one
// microsecond. So work that may take long is done in slices with a rest behind each,
// and whatever has to run finds a processor after a slice, at most.

// workSlice is how long background work goes on before it rests, unless one step of it
// takes longer. A rest is as long as the work before it, so that half of a core is left
// to the foreground, but no longer than longestRest.
const (
	workSlice   = 250 * time.Microsecond
	longestRest = 20 * time.Millisecond
)

// pace gives a function that is called between the steps of background work, without
// locks: it rests if the work since the last rest took a slice. While somebody waits for the
// work to end, or for memory, it only gives way.
func (s *Store) pace() (rest func()) { return sliced(s.hurried) }

// sliced is pace for work that is asked whether it must go on.
func sliced(hurried func() bool) (rest func()) {
	var w way
	begun := time.Now()
	return func() {
		worked := time.Since(begun)
		if worked < workSlice {
			return
		}
		if hurried() {
			w.give(worked)
		} else {
			time.Sleep(min(worked, longestRest))
		}
		begun = time.Now()
	}
}

// way is how work that must not rest lets others run who are ready: they have the processor
// until they wait for something or their turn ends. Whoever only ever reads
// and writes has turns of 10 ms, so what has given that much goes on as long before it gives way
// again. It belongs to one goroutine.
type way struct {
	given time.Duration // the last time
	since time.Duration // worked since then
}

// give is told how long the work went on since it was called last. What is longer than
// a step takes was not all work.
func (w *way) give(worked time.Duration) {
	if w.since += min(worked, 4*workSlice); w.since < w.given {
		return
	}
	begun := time.Now()
	runtime.Gosched()
	w.given, w.since = time.Since(begun), 0
}

// paced gives a stop function that rests now and then, see pace.
func (s *Store) paced() func() error { return s.stoppedOr(s.pace()) }

// givingWay gives a stop function for work that never rests, a flush.
func (s *Store) givingWay() func() error {
	return s.stoppedOr(sliced(func() bool { return true }))
}

func (s *Store) stoppedOr(rest func()) func() error {
	return func() error {
		if err := s.stopped(); err != nil {
			return err
		}
		rest()
		return nil
	}
}

// hurried tells whether background work should not rest.
func (s *Store) hurried() bool {
	if s.overBudget() || s.log != nil && s.logFull() {
		return true
	}
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.urgent > 0 || b.stopping
}
