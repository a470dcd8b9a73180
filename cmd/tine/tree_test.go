package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

func TestImportAndExport(t *testing.T) {
	source := sourceTree(t, 30)
	require.NoError(t, os.Symlink("f000.txt", filepath.Join(source, "d0", "link")))
	dir := filepath.Join(t.TempDir(), "store")
	require.Contains(t, ok(t, in(dir, "import", source)...), "30 files, 1 links, 0 directories")
	require.Contains(t, ok(t, in(dir, "import", source)...), "resumed: 31 already there")
	ok(t, in(dir, "fork", "create", "try")...)

	require.NoError(t, os.Remove(filepath.Join(source, "d1", "f001.txt")))
	require.NoError(t, os.WriteFile(filepath.Join(source, "d0", "f000.txt"), []byte("changed"), 0o644))
	require.Contains(t, ok(t, in(dir, "import", source, "--fork", "try", "--dry-run")...), "would import")
	out := ok(t, in(dir, "import", source, "--fork", "try", "--delete")...)
	require.Contains(t, out, "resumed: 29 already there")
	require.Contains(t, out, "1 files")
	require.Contains(t, out, "deleted 1 ")

	to := filepath.Join(t.TempDir(), "out")
	require.Contains(t, ok(t, in(dir, "export", to, "--fork", "try")...), "exported 29 files, 1 links")
	content, err := os.ReadFile(filepath.Join(to, "d0", "link"))
	require.NoError(t, err)
	require.Equal(t, "changed", string(content))
	require.NoFileExists(t, filepath.Join(to, "d1", "f001.txt"))

	fails(t, exitError, in(dir, "export", to), "not empty", "--force")
	report := inJSON[tree.ExportReport](t, in(dir, "export", to, "--force", "--prefix", "d1/")...)
	require.Equal(t, 8, report.Files, "main still has what the fork deleted")
}

func TestImportRefusesWhatCannotBe(t *testing.T) {
	dir := newStore(t)
	fails(t, exitError, in(dir, "import", filepath.Join(dir, "no such")), "no such file")
	fails(t, exitError, in(dir, "import", filepath.Join(dir, "CURRENT")), "not a directory")
	fails(t, exitUsage, in(dir, "import", dir), "cannot be stored in itself")
	fails(t, exitUsage, in(dir, "import", filepath.Dir(dir)), "cannot be stored in itself")
	fails(t, exitNotFound, in(dir, "import", t.TempDir(), "--fork", "nobody"), "nobody")
	fails(t, exitError, in(dir, "export", filepath.Join(t.TempDir(), "out")), "a/1", "not a stored file", "--prefix")
}

// Directories get their modes when everything in them is done. Root may write
// anywhere, so the command runs as nobody where the test is root.
func TestExportFillsDirectoriesThatAreClosed(t *testing.T) {
	dir := newStore(t)
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	fork, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	text := []byte("hello")
	for key, value := range map[string][]byte{
		"t/closed":          tree.Entry{Kind: tree.Dir, Mode: 0}.Append(nil, nil),
		"t/closed/file":     tree.NewFile(0o400, 0, text).Append(nil, text),
		"t/closed/sub":      tree.Entry{Kind: tree.Dir, Mode: 0o500}.Append(nil, nil),
		"t/closed/sub/file": tree.NewFile(0o400, 0, text).Append(nil, text),
	} {
		require.NoError(t, fork.Set([]byte(key), value))
	}
	require.NoError(t, store.Close())
	makeReadOnly(t, dir)
	parent, err := os.MkdirTemp("", "tine-test-")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = os.Chmod(filepath.Join(parent, "out/closed"), 0o700)
		_ = os.Chmod(filepath.Join(parent, "out/closed/sub"), 0o700)
		_ = os.RemoveAll(parent)
	})
	require.NoError(t, os.Chmod(parent, 0o777))
	r := asNobody(t, in(dir, "export", filepath.Join(parent, "out"), "--prefix", "t/")...)
	require.Equal(t, exitOK, r.code, r.err)
	info, err := os.Stat(filepath.Join(parent, "out/closed"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir, info.Mode())
	require.NoError(t, os.Chmod(filepath.Join(parent, "out/closed"), 0o700))
	info, err = os.Stat(filepath.Join(parent, "out/closed/sub"))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o500, info.Mode())
	content, err := os.ReadFile(filepath.Join(parent, "out/closed/sub/file"))
	require.NoError(t, err)
	require.Equal(t, "hello", string(content))
}
