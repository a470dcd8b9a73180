package engine

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// held is a store whose flushes are held until it is released.
type held struct {
	*testing.T
	s       *Store
	release func()
}

const heldBudget = 256 << 10

func newHeld(t *testing.T) *held {
	return newHeldOn(t, Options{FS: crashfs.New(), MemtableBytes: heldBudget})
}

func newHeldOn(t *testing.T, o Options) *held {
	goOn := make(chan struct{})
	h := &held{T: t, release: sync.OnceFunc(func() { close(goOn) })}
	o.Schedule = schedule.New(0, func(p schedule.Point) {
		if p == schedule.FlushPicked {
			<-goOn
		}
	})
	var err error
	h.s, err = Open("/db", &o)
	require.NoError(t, err)
	t.Cleanup(func() {
		h.release()
		require.NoError(t, h.s.Close())
	})
	return h
}

func (h *held) fork(name string) *Fork {
	main, err := h.s.Fork(MainFork)
	require.NoError(h, err)
	f, err := main.Fork(name, NoSync)
	require.NoError(h, err)
	return f
}

// write fails the test if the writer is held up.
func (h *held) write(f *Fork, i int) {
	h.Helper()
	done := make(chan error, 1)
	go func() { done <- f.Set(fmt.Appendf(nil, "%06d", i), bytes.Repeat([]byte("v"), 100), NoSync) }()
	select {
	case err := <-done:
		require.NoError(h, err)
	case <-time.After(20 * time.Second):
		h.release()
		require.FailNow(h, "a writer is held up", "write %d, with %d bytes in memory", i, h.s.Stats().MemtableBytes)
	}
}

// flood writes to a fork until the store is closed or stopped, and tells when it has
// been made to wait.
func (h *held) flood(f *Fork, stop <-chan struct{}) (ended <-chan error) {
	stalls := h.s.Stats().WriteStalls
	done := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := f.Set(fmt.Appendf(nil, "%06d", i), bytes.Repeat([]byte("v"), 1000), NoSync); err != nil {
				done <- err
				return
			}
		}
	}()
	require.Eventually(h, func() bool { return h.s.Stats().WriteStalls > stalls }, 20*time.Second, time.Millisecond)
	return done
}

func TestAFloodingForkDoesNotHoldUpAQuietOne(t *testing.T) {
	h := newHeld(t)
	loud, quiet := h.fork("loud"), h.fork("quiet")
	stop := make(chan struct{})
	ended := h.flood(loud, stop)
	used := h.s.Stats().MemtableBytes
	require.GreaterOrEqual(t, used, int64(2*heldBudget))
	require.Less(t, used, int64(3*heldBudget))
	for i := range 10 {
		h.write(quiet, i)
	}
	require.EqualValues(t, 1, h.s.Stats().WriteStalls, "only the flood waits")
	close(stop)
	h.release()
	require.NoError(t, <-ended)
	require.NoError(t, h.s.Settle())
	require.NoError(t, h.s.Verify())
}

// The log gets long by those who write much. They wait below its bound, and leave room
// for others.
func TestAForkThatFillsTheLogDoesNotHoldUpAQuietOne(t *testing.T) {
	o := Options{FS: crashfs.New(), MemtableBytes: 1 << 30, SegmentBytes: 16 << 10, MaxLogBytes: 16 * 16 << 10}
	h := newHeldOn(t, o)
	loud, quiet := h.fork("loud"), h.fork("quiet")
	stop := make(chan struct{})
	ended := h.flood(loud, stop)
	used := h.s.log.SealedBytes()
	require.Less(t, used, h.s.logRoom())
	require.GreaterOrEqual(t, used, h.s.logLimit(false))
	for i := range 10 {
		h.write(quiet, i)
		h.write(h.fork(fmt.Sprint("new-", i)), i)
	}
	require.EqualValues(t, 1, h.s.Stats().WriteStalls, "only the flood waits")
	require.Less(t, h.s.log.SealedBytes(), h.s.logRoom(), "and it does wait")
	other := h.flood(h.fork("loud-too"), stop)
	require.Less(t, h.s.log.SealedBytes(), h.s.logRoom())
	close(stop)
	h.release()
	require.NoError(t, <-ended)
	require.NoError(t, <-other)
	require.NoError(t, h.s.Settle())
	require.NoError(t, h.s.Verify())
}

// What a fork has frozen is its debt like what is in its memtable.
func TestForkingDoesNotMakeAFloodQuiet(t *testing.T) {
	h := newHeld(t)
	loud := h.fork("loud")
	b := h.s.NewBatch()
	for i := range heldBudget / 100 {
		b.Set(loud, fmt.Appendf(nil, "%06d", i), bytes.Repeat([]byte("v"), 100))
	}
	require.NoError(t, b.Commit(NoSync))
	child, err := loud.Fork("child", NoSync)
	require.NoError(t, err)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	require.Greater(t, h.s.debtLocked(loud), int64(heldBudget))
	require.Zero(t, h.s.debtLocked(child), "it has written nothing")
}

// Forks that hold little each use up the memory together: each new one that does as they
// do waits at twice the budget, one that writes a row or two at three times.
func TestManyQuietForksWaitTogether(t *testing.T) {
	for _, valueBytes := range []int{heldBudget / 64, 100, 0} {
		t.Run(fmt.Sprint(valueBytes), func(t *testing.T) {
			h := newHeld(t)
			var ended []chan error
			made := 0
			next := func(valueBytes int) {
				f := h.fork(fmt.Sprint("f", made))
				made++
				done := make(chan error, 1)
				stalls := h.s.Stats().WriteStalls // before the write, which may wait at once
				go func() { done <- f.Set([]byte("k"), bytes.Repeat([]byte("v"), valueBytes), NoSync) }()
				require.Eventually(t, func() bool { return len(done) > 0 || h.s.Stats().WriteStalls > stalls }, 20*time.Second, 10*time.Microsecond)
				ended = append(ended, done)
			}
			for h.s.Stats().WriteStalls == 0 {
				next(valueBytes)
			}
			used := h.s.Stats().MemtableBytes
			require.GreaterOrEqual(t, used, int64(2*heldBudget))
			require.Less(t, used, int64(2*heldBudget+heldBudget/16), "the first that finds so much in use waits")
			if valueBytes == heldBudget/64 {
				stalls := h.s.Stats().WriteStalls
				for range 10 {
					next(1)
				}
				require.Equal(t, stalls, h.s.Stats().WriteStalls, "these hold less than is usual")
			}
			h.release()
			for _, done := range ended {
				require.NoError(t, <-done)
			}
			require.NoError(t, h.s.Settle())
			require.NoError(t, h.s.Verify())
		})
	}
}

// Forks that are quiet wait too, before any amount of memory is used up.
func TestAllWaitAtThreeTimesTheBudget(t *testing.T) {
	h := newHeld(t)
	loud := h.fork("loud")
	b := h.s.NewBatch()
	b.Set(loud, []byte("k"), make([]byte, 3*heldBudget))
	require.NoError(t, b.Commit(NoSync))
	quiet := h.fork("quiet")
	require.Zero(t, h.s.Stats().WriteStalls)
	ended := make(chan error, 1)
	go func() { ended <- quiet.Set([]byte("k"), []byte("v"), NoSync) }()
	require.Eventually(t, func() bool { return h.s.Stats().WriteStalls > 0 }, 20*time.Second, time.Millisecond)
	h.release()
	require.NoError(t, <-ended)
	require.NoError(t, h.s.Settle())
	require.NoError(t, h.s.Verify())
}

func TestPausesFollowTheDebt(t *testing.T) {
	const budget, rate = 64 << 20, 100 << 20
	for _, c := range []struct {
		name       string
		used, debt int64
		want       time.Duration
	}{
		{"no pause within the budget", budget, budget, 0},
		{"the time of a flush for all that is in memory, at the brim", 2 * budget, 2 * budget, 10 * time.Millisecond},
		{"no more above it", 3 * budget, 3 * budget, 10 * time.Millisecond},
		{"half of it half way up", budget * 3 / 2, budget * 3 / 2, 5 * time.Millisecond},
		{"a part of it for a part of what is in memory", 2 * budget, budget / 2, 2500 * time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.InDelta(t, c.want, pauseFor(1<<20, c.used, budget, c.debt, rate), 1000)
		})
	}
	require.Zero(t, pauseFor(1<<20, 2*budget, budget, budget, 0), "nothing is known of flushes yet")
}

// Who waits at the bound has left room for the current segment and for both spares,
// which may be there or may yet come.
func TestTheBoundOfTheLogCountsEachFileOfIt(t *testing.T) {
	o := Options{FS: crashfs.New(), MemtableBytes: 1 << 30, SegmentBytes: 16 << 10, MaxLogBytes: 16 * 16 << 10}
	h := newHeldOn(t, o)
	main := h.fork("origin")
	require.NoError(t, main.Set([]byte("row"), []byte("that is to be flushed"), NoSync))
	stalls, done := h.s.Stats().WriteStalls, make(chan error, 1)
	go func() {
		for i := 0; h.s.Stats().WriteStalls == stalls; i++ {
			names := make([]string, 100)
			for n := range names {
				names[n] = fmt.Sprintf("fork-%d-%d", i, n)
			}
			if _, err := main.ForkMany(names, NoSync); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	require.Eventually(t, func() bool { return h.s.Stats().WriteStalls > stalls }, 20*time.Second, time.Millisecond)
	const cur, spares = 1, 2
	require.LessOrEqual(t, h.s.log.SealedBytes()+(cur+spares)*o.SegmentBytes, o.MaxLogBytes)
	h.release()
	require.NoError(t, <-done)
}
