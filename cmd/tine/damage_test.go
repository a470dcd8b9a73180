package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

func TestStoreInUseIsBusy(t *testing.T) {
	dir := newStore(t)
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	for _, args := range [][]string{{"get", "a/1"}, {"put", "k", "v"}, {"fork", "list"}, {"check"}} {
		fails(t, exitBusy, in(dir, args...), "locked", "another process")
	}
	cmd := command(t, in(dir, "get", "a/1")...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "a process of its own: %s", out)
	require.Equal(t, exitBusy, exit.ExitCode())
	require.NoError(t, store.Close())
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...))
}

func TestDirectoryThatIsNoStore(t *testing.T) {
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "letter.txt"), nil, 0o644))
	missing := filepath.Join(t.TempDir(), "missing")
	for _, args := range [][]string{
		{"get", "k"}, {"scan"}, {"del", "k"}, {"fork", "list"}, {"fork", "create", "f"}, {"stats"}, {"check"},
		{"dump", "wal"}, {"dump", "manifest"}, {"dump", "sst"}, {"export", filepath.Join(missing, "x")},
	} {
		fails(t, exitError, in(full, args...), "not a store", "--data")
		fails(t, exitError, in(t.TempDir(), args...), "not a store")
		fails(t, exitError, in(missing, args...))
	}
	require.NoDirExists(t, missing, "a mistyped path makes nothing")
	fails(t, exitError, in(full, "put", "k", "v"), "not a store", "letter.txt")
	fails(t, exitError, in(full, "import", t.TempDir()), "not a store")
}

func TestNewerFormatIsNotTouched(t *testing.T) {
	dir := newStore(t)
	name := onlyFile(t, dir, "MANIFEST-*")
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	// See manifest/FORMAT.md: the version, and the checksum of the header.
	binary.LittleEndian.PutUint32(content[8:], 99)
	binary.LittleEndian.PutUint64(content[48:], xxhash.Sum64(content[:48]))
	require.NoError(t, os.WriteFile(name, content, 0o644))
	for _, args := range [][]string{{"get", "a/1"}, {"put", "k", "v"}, {"import", t.TempDir()}, {"check"}, {"dump", "sst"}} {
		fails(t, exitError, in(dir, args...), filepath.Base(name), "newer format", "use a newer version of tine")
	}
	after, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, content, after)
}

func onlyFile(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.Len(t, names, 1)
	return names[0]
}

// flushedStore is a store whose rows lie in a table that main and child share.
func flushedStore(t *testing.T) (dir, table string) {
	t.Helper()
	dir = newStore(t)
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	fork, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	_, err = fork.Fork("child")
	require.NoError(t, err)
	require.NoError(t, store.Flush())
	require.NoError(t, store.Close())
	return dir, onlyFile(t, dir, "*.sst")
}

func damage(t *testing.T, name string, offset int) {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	content[offset] ^= 0x10
	require.NoError(t, os.WriteFile(name, content, 0o644))
}

func TestDamagedTableIsNamedWithItsForks(t *testing.T) {
	dir, table := flushedStore(t)
	require.Contains(t, ok(t, in(dir, "check", "--level", "full")...), "ok (full check)")
	damage(t, table, 10)
	base := filepath.Base(table)
	fails(t, exitCorrupt, in(dir, "get", "a/1"), base, "offset", "main", "child", "tine check --level full")

	r := tine(in(dir, "check", "--level", "full")...)
	require.Equal(t, exitCorrupt, r.code)
	require.Contains(t, r.out, "damage in "+base+" at offset")
	require.Contains(t, r.out, "DAMAGED")
	r = tine(in(dir, "--json", "check", "--level", "full")...)
	require.Equal(t, exitCorrupt, r.code)
	var report checkResult
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.False(t, report.OK)
	require.Equal(t, base, report.Problems[0].File)
	require.ElementsMatch(t, []string{"main", "child"}, report.Problems[0].Forks)

	r = tine(in(dir, "--json", "get", "a/1")...)
	var p problem
	require.NoError(t, json.Unmarshal([]byte(r.err), &p))
	require.Equal(t, base, p.File)
	require.NotNil(t, p.Offset)
	require.ElementsMatch(t, []string{"main", "child"}, p.Forks)
}

func TestMissingTableIsDamage(t *testing.T) {
	dir, table := flushedStore(t)
	require.NoError(t, os.Remove(table))
	r := tine(in(dir, "check")...)
	require.Equal(t, exitCorrupt, r.code, r.err)
	require.Contains(t, r.out, filepath.Base(table))
}

func TestCheckOfAWholeStore(t *testing.T) {
	dir, _ := flushedStore(t)
	report := inJSON[checkResult](t, in(dir, "check", "--level", "full")...)
	require.True(t, report.OK)
	require.Equal(t, 2, report.Forks)
	require.Equal(t, uint64(3), report.Rows)
	fails(t, exitUsage, in(dir, "check", "--level", "deepest"), "quick, full or deep")
}

func TestDump(t *testing.T) {
	dir, table := flushedStore(t)
	require.NotEmpty(t, ok(t, in(dir, "dump", "wal")...))
	require.Contains(t, ok(t, in(dir, "dump", "manifest")...), "child")
	require.Contains(t, ok(t, in(dir, "dump", "sst")...), filepath.Base(table))
	require.NotContains(t, ok(t, in(dir, "dump", "sst")...), "value of a/1")
	require.Contains(t, ok(t, in(dir, "dump", "sst", "--rows", filepath.Base(table))...), "value of a/1")
	require.Contains(t, inJSON[map[string]string](t, in(dir, "dump", "manifest")...)["text"], "child")
	fails(t, exitUsage, in(dir, "dump", "sst", "LOCK"), "000031.sst")
	fails(t, exitError, in(dir, "dump", "sst", "999999.sst"), "no table of the store")
	damage(t, table, 10)
	fails(t, exitCorrupt, in(dir, "dump", "sst", "--rows"), filepath.Base(table))
}

func TestStats(t *testing.T) {
	dir, _ := flushedStore(t)
	require.Regexp(t, `(?m)^forks +2$`, ok(t, in(dir, "stats")...))
	stats := inJSON[map[string]any](t, in(dir, "stats")...)
	require.EqualValues(t, 2, stats["forks"])
	require.EqualValues(t, 1, stats["tables"])
	require.Contains(t, stats, "wal_bytes")
	require.Contains(t, stats, "cache_hits")
}

// Root may write anywhere, so the command runs as nobody where the test is root.
func TestReadOnlyDirectory(t *testing.T) {
	dir := newStore(t)
	makeReadOnly(t, dir)
	r := asNobody(t, in(dir, "put", "k", "v")...)
	require.Equal(t, exitNoSpace, r.code, r.err)
	require.Contains(t, r.err, "permission denied")
	require.Contains(t, r.err, "check the permissions")
	r = asNobody(t, in(filepath.Join(dir, "new"), "put", "k", "v")...)
	require.Equal(t, exitNoSpace, r.code, r.err)
	r = asNobody(t, in(dir, "get", "a/1")...)
	require.Equal(t, exitOK, r.code, "reading needs no permission to write: %s", r.err)
	require.Equal(t, "value of a/1", r.out)
}

func makeReadOnly(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, os.Chmod(filepath.Join(dir, e.Name()), 0o444))
	}
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	for at := filepath.Dir(dir); at != os.TempDir() && at != filepath.Dir(at); at = filepath.Dir(at) {
		require.NoError(t, os.Chmod(at, 0o755))
	}
}

func asNobody(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := command(t, args...)
	if os.Getuid() == 0 {
		// The test binary lies where only root can reach it.
		content, err := os.ReadFile(cmd.Path)
		require.NoError(t, err)
		dir, err := os.MkdirTemp("", "tine-test-")
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		require.NoError(t, os.Chmod(dir, 0o755))
		cmd.Path = filepath.Join(dir, "tine")
		require.NoError(t, os.WriteFile(cmd.Path, content, 0o755))
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func TestACheckOfANodeSaysOnlyWhatWasCounted(t *testing.T) {
	dir, table := flushedStore(t)
	addr := serveHere(t, dir, server.Options{})
	text := ok(t, at(addr, "check")...)
	require.Regexp(t, `3 forks, 0 snapshots, \d+ tables \(.*\), last LSN \d+\nok \(a node's check: .*every block of these tables\)\n`, text, "and the node's own")
	require.Equal(t, text, ok(t, at(addr, "check", "--level", "full")...), "it is the same whatever is asked for")
	fails(t, exitUsage, at(addr, "check", "--level", "deep"), "tine backup --to DIR --check deep")
	counts := inJSON[map[string]any](t, at(addr, "check")...)
	require.EqualValues(t, 3, counts["forks"])
	require.Equal(t, "node", counts["level"])
	for _, what := range []string{"nodes", "rows", "files", "missing", "leaked", "stale"} {
		require.NotContains(t, text, what)
		require.NotContains(t, counts, what)
	}

	damage(t, table, 10)
	r := tine(at(addr, "check")...)
	require.Equal(t, exitCorrupt, r.code)
	require.Contains(t, r.out, "damage in "+filepath.Base(table))
	require.Contains(t, r.out, "DAMAGED (a node's check, which ends at the first damage)")
	require.NotContains(t, r.out, "0 forks")
	require.NotContains(t, r.out, "last LSN")
	r = tine(at(addr, "--json", "check")...)
	require.Equal(t, exitCorrupt, r.code)
	require.NotContains(t, r.out, `"forks":0`)
	require.NotContains(t, r.out, `"last_lsn"`)
	damage(t, table, 10) // as it was
}
