package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACopyIntoWhatIsCopiedIsRefused(t *testing.T) {
	dir := newStore(t)
	above := filepath.Dir(dir)
	link := filepath.Join(above, "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "sub"), link))
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, to := range []string{
		dir, filepath.Join(dir, "copy"), filepath.Join(dir, "a", "b"), filepath.Join(dir, "..", filepath.Base(dir), "copy"),
	} {
		fails(t, exitUsage, in(dir, "backup", "--to", to), "lies inside")
		fails(t, exitUsage, in(to, "restore", "--from", dir), "lies inside")
	}
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, after, len(before))

	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	fails(t, exitUsage, in(dir, "backup", "--to", link), "lies inside")
	fails(t, exitUsage, in(dir, "backup", "--to", filepath.Join(link, "copy")), "lies inside")
	fails(t, exitUsage, in(filepath.Join(link, "copy"), "restore", "--from", dir), "lies inside")
	require.NoError(t, os.Remove(filepath.Join(dir, "sub")))

	ok(t, in(dir, "backup", "--to", dir+"-copy")...)
	ok(t, in(filepath.Join(above, "new", "store"), "restore", "--from", dir+"-copy")...)
}

func TestABackupOfSnapshotsAloneIsAMistake(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "snapshot", "create", "s")...)
	to := filepath.Join(t.TempDir(), "copy")
	fails(t, exitUsage, in(dir, "backup", "--to", to, "--snapshot", "s"), "--snapshot goes beside --fork")
	require.NoDirExists(t, to)
	ok(t, in(dir, "backup", "--to", to, "--snapshot", "s", "--fork", "main")...)
}
