package engine

import "time"

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
// locks: it rests if the work since the last rest took a slice. It does not while
// somebody waits for the work to end, or for memory.
func (s *Store) pace() (rest func()) {
	begun := time.Now()
	return func() {
		worked := time.Since(begun)
		if worked < workSlice {
			return
		}
		if !s.hurried() {
			time.Sleep(min(worked, longestRest))
		}
		begun = time.Now()
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
