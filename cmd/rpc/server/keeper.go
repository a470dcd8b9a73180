package server

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/engine"
)

// keeper sees to it that callers leave one fork of their own, from which more can be
// made: the engine keeps the last fork of a store, but cannot know that the node's own
// do not count. It is used concurrently.
//
// A fork counts when its maker is about to be told of it, and may be known to others a
// little sooner, so the count alone refuses nothing: what would leave none by it looks at
// what there is, with no other drop at the same time.
//
// Drops by name run side by side, and take what they drop off the count first. Drops
// of what a name or an ancestor selects run alone, so that the count stands still but
// for forks that are made.
type keeper struct {
	mu    sync.RWMutex
	forks atomic.Int64 // that callers have, at least, and are not being dropped

	// leaves tells whether callers have more forks than so many.
	leaves func(n int) bool
}

// count begins the count.
func (k *keeper) count(store *engine.Store) {
	own := len(store.ListForks(engine.ListOptions{Prefix: SystemPrefix}))
	k.forks.Store(int64(store.Stats().Forks - own))
	k.leaves = func(n int) bool { return len(store.ListForks(engine.ListOptions{Limit: n + own + 1})) == n+own+1 }
}

// made counts forks that were made.
func (k *keeper) made(n int) { k.forks.Add(int64(n)) }

// drop runs what drops n forks.
func (k *keeper) drop(n int, run func() error) error {
	if counted, err := k.dropBeside(n, run); counted {
		return err
	}
	_, err := k.dropAlone(func() (int, error) { return n, nil }, func() (int, error) { return n, run() })
	return err
}

// dropBeside runs what drops n forks beside others that do, if enough are counted.
func (k *keeper) dropBeside(n int, run func() error) (counted bool, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.forks.Add(int64(-n)) < 1 {
		k.forks.Add(int64(n))
		return false, nil
	}
	if err = run(); err != nil {
		k.forks.Add(int64(n))
	}
	return true, err
}

// dropAlone runs what drops as many forks as it says, unless would, asked before, says
// that no other would be left.
func (k *keeper) dropAlone(would func() (int, error), run func() (int, error)) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, err := would()
	if err != nil {
		return 0, err
	}
	if n > 0 && k.forks.Load()-int64(n) < 1 && !k.leaves(n) {
		return 0, errLast()
	}
	n, err = run()
	if err == nil {
		k.forks.Add(int64(-n))
	}
	return n, err
}

func errLast() error { return fmt.Errorf("%w: it is the last fork", engine.ErrProtected) }
