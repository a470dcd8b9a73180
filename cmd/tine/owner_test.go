//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// who tells whose a file is, and who may do what with it.
func who(t *testing.T, path string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	of := info.Sys().(*syscall.Stat_t)
	return of.Uid, of.Gid, info.Mode()
}

func TestAnAppendedTokensFileStaysWhoseItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokens")
	ok(t, "token", "new", "first", "--append", path)
	_, _, mode := who(t, path)
	require.Equal(t, os.FileMode(0o600), mode)
	require.NoError(t, os.Chmod(path, 0o644))
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(path, 12, 34))
	}
	uid, gid, _ := who(t, path)
	umask := syscall.Umask(0o077)
	defer syscall.Umask(umask)
	ok(t, "token", "new", "second", "--append", path)
	newUID, newGID, mode := who(t, path)
	require.Equal(t, []uint32{uid, gid}, []uint32{newUID, newGID})
	require.Equal(t, os.FileMode(0o644), mode)

	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("tokens", link))
	ok(t, "token", "new", "third", "--append", link)
	_, _, mode = who(t, link)
	require.NotZero(t, mode&os.ModeSymlink, "a link stays one")
	require.Regexp(t, `(?s)first.*second.*third`, ok(t, "token", "check", path))
	require.NoError(t, os.Remove(path))
	fails(t, exitError, []string{"token", "new", "fourth", "--append", link}, "no such file")
	_, _, mode = who(t, link)
	require.NotZero(t, mode&os.ModeSymlink)
}

func TestATokensFileWhoseOwnerCannotBeKeptStaysAsItIs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a file of somebody else")
	}
	dir, err := os.MkdirTemp("", "tine-owner-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777))
	path := filepath.Join(dir, "tokens")
	ok(t, "token", "new", "first", "--append", path)
	require.NoError(t, os.Chmod(path, 0o644))
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	r := asNobody(t, "token", "new", "second", "--append", path)
	require.NotZero(t, r.code)
	require.Contains(t, r.err, "keep owner 0 and group 0")
	require.Empty(t, r.out, "no token that nothing lets in")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left over")
}
