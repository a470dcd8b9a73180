package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// inTree gives the tree's Fork of a handle, and makes it active.
func (f *Fork) inTree() *forktree.Fork {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.inTreeLocked()
}

func (f *Fork) inTreeLocked() *forktree.Fork {
	t, err := f.treeForkLocked()
	if err != nil {
		panic(err)
	}
	return t
}

// shared gives what all handles on a fork share, and makes it active.
func (f *Fork) shared() *activeFork {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	a, err := f.useLocked()
	if err != nil {
		panic(err)
	}
	return a
}

func restingStore(t *testing.T) (*Store, *Fork, *Fork) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Verify())
		require.NoError(t, s.Close())
	})
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	child, err := main.Fork("child")
	require.NoError(t, err)
	return s, main, child
}

func activeForks(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.tree.ActiveForks())
}

func (f *Fork) has(t *testing.T, key, want string) {
	t.Helper()
	got, err := f.Get([]byte(key))
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func TestOnlyForksInUseAreMoreThanARecord(t *testing.T) {
	s, main, child := restingStore(t)
	for i := range 100 {
		f, err := child.Fork(fmt.Sprint("idle-", i), NoSync)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("idle-", i), f.Name())
	}
	require.Equal(t, 1, activeForks(s), "main, which was written to; making forks and looking at them makes none active")
	child.has(t, "a", "1")
	require.Equal(t, 2, activeForks(s))
	require.NoError(t, s.Settle())
	require.Equal(t, 1, activeForks(s), "the child, which has a view; main's memtable was frozen")
	require.NoError(t, s.Flush())
	require.Equal(t, 0, activeForks(s), "the flush has made the views stale, and nothing is in memory")
	child.has(t, "a", "1")
	main.has(t, "a", "1")
	require.NoError(t, main.Set([]byte("a"), []byte("2")))
	child.has(t, "a", "1")
	main.has(t, "a", "2")
}

func TestForksThatHaveAMemtableDoNotComeToRest(t *testing.T) {
	s, main, child := restingStore(t)
	require.NoError(t, child.Set([]byte("b"), []byte("2")))
	s.restForks()
	s.restForks()
	child.has(t, "b", "2")
	require.NoError(t, child.Set([]byte("c"), []byte("3"), NoSync))
	again, err := s.Fork("child")
	require.NoError(t, err)
	again.has(t, "b", "2")
	again.has(t, "c", "3")
	require.NoError(t, s.Flush())
	again.has(t, "c", "3")
	_, err = main.Get([]byte("b"))
	require.ErrorIs(t, err, ErrNotFound)
}

func TestHandlesFindAForkAgainThatCameToRest(t *testing.T) {
	s, _, child := restingStore(t)
	other, err := s.Fork("child")
	require.NoError(t, err)
	child.has(t, "a", "1")
	other.has(t, "a", "1")
	require.NoError(t, s.Flush())
	s.restForks()
	require.NoError(t, other.Set([]byte("a"), []byte("2")))
	child.has(t, "a", "2") // not what it was when child was used last
	require.NoError(t, s.Flush())
	require.NoError(t, child.Set([]byte("a"), []byte("3")))
	other.has(t, "a", "3")
	b := s.NewBatch()
	b.Set(child, []byte("x"), []byte("1"))
	b.Set(other, []byte("x"), []byte("2"))
	b.Set(child, []byte("x"), []byte("3"))
	require.NoError(t, b.Commit())
	other.has(t, "x", "3")
	require.NoError(t, s.Flush())
	s.restForks()
	require.NoError(t, child.Rename("renamed"))
	require.Equal(t, "renamed", other.Name())
	require.NoError(t, s.Flush())
	s.restForks()
	require.NoError(t, other.Drop())
	_, err = child.Get([]byte("a"))
	require.ErrorIs(t, err, ErrForkNotFound)
	require.ErrorIs(t, child.Set([]byte("a"), nil), ErrForkNotFound)
	require.ErrorIs(t, child.Drop(), ErrForkNotFound)
}

// A reader may have in its hands what the handles shared, when the fork comes to rest
// and another write wakes it. What it builds then is of the fork as it is, and stays
// with nobody: a later write would not find it.
func TestAReaderMayBeSurprisedByAForkComingToRest(t *testing.T) {
	s, _, child := restingStore(t)
	require.NoError(t, s.Flush())
	held, err := child.reader()
	require.NoError(t, err)
	s.restForks()
	require.Equal(t, 0, activeForks(s))
	require.NoError(t, child.Set([]byte("a"), []byte("2")))
	for want := 2; want < 5; want++ {
		got, err := held.AppendGet(nil, []byte("a"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(want), string(got))
		require.Nil(t, held.view)
		require.NoError(t, s.Flush()) // which makes it begin a new memtable
		require.NoError(t, child.Set([]byte("a"), fmt.Append(nil, want+1)))
	}
	require.NoError(t, child.Drop())
	_, err = held.AppendGet(nil, []byte("a"))
	require.ErrorIs(t, err, ErrForkNotFound)
}

func TestForksComeToRestWhileTheyAreUsed(t *testing.T) {
	s, _, child := restingStore(t)
	var done sync.WaitGroup
	for i := range 4 {
		done.Go(func() {
			f, err := s.Fork("child")
			require.NoError(t, err)
			for j := range 300 {
				key := fmt.Appendf(nil, "%d", i)
				if err := f.Set(key, fmt.Append(nil, j), NoSync); err != nil {
					t.Error(err)
				}
				if got, err := f.Get(key); err != nil || string(got) != fmt.Sprint(j) {
					t.Errorf("key %s: %q, %v; want %d", key, got, err, j)
				}
			}
		})
	}
	done.Go(func() {
		for range 30 {
			if err := s.Flush(); err != nil {
				t.Error(err)
			}
			s.restForks()
		}
	})
	done.Wait()
	for i := range 4 {
		child.has(t, fmt.Sprint(i), "299")
	}
}
