package vfstest

import (
	"errors"
	"io/fs"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
)

func createTaken(s scene) {
	s.create("a", "hello")
	_, err := s.fs.Create(s.path("a"))
	require.ErrorIs(s, err, fs.ErrExist)
	s.requireContent("a", "hello")
}

func missingDirectory(s scene) {
	s.create("a", "hello")
	_, err := s.fs.Create(s.path("no/a"))
	require.ErrorIs(s, err, fs.ErrNotExist)
	_, err = s.fs.Lock(s.path("no/LOCK"))
	require.ErrorIs(s, err, fs.ErrNotExist)
	require.ErrorIs(s, s.fs.Rename(s.path("a"), s.path("no/a")), fs.ErrNotExist)
	require.ErrorIs(s, s.fs.SyncDir(s.path("no")), fs.ErrNotExist)
	_, err = s.fs.List(s.path("no"))
	require.ErrorIs(s, err, fs.ErrNotExist)
	s.requireContent("a", "hello")
}

func missingFile(s scene) {
	_, err := s.fs.Open(s.path("a"))
	require.ErrorIs(s, err, fs.ErrNotExist)
	_, err = s.fs.Size(s.path("a"))
	require.ErrorIs(s, err, fs.ErrNotExist)
	require.ErrorIs(s, s.fs.Remove(s.path("a")), fs.ErrNotExist)
	require.ErrorIs(s, s.fs.Rename(s.path("a"), s.path("b")), fs.ErrNotExist)
}

func errorsCarryPath(s scene) {
	_, err := s.fs.Open(s.path("missing"))
	var pathErr *fs.PathError
	require.True(s, errors.As(err, &pathErr))
	require.Contains(s, pathErr.Path, "missing")
	require.ErrorContains(s, s.fs.Remove(s.path("missing")), "missing")
	require.ErrorContains(s, s.fs.Rename(s.path("missing"), s.path("b")), "missing")
	f := s.create("known", "")
	require.NoError(s, f.Close())
	require.ErrorContains(s, f.Sync(), "known")
}

func removedStaysReadable(s scene) {
	f := s.create("a", "hello")
	require.NoError(s, s.fs.Remove(s.path("a")))
	requireBytes(s, f, "hello")
	_, err := f.WriteAt([]byte("J"), 0)
	require.NoError(s, err)
	require.NoError(s, f.Sync())
	requireBytes(s, f, "Jello")
	_, err = s.fs.Open(s.path("a"))
	require.ErrorIs(s, err, fs.ErrNotExist)
}

func removedNameAgain(s scene) {
	old := s.create("a", "old")
	require.NoError(s, s.fs.Remove(s.path("a")))
	s.create("a", "new")
	s.requireContent("a", "new")
	requireBytes(s, old, "old")
}

func renameReplaces(s scene) {
	replaced := s.create("CURRENT", "old")
	moved := s.create("CURRENT.tmp", "new!")
	require.NoError(s, s.fs.Rename(s.path("CURRENT.tmp"), s.path("CURRENT")))
	require.NoError(s, s.fs.SyncDir(s.dir))
	s.requireContent("CURRENT", "new!")
	requireBytes(s, replaced, "old")
	requireBytes(s, moved, "new!")
	names, err := s.fs.List(s.dir)
	require.NoError(s, err)
	require.Equal(s, []string{"CURRENT"}, names)
}

func renameOntoItself(s scene) {
	s.create("a", "hello")
	require.NoError(s, s.fs.Rename(s.path("a"), s.path("a")))
	s.requireContent("a", "hello")
}

func renameAcross(s scene) {
	require.NoError(s, s.fs.MkdirAll(s.path("sub")))
	s.create("a", "hello")
	require.NoError(s, s.fs.Rename(s.path("a"), s.path("sub/b")))
	s.requireContent("sub/b", "hello")
	_, err := s.fs.Size(s.path("a"))
	require.ErrorIs(s, err, fs.ErrNotExist)
}

func listSorted(s scene) {
	names, err := s.fs.List(s.dir)
	require.NoError(s, err)
	require.Empty(s, names)
	require.NoError(s, s.fs.MkdirAll(s.path("b/deep")))
	for _, base := range []string{"c", "a", "b/hidden", "b.x"} {
		s.create(base, "")
	}
	names, err = s.fs.List(s.dir)
	require.NoError(s, err)
	require.Equal(s, []string{"a", "b", "b.x", "c"}, names)
	names, err = s.fs.List(s.path("b"))
	require.NoError(s, err)
	require.Equal(s, []string{"deep", "hidden"}, names)
}

func mkdirTwice(s scene) {
	require.NoError(s, s.fs.MkdirAll(s.path("x/y/z")))
	require.NoError(s, s.fs.MkdirAll(s.path("x/y/z")))
	require.NoError(s, s.fs.MkdirAll(s.path("x/y")))
	require.NoError(s, s.fs.SyncDir(s.path("x/y")))
	s.create("x/y/z/a", "hello")
	s.requireContent("x/y/z/a", "hello")
}

func directoryInTheWay(s scene) {
	require.NoError(s, s.fs.MkdirAll(s.path("d")))
	s.create("a", "hello")
	_, err := s.fs.Create(s.path("d"))
	require.ErrorIs(s, err, fs.ErrExist)
	require.Error(s, s.fs.Rename(s.path("a"), s.path("d")))
	require.Error(s, s.fs.MkdirAll(s.path("a")))
	_, err = s.fs.List(s.path("a"))
	require.Error(s, err)
	s.requireContent("a", "hello")
}

func lockExclusive(s scene) {
	held, err := s.fs.Lock(s.path("LOCK"))
	require.NoError(s, err)
	_, err = s.fs.Lock(s.path("LOCK"))
	require.ErrorIs(s, err, vfs.ErrLocked)
	other, err := s.fs.Lock(s.path("OTHER"))
	require.NoError(s, err, "a lock on another name is another lock")
	require.NoError(s, other.Close())
	require.NoError(s, held.Close())
	require.ErrorIs(s, held.Close(), fs.ErrClosed, "a lock closed twice must not release the next holder's")
	again, err := s.fs.Lock(s.path("LOCK"))
	require.NoError(s, err)
	require.NoError(s, again.Close())
	names, err := s.fs.List(s.dir)
	require.NoError(s, err)
	require.Equal(s, []string{"LOCK", "OTHER"}, names)
}

func lockKeepsContent(s scene) {
	s.create("LOCK", "hello")
	held, err := s.fs.Lock(s.path("LOCK"))
	require.NoError(s, err)
	require.NoError(s, held.Close())
	s.requireContent("LOCK", "hello")
}
