package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

// opened is a store that must close well when the test ends, and its main fork.
func opened(t *testing.T, o *engine.Options) (*engine.Store, *engine.Fork) {
	t.Helper()
	s, err := engine.Open(t.TempDir(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, fork(t, s, engine.MainFork)
}

// After a rename every verb of a handle that was made for the old name must refuse,
// and none may have touched the fork; a plain handle goes on.
func TestAHandleForANameMeansNothingAfterARename(t *testing.T) {
	store, base := opened(t, nil)
	other, err := base.Fork("other")
	require.NoError(t, err)
	plain, err := base.Fork("a")
	require.NoError(t, err)
	key, value := []byte("k"), []byte("v")

	for _, c := range []struct {
		name string
		do   func(f *engine.Fork) error
	}{
		{"set", func(f *engine.Fork) error { return f.Set(key, value) }},
		{"batch with another fork", func(f *engine.Fork) error {
			b := store.NewBatch()
			b.Set(other, key, value)
			b.Set(f, key, value)
			return b.Commit()
		}},
		{"get", func(f *engine.Fork) error { _, err := f.Get(key); return err }},
		{"iterator", func(f *engine.Fork) error {
			it, err := f.NewIter(engine.Range{})
			if err == nil {
				err = it.Close()
			}
			return err
		}},
		{"fork", func(f *engine.Fork) error { _, err := f.Fork("child"); return err }},
		{"many forks", func(f *engine.Fork) error { _, err := f.ForkMany([]string{"child", "child2"}); return err }},
		{"snapshot", func(f *engine.Fork) error { _, err := f.Snapshot("s"); return err }},
		{"reset", func(f *engine.Fork) error { return f.Reset(other) }},
		{"source of a reset", func(f *engine.Fork) error { return other.Reset(f) }},
		{"info", func(f *engine.Fork) error { _, err := f.Info(); return err }},
		{"drop of many", func(f *engine.Fork) error { return store.DropForks([]*engine.Fork{other, f}) }},
		{"drop of a subtree", func(f *engine.Fork) error { _, err := f.DropSubtree(); return err }},
		{"rename", func(f *engine.Fork) error { return f.Rename("c") }},
		{"drop", func(f *engine.Fork) error { return f.Drop() }},
	} {
		for _, state := range []string{"idle", "with a memtable"} {
			t.Run(c.name+", "+state, func(t *testing.T) {
				bound, err := store.ForkWhileNamed("a")
				require.NoError(t, err)
				if state != "idle" {
					require.NoError(t, bound.Set([]byte("mine"), value)) // and the handle remembers
				}
				require.NoError(t, plain.Rename("b"))
				require.ErrorIs(t, c.do(bound), engine.ErrForkNotFound)
				require.Equal(t, "b", plain.Name())
				_, err = plain.Get(key)
				require.ErrorIs(t, err, engine.ErrNotFound)
				_, err = other.Get(key)
				require.ErrorIs(t, err, engine.ErrNotFound)
				require.Len(t, store.Forks(), 3)
				require.Empty(t, store.Snapshots())
				require.NoError(t, plain.Rename("a"))
			})
		}
	}
}

// Another fork that takes the name over is not the one that the handle means.
func TestAHandleForANameIsNotForWhoeverTakesTheName(t *testing.T) {
	store, _ := opened(t, nil)
	base, err := store.ForkWhileNamed(engine.MainFork)
	require.NoError(t, err)
	plain, err := base.Fork("a")
	require.NoError(t, err)
	bound, err := store.ForkWhileNamed("a")
	require.NoError(t, err)
	require.NoError(t, plain.Rename("b"))
	_, err = base.Fork("a")
	require.NoError(t, err)
	require.ErrorIs(t, bound.Set([]byte("k"), nil), engine.ErrForkNotFound)

	renamed, err := store.ForkWhileNamed("b")
	require.NoError(t, err)
	require.NoError(t, renamed.Rename("c"), "its own rename it follows")
	require.NoError(t, renamed.Set([]byte("k"), nil))
}

func TestABatchOfTwoHandlesForTwoNamesOfOneForkIsRefused(t *testing.T) {
	s, main := opened(t, &engine.Options{Manual: true})
	f, err := main.Fork("a")
	require.NoError(t, err)
	asA, err := s.ForkWhileNamed("a")
	require.NoError(t, err)
	require.NoError(t, f.Rename("b"))
	asB, err := s.ForkWhileNamed("b")
	require.NoError(t, err)
	require.NoError(t, f.Rename("a"))
	require.ErrorIs(t, asB.Set([]byte("k"), []byte("alone"), engine.NoSync), engine.ErrForkNotFound)
	b := s.NewBatch()
	b.Set(asA, []byte("x"), nil)
	b.Set(asB, []byte("k"), []byte("for b only"))
	require.ErrorIs(t, b.Commit(engine.NoSync), engine.ErrForkNotFound)
}

func TestABatchDoesNotForgetThatAHandleIsForAName(t *testing.T) {
	s, main := opened(t, &engine.Options{Manual: true})
	f, err := main.Fork("a")
	require.NoError(t, err)
	bound, err := s.ForkWhileNamed("a")
	require.NoError(t, err)
	require.NoError(t, f.Rename("b"))
	b := s.NewBatch()
	b.Set(f, []byte("x"), nil)
	b.Set(bound, []byte("k"), []byte("for a only"))
	require.ErrorIs(t, b.Commit(engine.NoSync), engine.ErrForkNotFound)
}

// After a rename every verb of a snapshot's handle that was made for the old name must
// refuse, and none may have touched the snapshot, nor read it, nor say what it is called
// now; a plain handle goes on.
func TestASnapshotsHandleForANameMeansNothingAfterARename(t *testing.T) {
	store, base := opened(t, nil)
	other, err := base.Fork("other")
	require.NoError(t, err)
	key, value := []byte("k"), []byte("v")
	require.NoError(t, base.Set(key, value))
	plain, err := base.Snapshot("a")
	require.NoError(t, err)

	for _, c := range []struct {
		name string
		do   func(n *engine.Snapshot) error
	}{
		{"get", func(n *engine.Snapshot) error { _, err := n.Get(key); return err }},
		{"get of what is not there", func(n *engine.Snapshot) error { _, err := n.Get([]byte("x")); return err }},
		{"get behind other bytes", func(n *engine.Snapshot) error {
			out, err := n.AppendGet([]byte("x"), key)
			require.Equal(t, "x", string(out))
			return err
		}},
		{"iterator", func(n *engine.Snapshot) error {
			it, err := n.NewIter(engine.Range{})
			require.Nil(t, it)
			return err
		}},
		{"scan", func(n *engine.Snapshot) error {
			rows, err := n.Scan(engine.Range{})
			for range rows {
				t.Error("a row is read")
			}
			return err()
		}},
		{"fork", func(n *engine.Snapshot) error { _, err := n.Fork("child"); return err }},
		{"many forks", func(n *engine.Snapshot) error { _, err := n.ForkMany([]string{"child", "child2"}); return err }},
		{"source of a reset", func(n *engine.Snapshot) error { return other.Reset(n) }},
		{"info", func(n *engine.Snapshot) error { _, err := n.Info(); return err }},
		{"rename", func(n *engine.Snapshot) error { return n.Rename("c") }},
		{"drop", func(n *engine.Snapshot) error { return n.Drop() }},
	} {
		for _, state := range []string{"unused", "read before"} {
			t.Run(c.name+", "+state, func(t *testing.T) {
				bound, err := store.SnapshotWhileNamed("a")
				require.NoError(t, err)
				require.Equal(t, plain.ID(), bound.ID())
				if state != "unused" {
					_, err := bound.Get(key)
					require.NoError(t, err)
				}
				require.NoError(t, plain.Rename("secret"))
				err = c.do(bound)
				require.ErrorIs(t, err, engine.ErrSnapshotNotFound)
				require.NotContains(t, err.Error(), "secret")
				require.Equal(t, "a", bound.Name())
				require.Equal(t, "secret", plain.Name())
				got, err := plain.Get(key)
				require.NoError(t, err)
				require.Equal(t, value, got)
				_, err = other.Get(key)
				require.ErrorIs(t, err, engine.ErrNotFound)
				require.Len(t, store.Forks(), 2)
				require.Len(t, store.Snapshots(), 1)
				require.Zero(t, store.Stats().OpenIterators)
				require.NoError(t, plain.Rename("a"))
			})
		}
	}
}

func TestASnapshotsHandleForANameIsNotForWhoeverTakesTheName(t *testing.T) {
	store, base := opened(t, nil)
	_, err := store.SnapshotWhileNamed("a")
	require.ErrorIs(t, err, engine.ErrSnapshotNotFound)
	plain, err := base.Snapshot("a")
	require.NoError(t, err)
	bound, err := store.SnapshotWhileNamed("a")
	require.NoError(t, err)
	require.NoError(t, plain.Rename("b"))
	_, err = base.Snapshot("a")
	require.NoError(t, err)
	require.ErrorIs(t, bound.Drop(), engine.ErrSnapshotNotFound)
	require.Len(t, store.Snapshots(), 2)

	renamed, err := store.SnapshotWhileNamed("b")
	require.NoError(t, err)
	require.NoError(t, renamed.Rename("c"), "its own rename it follows")
	require.Equal(t, "c", renamed.Name())
	require.NoError(t, renamed.Drop())
}

// Handles come and go by the call, and what they read through is one and goes with the
// snapshot: no table may stay because of a handle that nobody has any more.
func TestHandlesOfASnapshotKeepNothingWhenItIsDropped(t *testing.T) {
	store, base := opened(t, &engine.Options{Manual: true})
	require.NoError(t, base.Set([]byte("k"), []byte("v")))
	_, err := base.Snapshot("a")
	require.NoError(t, err)
	require.NoError(t, base.DeleteRange(nil, nil))
	require.NoError(t, store.Flush())
	for range 10 {
		for _, open := range []func(string) (*engine.Snapshot, error){store.Snapshot, store.SnapshotWhileNamed} {
			n, err := open("a")
			require.NoError(t, err)
			got, err := n.Get([]byte("k"))
			require.NoError(t, err)
			require.Equal(t, "v", string(got))
		}
	}
	require.NoError(t, store.Verify())
	n, err := store.SnapshotWhileNamed("a")
	require.NoError(t, err)
	require.NoError(t, n.Drop())
	require.NoError(t, base.DeleteRange(nil, nil))
	require.NoError(t, store.Flush())
	require.NoError(t, store.Compact())
	require.NoError(t, store.Verify())
	require.Zero(t, store.Stats().TableBytes)
}
