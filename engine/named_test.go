package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

// After a rename every verb of a handle that was made for the old name must refuse,
// and none may have touched the fork; a plain handle goes on.
func TestAHandleForANameMeansNothingAfterARename(t *testing.T) {
	store, err := engine.Open(t.TempDir(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	base, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
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
	store, err := engine.Open(t.TempDir(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
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
	s, err := engine.Open(t.TempDir(), &engine.Options{Manual: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	main, err := s.Fork(engine.MainFork)
	require.NoError(t, err)
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
	s, err := engine.Open(t.TempDir(), &engine.Options{Manual: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	main, err := s.Fork(engine.MainFork)
	require.NoError(t, err)
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
