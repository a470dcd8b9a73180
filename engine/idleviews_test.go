package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func TestViewsOutOfUseAreLetGoOf(t *testing.T) {
	m := newMarking(t, 8<<10)
	old := m.layer(MainFork, "abc")
	young := m.layer(MainFork, "b")
	m.makeFork(MainFork, "used")
	m.makeFork(MainFork, "idle")
	m.holds(m.s)
	m.s.forgetViews()
	read := func(name string) {
		_, err := m.fork(name).Get([]byte("a"))
		require.NoError(t, err)
	}
	used := m.view("used")
	read("idle")
	m.s.sweepViews()
	require.Len(t, m.s.mu.viewed, 2, "both were used before the sweep")
	read("used")
	m.s.sweepViews()
	require.Len(t, m.s.mu.viewed, 1)
	require.Same(t, used, m.view("used"))

	it, err := m.fork("idle").NewIter(Range{})
	require.NoError(t, err)
	m.s.sweepViews()
	m.s.sweepViews()
	require.Empty(t, m.s.mu.viewed)
	require.Len(t, m.s.mu.views, 1, "the iterator's")
	m.merge(young, old)
	keys := ""
	for ok := it.First(); ok; ok = it.Next() {
		keys += string(it.Key())
	}
	require.Equal(t, "abc", keys)
	require.NoError(t, it.Close())
	require.Empty(t, m.s.mu.views)
	require.Empty(t, m.s.mu.flats)
	m.sound()
}

// The background work looks for such views although nothing is written, and stops
// looking when there are none.
func TestIdleViewsGoInAnIdleStore(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New()})
	require.NoError(t, err)
	defer s.Close()
	s.back.mu.Lock()
	s.back.idle.after = time.Millisecond
	s.back.mu.Unlock()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	for range 3 {
		_, err = f.Get([]byte("a"))
		require.ErrorIs(t, err, ErrNotFound)
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.back.mu.Lock()
			defer s.back.mu.Unlock()
			return len(s.mu.views) == 0 && s.back.idle.timer == nil
		}, 20*time.Second, time.Millisecond)
	}
}
