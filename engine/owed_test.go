package engine

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// heldManifest is a store with its background work on, whose manifest cannot be
// written while it is held.
type heldManifest struct {
	*Store
	held    atomic.Bool
	release chan struct{}
	reached atomic.Int64 // writes of the manifest that were held
}

func newHeldManifest(t *testing.T, disk *crashfs.FS) *heldManifest {
	h := &heldManifest{release: make(chan struct{})}
	s, err := Open("db", &Options{FS: disk, Schedule: schedule.New(0, func(p schedule.Point) {
		if p == schedule.ManifestWriting && h.held.Load() {
			h.reached.Add(1)
			<-h.release
		}
	})})
	require.NoError(t, err)
	h.Store = s
	return h
}

// within runs do and fails, after letting the manifest go, if it does not return.
func (h *heldManifest) within(t *testing.T, what string, do func() error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		close(h.release)
		<-done
		t.Fatal(what)
	}
}

func forkMany(t *testing.T, s *Store, label string, n int) func() error {
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	return func() error {
		for i := range n {
			if _, err := f.Fork(fmt.Sprintf("%s-%d", label, i), NoSync); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestForksThatNeedNotBeDurableWaitForNoDisk(t *testing.T) {
	disk := crashfs.New()
	h := newHeldManifest(t, disk)
	h.held.Store(true)
	const forks = 3 * maxOwed
	h.within(t, "unsynced forks wait for the manifest", forkMany(t, h.Store, "f", forks))
	require.Eventually(t, func() bool { return h.reached.Load() > 0 }, 20*time.Second, time.Millisecond, "nothing was published")
	h.held.Store(false)
	close(h.release)
	require.NoError(t, h.Settle())
	require.NoError(t, h.Verify())
	require.NoError(t, h.Close())

	s, err := Open("db", &Options{FS: disk})
	require.NoError(t, err)
	require.Equal(t, forks+1, s.Stats().Forks)
	require.NoError(t, s.Close())
}

// Who owes too much waits for the transaction that is under way, not for the one with
// what is owed as well.
func TestForksGoOnWhileWhatTheyOweIsWritten(t *testing.T) {
	h := newHeldManifest(t, crashfs.New())
	require.NoError(t, h.Settle())
	publishing := func(yes bool) {
		h.back.mu.Lock()
		defer h.back.mu.Unlock()
		h.back.owing = yes
	}
	publishing(true) // as it looks to those who fork: nothing is published
	require.NoError(t, forkMany(t, h.Store, "f", owedTooMany)())
	publishing(false)
	h.held.Store(true)
	h.within(t, "unsynced forks wait for their own transaction", forkMany(t, h.Store, "g", 2*maxOwed))
	require.Eventually(t, func() bool { return h.reached.Load() > 0 }, 20*time.Second, time.Millisecond, "nothing was published")
	h.held.Store(false)
	close(h.release)
	require.NoError(t, h.Settle())
	require.NoError(t, h.Verify())
	require.NoError(t, h.Close())
}

func TestWhoOwesTheManifestTooMuchWaitsForIt(t *testing.T) {
	h := newHeldManifest(t, crashfs.New())
	h.held.Store(true)
	done := make(chan error, 1)
	many := forkMany(t, h.Store, "f", owedTooMany+20*maxOwed)
	go func() { done <- many() }()
	require.Eventually(t, func() bool { return h.Stats().Forks > owedTooMany }, 20*time.Second, time.Millisecond)
	// It cannot be waited for that somebody waits. Who does not is soon done.
	select {
	case err := <-done:
		require.NoError(t, err)
		require.Fail(t, "nobody waited", "%d forks are not published", h.Stats().Forks)
	case <-time.After(300 * time.Millisecond):
	}
	// A transaction with as many is under way, and not everybody who forks asks.
	require.LessOrEqual(t, h.Stats().Forks, 2*(owedTooMany+maxOwed)+1)
	h.held.Store(false)
	close(h.release)
	require.NoError(t, <-done)
	require.NoError(t, h.Close())
}
