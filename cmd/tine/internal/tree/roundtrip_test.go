package tree

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

// TestMain also is the process that dies in the middle of an import.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TINE_TEST_IMPORT_AND_DIE"); dir != "" {
		importAndDie(dir, os.Getenv("TINE_TEST_STORE"))
	}
	os.Exit(m.Run())
}

func importAndDie(dir, data string) {
	store, err := engine.Open(data, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fork, err := store.Fork(engine.MainFork)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n := 0
	_, err = Import(context.Background(), Into(store, fork), dir, ImportOptions{OnPut: func(_, _ []byte) {
		if n++; n == 200 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	fmt.Fprintln(os.Stderr, "still alive:", err)
	os.Exit(1)
}

func openStore(t *testing.T, dir string) (*engine.Store, *engine.Fork) {
	t.Helper()
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	fork, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	return store, fork
}

func doImport(t *testing.T, store *engine.Store, fork *engine.Fork, dir string, opts ImportOptions) ImportReport {
	t.Helper()
	report, err := Import(context.Background(), Into(store, fork), dir, opts)
	require.NoError(t, err)
	return report
}

func doExport(t *testing.T, fork *engine.Fork) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	_, err := Export(context.Background(), From(fork), dir, ExportOptions{})
	require.NoError(t, err)
	return dir
}

func write(t *testing.T, name string, content []byte, mode fs.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, content, 0o600))
	require.NoError(t, os.Chmod(name, mode))
}

func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// picture is everything about a tree that a round trip must keep.
func picture(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel, err := filepath.Rel(root, name)
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			text += fmt.Sprintf(" %d %x %v", len(content), content[:min(32, len(content))], info.ModTime().UnixNano())
			text += fmt.Sprintf(" %x", NewFile(0, 0, content).Hash)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			require.NoError(t, err)
			text += " -> " + target
		}
		all[rel] = text
		return nil
	}))
	return all
}

func sampleTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.txt"), []byte("hello"), 0o644)
	write(t, filepath.Join(dir, "empty"), nil, 0o600)
	write(t, filepath.Join(dir, "sub/run.sh"), []byte("#!/bin/sh\n"), 0o755)
	write(t, filepath.Join(dir, "sub.txt"), []byte("sorts between sub and sub/"), 0o444)
	write(t, filepath.Join(dir, "not utf8 \xff\xfe"), []byte("x"), 0o644)
	write(t, filepath.Join(dir, "closed/inside"), []byte("y"), 0o640)
	write(t, filepath.Join(dir, "just2MiB"), noise(InlineBytes, 3), 0o644)
	write(t, filepath.Join(dir, "large/20MB.bin"), noise(20_000_000, 1), 0o644)
	write(t, filepath.Join(dir, "large/20MB.bin.txt"), []byte("sorts behind the chunks"), 0o644)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty dirs/in/here"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0o700))
	require.NoError(t, os.Symlink("a.txt", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "absolute link")))
	require.NoError(t, os.Symlink("sub", filepath.Join(dir, "link to dir")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), time.Time{}, time.Unix(1, 5)))
	return dir
}

func TestTreeComesBackAsItWas(t *testing.T) {
	dir := sampleTree(t)
	store, fork := openStore(t, t.TempDir())
	report := doImport(t, store, fork, dir, ImportOptions{Prefix: "p/"})
	require.Equal(t, 9, report.Files)
	require.Equal(t, 4, report.Symlinks)
	require.Equal(t, 2, report.Directories, "the empty one and the one with a mode of its own")
	require.NoError(t, fork.Set([]byte("elsewhere"), []byte("not in the prefix")))

	out := filepath.Join(t.TempDir(), "out")
	got, err := Export(context.Background(), From(fork), out, ExportOptions{Prefix: "p/"})
	require.NoError(t, err)
	require.Equal(t, report.Bytes, got.Bytes+int64(len("a.txt/etc/passwdsubnowhere")))
	require.Equal(t, picture(t, dir), picture(t, out))

	again := doImport(t, store, fork, dir, ImportOptions{Prefix: "p/"})
	require.Equal(t, ImportReport{Already: 15}, again, "nothing is written a second time")
	sums := doImport(t, store, fork, dir, ImportOptions{Prefix: "p/", Checksum: true})
	require.Equal(t, ImportReport{Already: 15}, sums)
}

func TestImportFollowsWhatChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		opts   ImportOptions
	}{
		{"a file's content", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.txt"), []byte("hullo!"), 0o644) }, ImportOptions{}},
		{"a file's mode", func(t *testing.T, dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, "a.txt"), 0o600)) }, ImportOptions{}},
		{"a large file that becomes small", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "large/20MB.bin"), []byte("small"), 0o644)
		}, ImportOptions{}},
		{"a large file that loses a chunk", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "large/20MB.bin"), noise(10_000_000, 2), 0o644)
		}, ImportOptions{}},
		{"a large file that becomes a directory", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "large/20MB.bin")))
			write(t, filepath.Join(dir, "large/20MB.bin/inside"), []byte("z"), 0o644)
		}, ImportOptions{}},
		{"a directory that becomes a file", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "large")))
			write(t, filepath.Join(dir, "large"), []byte("z"), 0o644)
		}, ImportOptions{}},
		{"a directory that becomes a link", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "sub")))
			require.NoError(t, os.Symlink("closed", filepath.Join(dir, "sub")))
		}, ImportOptions{}},
		{"an empty directory that is filled", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "empty dirs/in/here/f"), []byte("z"), 0o644)
		}, ImportOptions{}},
		{"a directory's mode that becomes the usual one", func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0o755))
		}, ImportOptions{}},
		{"files that are gone, with --delete", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "large")))
			require.NoError(t, os.Remove(filepath.Join(dir, "link")))
		}, ImportOptions{Delete: true}},
		{"content of the same size and time, with --checksum", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.txt"), []byte("HELLO"), 0o644)
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), time.Time{}, time.Unix(1, 5)))
		}, ImportOptions{Checksum: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := sampleTree(t)
			store, fork := openStore(t, t.TempDir())
			doImport(t, store, fork, dir, ImportOptions{})
			c.change(t, dir)
			doImport(t, store, fork, dir, c.opts)
			require.Equal(t, picture(t, dir), picture(t, doExport(t, fork)))
		})
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	store, fork := openStore(t, t.TempDir())
	dir := sampleTree(t)
	report := doImport(t, store, fork, dir, ImportOptions{DryRun: true})
	require.Equal(t, 9, report.Files)
	it, err := fork.NewIter(engine.Range{})
	require.NoError(t, err)
	require.False(t, it.First())
	require.NoError(t, it.Close())
}

func TestSpecialFilesAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), []byte("a"), 0o644)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	store, fork := openStore(t, t.TempDir())
	_, err := Import(context.Background(), Into(store, fork), dir, ImportOptions{})
	require.ErrorContains(t, err, "pipe (named pipe)")
	_, err = fork.Get([]byte("a"))
	require.ErrorIs(t, err, engine.ErrNotFound)

	report := doImport(t, store, fork, dir, ImportOptions{SkipSpecial: true})
	require.Equal(t, []string{"pipe (named pipe)"}, report.Skipped)
	require.Equal(t, 1, report.Files)
}

// manyFiles makes 300 files of 50 KB: a batch holds about 80 of them.
func manyFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 300 {
		write(t, filepath.Join(dir, fmt.Sprintf("d%d/f%03d", i%5, i)), noise(50_000, uint64(i)), 0o644)
	}
	return dir
}

func TestStoppedImportGoesOnWhereItStopped(t *testing.T) {
	dir := manyFiles(t)
	store, fork := openStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	puts := 0
	_, err := Import(ctx, Into(store, fork), dir, ImportOptions{OnPut: func(_, _ []byte) {
		if puts++; puts == 200 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	report := doImport(t, store, fork, dir, ImportOptions{})
	require.Greater(t, report.Already, 100)
	require.Equal(t, 300, report.Already+report.Files)
	require.Equal(t, picture(t, dir), picture(t, doExport(t, fork)))
}

func TestKilledImportGoesOnWhereItStopped(t *testing.T) {
	dir, data := manyFiles(t), filepath.Join(t.TempDir(), "store")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TINE_TEST_IMPORT_AND_DIE="+dir, "TINE_TEST_STORE="+data)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.False(t, exit.Exited(), "it was to be killed: %s", out)

	store, fork := openStore(t, data)
	report := doImport(t, store, fork, dir, ImportOptions{})
	require.Greater(t, report.Already, 100)
	require.Equal(t, 300, report.Already+report.Files)
	require.Equal(t, picture(t, dir), picture(t, doExport(t, fork)))
}

// A file that was being replaced when the import died must not pass for whole,
// not even once the directory holds the old version again.
func TestHalfReplacedLargeFileIsImportedAgain(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "large")
	old := noise(20_000_000, 1)
	at := time.Unix(1000, 0)
	write(t, name, old, 0o644)
	require.NoError(t, os.Chtimes(name, at, at))
	store, fork := openStore(t, t.TempDir())
	doImport(t, store, fork, dir, ImportOptions{})

	write(t, name, noise(20_000_000, 2), 0o644)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	chunks := 0
	_, err := Import(ctx, Into(store, fork), dir, ImportOptions{OnPut: func(key, _ []byte) {
		if bytes.IndexByte(key, 0) >= 0 {
			if chunks++; chunks == 2 { // the first chunk's batch is written by now
				cancel()
			}
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	_, err = Export(context.Background(), From(fork), filepath.Join(t.TempDir(), "x"), ExportOptions{})
	require.ErrorIs(t, err, ErrRefused)

	write(t, name, old, 0o644)
	require.NoError(t, os.Chtimes(name, at, at))
	report := doImport(t, store, fork, dir, ImportOptions{})
	require.Equal(t, 1, report.Files)
	require.Equal(t, picture(t, dir), picture(t, doExport(t, fork)))
}

func TestLargeFileThatLostAChunkIsImportedAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "large"), noise(20_000_000, 1), 0o644)
	store, fork := openStore(t, t.TempDir())
	doImport(t, store, fork, dir, ImportOptions{})
	require.NoError(t, fork.Delete(appendChunkKey(nil, []byte("large"), 1)))
	require.Equal(t, 1, doImport(t, store, fork, dir, ImportOptions{}).Files)
	require.Equal(t, picture(t, dir), picture(t, doExport(t, fork)))
}
