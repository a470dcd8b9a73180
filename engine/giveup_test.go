package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// givesUp runs something until its context ends, a while after it began. It must end
// then, though what it waits for does not.
func givesUp(t *testing.T, what string, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- do(ctx) }()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.DeadlineExceeded, what)
	case <-time.After(time.Minute):
		require.Fail(t, "it waits on", what)
	}
}

func TestWhoWaitsForAnotherJobCanStopWaiting(t *testing.T) {
	m := newMarking(t, 1<<20)
	m.set(MainFork, "abc")
	m.s.jobs.Lock() // a Compact of somebody else
	givesUp(t, "flush", m.s.FlushContext)
	givesUp(t, "compact", m.s.CompactContext)
	givesUp(t, "settle", m.s.SettleContext)
	m.s.jobs.Unlock()
	require.Zero(t, m.s.Stats().Flushes)
	require.NoError(t, m.s.Flush())
	m.holds(m.s)
}

func TestAFlushThatIsGivenUpHasWrittenWhatItCould(t *testing.T) {
	m := newMarking(t, 1<<20)
	m.set(MainFork, "abc")
	m.makeFork(MainFork, "x")
	m.set("x", "cd")
	require.NoError(t, m.s.freezeForks(func(*forktree.Fork) bool { return true }))
	held := m.claim(m.top("x"), m.top("x"))
	givesUp(t, "a flush of what another job holds", m.s.FlushContext)
	require.EqualValues(t, 1, m.s.Stats().Flushes)
	m.s.unclaim(held)
	m.holds(m.s)
	require.NoError(t, m.s.Flush())
	require.EqualValues(t, 2, m.s.Stats().Flushes)
	m.holds(m.s)
}

func TestACompactThatIsGivenUpEndsWithinAMerge(t *testing.T) {
	m := newMarking(t, 1<<10)
	for range 3 {
		m.fill(MainFork, 0, 2000, 1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.at(schedule.MergePicked, cancel)
	m.at(schedule.MergeWritten, func() { require.Fail(t, "it merged on") })
	require.ErrorIs(t, m.s.CompactContext(ctx), context.Canceled)
	delete(m.held, schedule.MergeWritten)
	m.happened()
	require.Zero(t, m.s.Stats().BackgroundFailures)
	before := m.s.Stats().Merges
	require.NoError(t, m.s.Compact(), "nothing is claimed or let be for good")
	require.Greater(t, m.s.Stats().Merges, before)
	m.holdsRows()
}

func TestWhoWaitsForTheBackgroundCanStopWaiting(t *testing.T) {
	gate, reached := make(chan struct{}), make(chan struct{}, 100)
	s, err := Open("/db", &Options{FS: crashfs.New(), Schedule: schedule.New(0, func(p schedule.Point) {
		if p == schedule.MergeTurn {
			reached <- struct{}{}
			<-gate
		}
	})})
	require.NoError(t, err)
	<-reached
	givesUp(t, "settle", s.SettleContext)
	givesUp(t, "compact", s.CompactContext)
	close(gate)
	go func() {
		for range reached {
		}
	}()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Close())
	close(reached)
}
