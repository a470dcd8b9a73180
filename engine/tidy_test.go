package engine

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// fill sets n keys beginning with the given one, those with a number that is a multiple of every.
func (m *marking) fill(fork string, from, n, every int) {
	for i := from; i < from+n; i += every {
		m.wrote++
		key, value := fmt.Sprintf("%06d", i), fmt.Sprintf("%030d", m.wrote)
		require.NoError(m, m.fork(fork).Set([]byte(key), []byte(value), NoSync))
		m.want[fork][key] = value
	}
	m.flush()
}

// holdsRows compares what each fork holds with what it must hold, and then the same of
// the store reopened.
func (m *marking) holdsRows() {
	for range 2 {
		for name, want := range m.want {
			rows, failed := m.fork(name).Scan(Range{})
			n := 0
			for key, value := range rows {
				require.Equal(m, want[string(key)], string(value), "fork %s, key %s", name, key)
				n++
			}
			require.NoError(m, failed())
			require.Equal(m, len(want), n, "fork %s", name)
		}
		require.NoError(m, m.s.Settle())
		require.NoError(m, m.s.Verify())
		m.reopen(4 << 10)
	}
}

// At rest rows that newer ones shadow are merged away, where that gives space back
// and where it is worth it.
func TestAtRestShadowedRowsAreMergedAway(t *testing.T) {
	const rows = 2000
	for _, c := range []struct {
		name   string
		do     func(m *marking)
		merged bool
		runs   int // at rest
	}{
		{"a tenth of the rows, all over", func(m *marking) { m.fill(MainFork, 0, rows, 10) }, true, 1},
		{"a tenth of the rows, side by side", func(m *marking) { m.fill(MainFork, rows/2, rows/10, 1) }, true, 1},
		{"a thirtieth of the rows is not worth it", func(m *marking) { m.fill(MainFork, 0, rows, 30) }, false, 2},
		{"new rows between the old ones shadow nothing", func(m *marking) {
			for i := range rows / 5 {
				require.NoError(m, m.fork(MainFork).Set(fmt.Appendf(nil, "%06d+", i*5), []byte("new"), NoSync))
				m.want[MainFork][fmt.Sprintf("%06d+", i*5)] = "new"
			}
			m.flush()
		}, false, 2},
		{"old rows that new ones lie over, in turns", func(m *marking) {
			m.fill(MainFork, 0, rows, 31)
			m.fill(MainFork, 1, rows, 31)
			m.fill(MainFork, 2, rows, 31)
		}, true, 1},
		{"a fork keeps the old rows", func(m *marking) {
			m.makeFork(MainFork, "old")
			m.fill(MainFork, 0, rows, 10)
		}, false, 2},
		{"a fork kept the old rows, and is dropped", func(m *marking) {
			m.makeFork(MainFork, "old")
			m.fill(MainFork, 0, rows, 10)
			require.NoError(m, m.s.Compact())
			require.Zero(m, m.s.Stats().Merges)
			m.drop("old")
		}, true, 1},
		{"a snapshot keeps the old rows, and a fork its own over them", func(m *marking) {
			_, err := m.fork(MainFork).Snapshot("old")
			require.NoError(m, err)
			m.makeFork(MainFork, "child")
			m.fill("child", 0, rows, 10)
			m.fill("child", 0, rows, 100)
		}, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 4<<10)
			m.fill(MainFork, 0, rows, 1)
			c.do(m)
			require.NoError(t, m.s.Compact())
			require.Equal(t, c.merged, m.s.Stats().Merges > 0, "%+v", m.s.Stats())
			runs := 0
			for n := m.top(MainFork); n != nil; n = n.Older {
				runs++
			}
			require.Equal(t, c.runs, runs)
			merges := m.s.Stats().Merges
			require.NoError(t, m.s.Compact())
			require.Equal(t, merges, m.s.Stats().Merges, "it is at rest")
			m.holdsRows()
		})
	}
}

// Tables that another node holds too would be there twice after a merge.
func TestAtRestWhatIsSharedIsLetBe(t *testing.T) {
	m := newMarking(t, 4<<10)
	m.fill(MainFork, 0, 2000, 1)
	old := m.top(MainFork)
	m.makeFork(MainFork, "old")
	m.fill(MainFork, 100, 10, 1)
	require.NotEmpty(t, m.partial(m.top(MainFork), old), "both have most tables")
	m.fill(MainFork, 0, 2000, 10)
	merges, bytes := m.s.Stats().Merges, m.s.Stats().TableBytes
	require.NoError(t, m.s.Compact())
	require.Equal(t, merges, m.s.Stats().Merges)
	m.drop("old")
	require.NoError(t, m.s.Compact())
	require.Equal(t, merges+1, m.s.Stats().Merges)
	require.Less(t, m.s.Stats().TableBytes, bytes*95/100)
	m.holdsRows()
}

// A file that is alive for the most part waits for a time of rest.
func TestAtRestFilesWithDeadTablesAreEmptied(t *testing.T) {
	for _, c := range []struct {
		dropped         int
		busy, restSaves bool
	}{
		{1, false, false},
		{3, false, true},
		{7, true, true},
	} {
		t.Run(fmt.Sprint(c.dropped, " of 10 forks are dropped"), func(t *testing.T) {
			m := newMarking(t, 64<<10)
			for i := range 10 {
				m.makeFork(MainFork, fmt.Sprint(i))
				for j := range 20 {
					key, value := fmt.Sprintf("%06d", j), fmt.Sprint(i, "-", j)
					require.NoError(t, m.fork(fmt.Sprint(i)).Set([]byte(key), []byte(value)))
					m.want[fmt.Sprint(i)][key] = value
				}
			}
			m.flush()
			for i := range c.dropped {
				m.drop(fmt.Sprint(i))
			}
			require.NoError(t, m.s.afterSwap())
			did, err := m.s.relocateSparse(false, func() error { return nil })
			require.NoError(t, err)
			require.Equal(t, c.busy, did)
			require.NoError(t, m.s.Compact())
			require.Equal(t, c.restSaves, m.s.Stats().TablesRelocated > 0)
			require.LessOrEqual(t, m.s.Stats().TablesRelocated, uint64(10-c.dropped))
			m.holdsRows()
		})
	}
}

// A large run is not read whole to be counted.
func TestShadowedRowsAreCountedOnASample(t *testing.T) {
	m := newMarking(t, 64<<10)
	r := rand.New(rand.NewSource(1))
	m.fill(MainFork, 0, 20_000, 1)
	for i := range 10_000 {
		key := fmt.Sprintf("%06d", r.Intn(20_000))
		if i%2 == 0 {
			key += "+"
		}
		require.NoError(t, m.fork(MainFork).Set([]byte(key), []byte("new"), NoSync))
	}
	m.flush()
	c := m.claim(m.top(MainFork), m.top(MainFork).Older)
	defer m.s.unclaim(c)
	runs := m.s.claimedRuns(c)
	places := 0
	share, err := m.s.shadowing(runs[0], runs[1:], nil, func() error { places++; return nil })
	require.NoError(t, err)
	require.InDelta(t, 0.5, share, 0.06)
	require.LessOrEqual(t, places, shadowPlaces+2*len(runs[0].run.Tables))
	share, err = m.s.shadowing(runs[1], runs[:1], nil, m.s.stopped)
	require.NoError(t, err)
	require.InDelta(t, 0.2, share, 0.06)
}

// By itself a store tidies up when it has been let alone for a while, and at once when
// somebody waits for it to come to rest.
func TestAStoreTidiesUpAtRest(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		ask   bool
	}{
		{"by itself", time.Millisecond, false},
		{"when it is asked to", time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open("/db", &Options{FS: crashfs.New(), TableBytes: 4 << 10, BlockBytes: 1 << 10})
			require.NoError(t, err)
			s.back.mu.Lock()
			s.back.resting.after = c.after
			s.back.mu.Unlock()
			f, err := s.Fork(MainFork)
			require.NoError(t, err)
			for every := 1; every <= 10; every *= 10 {
				for i := 0; i < 1000; i += every {
					require.NoError(t, f.Set(fmt.Appendf(nil, "%06d", i), fmt.Append(nil, every), NoSync))
				}
				require.NoError(t, s.Flush())
			}
			if c.ask {
				require.Eventually(t, s.isUntidy, 20*time.Second, time.Millisecond)
				require.Zero(t, s.Stats().Merges, "it is not at rest yet")
			} else {
				require.Eventually(t, func() bool { return s.Stats().Merges > 0 }, 20*time.Second, time.Millisecond)
			}
			require.NoError(t, s.Settle())
			require.EqualValues(t, 1, s.Stats().Merges)
			require.False(t, s.isUntidy())
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())
		})
	}
}

// Who writes is not disturbed: the store is not at rest then, and what was noted stays
// noted.
func TestAStoreThatIsWrittenToIsNotAtRest(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New()})
	require.NoError(t, err)
	defer s.Close()
	s.back.mu.Lock()
	s.back.resting.after = time.Nanosecond
	s.back.mu.Unlock()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	s.atRest()
	time.Sleep(time.Microsecond)
	require.True(t, s.atRest())
	s.back.mu.Lock()
	s.back.resting.after = time.Hour
	s.back.resting.since = time.Now().Add(-2 * time.Hour)
	s.back.mu.Unlock()
	require.True(t, s.atRest())
	require.NoError(t, f.Set([]byte("a"), []byte("little")))
	require.True(t, s.atRest(), "a little counts as nothing")
	require.NoError(t, f.Set([]byte("a"), make([]byte, restBytes)))
	require.False(t, s.atRest())
	require.False(t, s.atRest(), "nor is it right afterwards")
}

// What was noted is not forgotten when the work is ended, and does not pile up.
func TestWhatIsUntidyIsNoted(t *testing.T) {
	m := newMarking(t, 4<<10)
	m.fill(MainFork, 0, 2000, 1)
	m.fill(MainFork, 0, 2000, 10)
	top := m.top(MainFork)
	m.s.mu.Lock()
	m.s.noteUntidyLocked(top)
	for id := ids.NodeID(1); id <= 1200; id++ { // of nodes that are gone
		m.s.mu.untidy[1_000_000+id] = struct{}{}
	}
	m.s.noteUntidyLocked(top)
	require.Len(t, m.s.mu.untidy, 1)
	m.s.mu.Unlock()
	did, err := m.s.tidy(func() error { return errStopping })
	require.ErrorIs(t, err, errStopping)
	require.False(t, did)
	require.True(t, m.s.isUntidy())
	did, err = m.s.tidy(m.s.stopped)
	require.NoError(t, err)
	require.True(t, did)
	require.False(t, m.s.isUntidy())
	m.holdsRows()
}
