package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/wal"
)

// These tests make an assertion fail on purpose, which only the package itself
// can do.

func brokenStore(t *testing.T, manual bool) (*Store, *Fork, *crashfs.FS) {
	t.Helper()
	disk := crashfs.New()
	s, err := Open("/db", &Options{FS: disk, Manual: manual, SegmentBytes: 64 << 10})
	require.NoError(t, err)
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	return s, f, disk
}

// broken demands that nothing more is written or newly read, that an iterator
// opened before goes on, and that what was acknowledged is there after a reopen.
func broken(t *testing.T, s *Store, f *Fork, it *Iterator, disk *crashfs.FS) {
	t.Helper()
	for _, err := range []error{f.Set([]byte("b"), []byte("2")), f.Drop(), s.Flush(), s.Compact()} {
		require.ErrorIs(t, err, ErrPoisoned)
		require.ErrorIs(t, err, ErrBroken)
		require.ErrorContains(t, err, "on purpose")
	}
	other, err := s.Fork(MainFork)
	require.NoError(t, err)
	s.mu.Lock()
	s.forgetForkViewLocked(f.used.Load().f)
	s.mu.Mutex.Unlock()
	_, err = other.Get([]byte("a"))
	require.ErrorIs(t, err, ErrBroken)
	require.True(t, it.First())
	require.Equal(t, "a", string(it.Key()))
	require.NoError(t, it.Close())
	require.ErrorIs(t, s.Close(), ErrBroken)
	require.Zero(t, disk.OpenFiles())

	again, err := Open("/db", &Options{FS: disk})
	require.NoError(t, err)
	f, err = again.Fork(MainFork)
	require.NoError(t, err)
	value, err := f.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(value))
	require.NoError(t, again.Verify())
	require.NoError(t, again.Close())
}

func TestAssertionInAWriteStopsTheStoreAndReachesTheCaller(t *testing.T) {
	s, f, disk := brokenStore(t, true)
	it, err := f.NewIter(Range{})
	require.NoError(t, err)
	require.Panics(t, func() {
		_ = s.record(deed{what: "test"}, schedule.DropPlaced, false, 8, true, func(ids.LSN) (wal.Kind, []byte, error) {
			invariant.Check(false, "on purpose")
			return 0, nil, nil
		})
	})
	broken(t, s, f, it, disk)
}

func TestAssertionInABackgroundInstallStopsTheStoreAndNotTheProcess(t *testing.T) {
	s, f, disk := brokenStore(t, false)
	require.NoError(t, s.Settle())
	it, err := f.NewIter(Range{})
	require.NoError(t, err)
	s.back.mu.Lock()
	for s.back.memory.begun != s.back.memory.done {
		s.back.cond.Wait()
	}
	s.back.memory.do = func() error {
		return s.install(nil, schedule.FlushPlaced, func() { invariant.Check(false, "on purpose") })
	}
	s.back.mu.Unlock()
	require.ErrorIs(t, s.Settle(), ErrBroken)
	broken(t, s, f, it, disk)
}

func TestAnyOtherPanicOfABackgroundJobIsNotHeldUp(t *testing.T) {
	s, _, _ := brokenStore(t, true)
	require.PanicsWithValue(t, "log", func() { _ = s.contained(func() error { panic("log") }) })
	require.NoError(t, s.mu.failed())
	require.NoError(t, s.Close())
}

// twoForks has two forks with runs of their own over a shared one, enough of them
// that each path has something to merge.
func twoForks(t *testing.T) (*Store, [2]*Fork) {
	s, f, _ := brokenStore(t, true)
	child, err := f.Fork("child")
	require.NoError(t, err)
	forks := [2]*Fork{f, child}
	for i := range 8 {
		for n, f := range forks {
			require.NoError(t, f.Set([]byte("a"), fmt.Appendf(nil, "%d of %d", i, n), NoSync))
		}
		require.NoError(t, s.Flush())
	}
	return s, forks
}

func requireValues(t *testing.T, forks [2]*Fork, format string) {
	t.Helper()
	for n, f := range forks {
		value, err := f.Get([]byte("a"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(format, n), string(value))
	}
}

// failOnPurpose is a job on one node in which an assertion fails.
func failOnPurpose(t *testing.T, s *Store, n *forktree.Node) {
	t.Helper()
	s.mu.Lock()
	claim := s.claimLocked([]*forktree.Node{n})
	s.mu.Unlock()
	err := s.shielded(claim, func() error { invariant.Check(false, "on purpose"); return nil })
	require.ErrorIs(t, err, ErrBroken)
	require.NotErrorIs(t, err, ErrPoisoned)
	s.unclaim(claim)
}

func TestAssertionAboutTheRowsOfAMergeFailsThatPathOnly(t *testing.T) {
	s, forks := twoForks(t)
	failOnPurpose(t, s, forks[0].inTree().Top)
	require.NoError(t, s.failure())
	require.NoError(t, s.Compact(), "what is wrong is let be, the rest is merged")
	s.mu.Lock()
	length := func(f *Fork) (n int) {
		for range forktree.Path(f.inTreeLocked().Top) {
			n++
		}
		return n
	}
	require.Greater(t, length(forks[0]), length(forks[1]))
	s.mu.Unlock()
	require.NoError(t, forks[0].Set([]byte("a"), []byte("new 0")))
	require.NoError(t, forks[1].Set([]byte("a"), []byte("new 1")))
	require.NoError(t, s.Flush())
	requireValues(t, forks, "new %d")
	require.NoError(t, s.Close())
}

func TestAssertionAboutTheRowsOfAFlushFailsThatNodeOnly(t *testing.T) {
	s, forks := twoForks(t)
	for n, f := range forks {
		require.NoError(t, f.Set([]byte("a"), fmt.Appendf(nil, "new %d", n)))
	}
	require.NoError(t, s.freezeForks(func(*forktree.Fork) bool { return true }))
	failOnPurpose(t, s, forks[0].inTree().Top)
	require.ErrorContains(t, s.Flush(), "on purpose")
	requireValues(t, forks, "new %d")
	s.mu.Lock()
	require.NotNil(t, forks[0].inTreeLocked().Top.Mem, "it stays in memory, and in the log")
	require.Nil(t, forks[1].inTreeLocked().Top.Mem, "the other fork's is flushed")
	s.mu.Unlock()
	require.NoError(t, s.Close())
	again, err := Open("/db", &Options{FS: s.opts.FS, Manual: true})
	require.NoError(t, err)
	for n, name := range []string{MainFork, "child"} {
		forks[n], err = again.Fork(name)
		require.NoError(t, err)
	}
	requireValues(t, forks, "new %d")
	require.NoError(t, again.Flush())
	require.NoError(t, again.Close())
}

// halfDropped takes a fork out of the tree and then fails an assertion, before the
// drop has its place in the log.
func halfDropped(s *Store, f *Fork) {
	defer func() { _ = recover() }()
	_ = s.record(deed{what: "test"}, schedule.DropPlaced, false, 8, true, func(ids.LSN) (wal.Kind, []byte, error) {
		s.mu.tree.DropFork(s.mu.tree.ForkByID(f.id))
		invariant.Check(false, "on purpose")
		return 0, nil, nil
	})
}

// A broken tree must not reach the disk, whoever comes along after it broke.
func TestNothingOfABrokenTreeIsPublished(t *testing.T) {
	for name, goOn := range map[string]func(s *Store) error{
		"by Settle":            func(s *Store) error { return s.Settle() },
		"by Flush":             func(s *Store) error { return s.Flush() },
		"by Compact":           func(s *Store) error { return s.Compact() },
		"by a turn":            func(s *Store) error { return s.contained(s.tendMemory) },
		"by a turn under way":  func(s *Store) error { return s.tendMemory() },
		"by a swap under way":  func(s *Store) error { return s.install(nil, schedule.FlushPlaced, func() {}) },
		"by many owed forks":   func(s *Store) error { s.publishOwed(); return s.failure() },
		"by a rewrite":         func(s *Store) error { return s.man.Rewrite() },
		"by reserving numbers": func(s *Store) error { return s.reserveNumbers(1 << 20) },
		"by Close":             func(s *Store) error { return s.failure() },
	} {
		t.Run(name, func(t *testing.T) {
			s, f, disk := brokenStore(t, true)
			child, err := f.Fork("child")
			require.NoError(t, err)
			require.NoError(t, child.Set([]byte("k"), []byte("v")))
			require.NoError(t, s.Flush())
			require.NoError(t, f.Set([]byte("x"), []byte("y"), NoSync))
			halfDropped(s, child)
			require.Error(t, goOn(s))
			require.ErrorIs(t, s.Close(), ErrBroken)
			require.Zero(t, disk.OpenFiles())

			again, err := Open("/db", &Options{FS: disk, Manual: true})
			require.NoError(t, err)
			child, err = again.Fork("child")
			require.NoError(t, err, "an acknowledged fork is gone")
			value, err := child.Get([]byte("k"))
			require.NoError(t, err)
			require.Equal(t, "v", string(value))
			f, err = again.Fork(MainFork)
			require.NoError(t, err)
			_, err = f.Get([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, again.Verify())
			require.NoError(t, again.Close())
		})
	}
}

func TestAPanicBesideABrokenTreeIsNotHeldUp(t *testing.T) {
	s, f, _ := brokenStore(t, true)
	require.PanicsWithValue(t, "log", func() {
		_ = s.contained(func() error {
			child, err := f.Fork("child")
			require.NoError(t, err)
			halfDropped(s, child)
			panic("log")
		})
	})
}

// A job asks for numbers in between: an assertion of the manifest there is not
// about the job's rows.
func TestAnAssertionOfTheManifestUnderAJobIsNotHeldUp(t *testing.T) {
	armed := false
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true, SegmentBytes: 64 << 10,
		Schedule: schedule.New(0, func(p schedule.Point) { invariant.Check(!armed || p != schedule.ManifestWriting, "on purpose") })})
	require.NoError(t, err)
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("x"), []byte("y")))
	require.NoError(t, s.freezeForks(func(*forktree.Fork) bool { return true }))
	s.mu.Lock()
	claim := s.claimLocked([]*forktree.Node{f.inTreeLocked().Top})
	s.mu.Unlock()
	s.nextID.Store(s.idBound.Load() - lowNumbers/2)
	armed = true
	require.Panics(t, func() { _ = s.shielded(claim, unshielded(s.stopped)) })
}

func TestANodeThatIsLetBeKeepsNoOtherForkFromWriting(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), SegmentBytes: 64 << 10, MemtableBytes: 64 << 10})
	require.NoError(t, err)
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	child, err := f.Fork("child")
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	s.jobs.Lock()
	require.NoError(t, s.freezeForks(func(x *forktree.Fork) bool { return x.ID == f.id }))
	failOnPurpose(t, s, f.inTree().Top)
	s.jobs.Unlock()
	for i := range 1000 { // beyond the bound of the log, but not twice
		require.NoError(t, child.Set(fmt.Appendf(nil, "%d", i), make([]byte, 1000), NoSync), "write %d to the other fork", i)
	}
	require.Greater(t, s.log.SealedBytes(), s.opts.MaxLogBytes)
	require.Positive(t, s.Stats().Flushes)
	require.ErrorContains(t, s.Flush(), "on purpose")
	require.NoError(t, s.Close())
}
