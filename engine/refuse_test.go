package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
)

// open opens a store that is closed with the test.
func open(t *testing.T, dir string, o *engine.Options) *engine.Store {
	t.Helper()
	s, err := engine.Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fork(t *testing.T, s *engine.Store, name string) *engine.Fork {
	t.Helper()
	f, err := s.Fork(name)
	require.NoError(t, err)
	return f
}

// What is refused changes nothing: the log does not grow.
func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("k"), []byte("v")))
	other := open(t, t.TempDir(), nil)
	foreign := fork(t, other, engine.MainFork)
	_, err := f.Fork("taken")
	require.NoError(t, err)
	snap, err := f.Snapshot("snap")
	require.NoError(t, err)
	dropped, err := f.Fork("dropped")
	require.NoError(t, err)
	require.NoError(t, dropped.Drop())
	goneSnap, err := f.Snapshot("gone")
	require.NoError(t, err)
	require.NoError(t, goneSnap.Drop())

	long := strings.Repeat("n", engine.MaxNameBytes+1)
	bigKey := make([]byte, engine.MaxKeyBytes+1)
	batch := func(fill func(b *engine.Batch)) error {
		b := s.NewBatch()
		fill(b)
		return b.Commit()
	}
	lsn := s.Stats().LastLSN
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"a fork without a name", second(f.Fork("")), engine.ErrInvalidName},
		{"a fork name with a blank", second(f.Fork("a b")), engine.ErrInvalidName},
		{"a fork name with a NUL", second(f.Fork("a\x00b")), engine.ErrInvalidName},
		{"a fork name outside ASCII", second(f.Fork("zweig-ä")), engine.ErrInvalidName},
		{"a fork name that is too long", second(f.Fork(long)), engine.ErrLimit},
		{"a fork name that is taken", second(f.Fork("taken")), engine.ErrForkExists},
		{"a rename to a taken name", f.Rename("taken"), engine.ErrForkExists},
		{"a rename to a bad name", f.Rename("../x y"), engine.ErrInvalidName},
		{"a snapshot name that is taken", second(f.Snapshot("snap")), engine.ErrSnapshotExists},
		{"a snapshot name that is too long", second(f.Snapshot(long)), engine.ErrLimit},
		{"a snapshot renamed to a bad name", snap.Rename("?"), engine.ErrInvalidName},
		{"a fork that is not there", second(s.Fork("nobody")), engine.ErrForkNotFound},
		{"a snapshot that is not there", second(s.Snapshot("nobody")), engine.ErrSnapshotNotFound},
		{"a key that is too long", f.Set(bigKey, nil), engine.ErrLimit},
		{"an empty key", f.Set(nil, []byte("v")), engine.ErrLimit},
		{"reading an empty key", second(f.Get(nil)), engine.ErrLimit},
		{"a value that is too long", f.Set([]byte("k"), make([]byte, engine.MaxValueBytes+1)), engine.ErrLimit},
		{"a batch that is too large", batch(func(b *engine.Batch) {
			v := make([]byte, engine.MaxValueBytes)
			for i := range 5 {
				b.Set(f, []byte{byte(i)}, v)
			}
		}), engine.ErrLimit},
		{"a batch with one bad key", batch(func(b *engine.Batch) { b.Set(f, []byte("ok"), nil); b.Set(f, bigKey, nil) }), engine.ErrLimit},
		{"a range that is reversed", second(f.NewIter(engine.Range{Lower: []byte("b"), Upper: []byte("a")})), engine.ErrInvalidRange},
		{"a reversed range delete", f.DeleteRange([]byte("b"), []byte("a")), engine.ErrInvalidRange},
		{"a range delete up to an empty bound", f.DeleteRange([]byte("b"), []byte{}), engine.ErrInvalidRange},
		{"a range delete with a bound that is too long", f.DeleteRange(bigKey, nil), engine.ErrLimit},
		{"a range delete with an upper bound that is too long", f.DeleteRange(nil, bigKey), engine.ErrLimit},
		{"a range delete in a dropped fork", dropped.DeleteRange(nil, nil), engine.ErrForkNotFound},
		{"a batch with one bad range", batch(func(b *engine.Batch) { b.Set(f, []byte("half"), nil); b.DeleteRange(f, []byte("b"), []byte("a")) }), engine.ErrInvalidRange},
		{"a write to a dropped fork", dropped.Set([]byte("k"), nil), engine.ErrForkNotFound},
		{"a read of a dropped fork", second(dropped.Get([]byte("k"))), engine.ErrForkNotFound},
		{"a fork of a dropped fork", second(dropped.Fork("x")), engine.ErrForkNotFound},
		{"a snapshot of a dropped fork", second(dropped.Snapshot("x")), engine.ErrForkNotFound},
		{"a reset of a dropped fork", dropped.Reset(f), engine.ErrForkNotFound},
		{"a reset to a dropped fork", f.Reset(dropped), engine.ErrForkNotFound},
		{"a drop of a dropped fork", dropped.Drop(), engine.ErrForkNotFound},
		{"a rename of a dropped fork", dropped.Rename("x"), engine.ErrForkNotFound},
		{"details of a dropped fork", second(dropped.Info()), engine.ErrForkNotFound},
		{"a read of a dropped snapshot", second(goneSnap.Get([]byte("k"))), engine.ErrSnapshotNotFound},
		{"a fork of a dropped snapshot", second(goneSnap.Fork("x")), engine.ErrSnapshotNotFound},
		{"a reset to a dropped snapshot", f.Reset(goneSnap), engine.ErrSnapshotNotFound},
		{"a batch in which one fork is dropped", batch(func(b *engine.Batch) { b.Set(f, []byte("half"), nil); b.Set(dropped, []byte("half"), nil) }), engine.ErrForkNotFound},
	} {
		require.ErrorIs(t, c.got, c.want, c.name)
		require.NotContains(t, c.got.Error(), "\n", c.name)
	}
	require.ErrorContains(t, f.Reset(foreign), "another store")
	require.ErrorContains(t, batch(func(b *engine.Batch) { b.Set(foreign, []byte("k"), nil) }), "another store")
	require.ErrorContains(t, batch(func(b *engine.Batch) { b.DeleteRange(foreign, nil, nil) }), "another store")
	require.NoError(t, f.DeleteRange([]byte("a"), []byte("a")), "a range without keys is no mistake, and no write")
	require.NoError(t, f.DeleteRange(nil, []byte{}))
	require.Equal(t, lsn, s.Stats().LastLSN, "a refused operation wrote a record")
	_, err = f.Get([]byte("half"))
	require.ErrorIs(t, err, engine.ErrNotFound)
	require.Equal(t, 2, s.Stats().Forks)
}

func second[T any](_ T, err error) error { return err }

func TestLimitsAreInclusive(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	f := fork(t, s, engine.MainFork)
	key, value := bytes.Repeat([]byte("k"), engine.MaxKeyBytes), bytes.Repeat([]byte("v"), engine.MaxValueBytes)
	require.NoError(t, f.Set(key, value, engine.NoSync))
	name := strings.Repeat("n", engine.MaxNameBytes)
	_, err := f.Fork(name)
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	got, err := fork(t, s, name).Get(key)
	require.NoError(t, err)
	require.True(t, bytes.Equal(value, got))
}

func TestWhatIsNoStoreIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("dear"), 0o644))
	_, err := engine.Open(dir, nil)
	require.ErrorIs(t, err, engine.ErrNotStore)
	require.ErrorContains(t, err, "letter.txt")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)

	_, err = engine.Open(filepath.Join(dir, "letter.txt"), nil)
	require.ErrorIs(t, err, engine.ErrNotStore)
	_, err = engine.Open(filepath.Join(dir, "missing"), &engine.Options{MustExist: true})
	require.ErrorIs(t, err, engine.ErrNotStore)
	_, err = engine.Open(t.TempDir(), &engine.Options{ReadOnly: true})
	require.ErrorIs(t, err, engine.ErrNotStore)
	_, err = engine.Check(dir, engine.CheckOptions{})
	require.ErrorIs(t, err, engine.ErrNotStore)
}

func TestAStoreWhoseCurrentIsGoneIsNotMadeAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("k"), []byte("v")))
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "CURRENT")))
	_, err := engine.Open(dir, nil)
	require.ErrorIs(t, err, engine.ErrCorrupt)
	require.ErrorContains(t, err, "CURRENT")
}

func TestASecondOpenIsRefusedUntilTheFirstIsClosed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	_, err := engine.Open(dir, nil)
	require.ErrorIs(t, err, engine.ErrLocked)
	_, err = engine.Check(dir, engine.CheckOptions{})
	require.ErrorIs(t, err, engine.ErrLocked)
	require.NoError(t, s.Close())
	require.NoError(t, open(t, dir, nil).Close())
}

func TestAReadOnlyStoreReadsAndChangesNoByte(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("flushed"), []byte("1")))
	require.NoError(t, s.Flush())
	require.NoError(t, f.Set([]byte("logged"), []byte("2")))
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "999999.sst"), []byte("an orphan"), 0o644))
	before := contents(t, dir)

	r := open(t, dir, &engine.Options{ReadOnly: true})
	f = fork(t, r, engine.MainFork)
	for k, v := range map[string]string{"flushed": "1", "logged": "2"} {
		got, err := f.Get([]byte(k))
		require.NoError(t, err)
		require.Equal(t, v, string(got))
	}
	require.ErrorIs(t, f.Set([]byte("k"), nil), engine.ErrReadOnly)
	require.ErrorIs(t, second(f.Fork("x")), engine.ErrReadOnly)
	require.ErrorIs(t, f.Drop(), engine.ErrReadOnly)
	require.ErrorIs(t, r.Flush(), engine.ErrReadOnly)
	require.ErrorIs(t, r.Compact(), engine.ErrReadOnly)
	require.NoError(t, r.Close())
	require.Equal(t, before, contents(t, dir))
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(dir, n.Name()))
		require.NoError(t, err)
		out[n.Name()] = string(data)
	}
	return out
}
