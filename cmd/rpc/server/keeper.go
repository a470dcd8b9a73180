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
// Drops by name run side by side, and take what they drop off the count first. Drops
// of what a name or an ancestor selects run alone, so that the count stands still but
// for forks that are made.
type keeper struct {
	mu    sync.RWMutex
	forks atomic.Int64 // that callers have, at least, and are not being dropped
}

// count begins the count.
func (k *keeper) count(store *engine.Store) {
	own := len(store.ListForks(engine.ListOptions{Prefix: SystemPrefix}))
	k.forks.Store(int64(store.Stats().Forks - own))
}

// made counts forks that were made.
func (k *keeper) made(n int) { k.forks.Add(int64(n)) }

// drop runs what drops n forks.
func (k *keeper) drop(n int, run func() error) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.forks.Add(int64(-n)) < 1 {
		k.forks.Add(int64(n))
		return errLast()
	}
	err := run()
	if err != nil {
		k.forks.Add(int64(n))
	}
	return err
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
	if n > 0 && k.forks.Load()-int64(n) < 1 {
		return 0, errLast()
	}
	n, err = run()
	if err == nil {
		k.forks.Add(int64(-n))
	}
	return n, err
}

func errLast() error { return fmt.Errorf("%w: it is the last fork", engine.ErrProtected) }
