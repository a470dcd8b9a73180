package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestDeepCheckComparesForksByHash(t *testing.T) {
	dir, _ := flushedStore(t)
	ok(t, in(dir, "snapshot", "create", "before")...)
	ok(t, in(dir, "del", "--fork", "child", "a/1")...)
	report := inJSON[checkResult](t, in(dir, "check", "--level", "deep")...)
	require.True(t, report.OK)
	require.Len(t, report.Hashes, 3)
	hash := map[string]string{}
	for _, h := range report.Hashes {
		require.Len(t, h.Hash, 16)
		hash[h.Name] = h.Hash
	}
	require.Equal(t, hash["main"], hash["@before"])
	require.NotEqual(t, hash["main"], hash["child"])
	text := ok(t, in(dir, "check", "--level", "deep")...)
	require.Contains(t, text, hash["child"]+"  child  (2 rows)")
	require.Contains(t, text, "ok (deep check)")
}

func TestDamageIsShownWithItsKeys(t *testing.T) {
	dir, table := flushedStore(t)
	damage(t, table, 10)
	r := tine(in(dir, "check", "--level", "deep")...)
	require.Equal(t, exitCorrupt, r.code)
	require.Contains(t, r.out, `keys from "a/1" through "b/1"`)
	require.Contains(t, r.out, "keys that cannot be trusted:\n    child: keys")
	r = tine(in(dir, "--json", "check", "--level", "full")...)
	var report checkResult
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Equal(t, "a/1", report.Problems[0].Keys["lower"])
	require.Positive(t, report.Problems[0].Length)
	require.Len(t, report.Damage, 2)
	require.Equal(t, "child", report.Damage[0].Name)
}

// What a person reads stays short, whatever is broken; what a program reads is
// whole.
func TestManyForksHitAreCountedInTextAndListedInJSON(t *testing.T) {
	dir := newStore(t)
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	fork, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	for i := range 300 {
		_, err = fork.Fork(fmt.Sprintf("agent-%03d", i))
		require.NoError(t, err)
	}
	require.NoError(t, store.Flush())
	require.NoError(t, store.Close())
	damage(t, onlyFile(t, dir, "*.sst"), 10)
	r := tine(in(dir, "check", "--level", "full")...)
	require.Equal(t, exitCorrupt, r.code)
	require.Contains(t, r.out, "and 293 more forks")
	require.Contains(t, r.out, "and 281 more forks and snapshots; --json lists all")
	require.Less(t, strings.Count(r.out, "\n"), 40)
	r = tine(in(dir, "--json", "check", "--level", "full")...)
	var report checkResult
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Len(t, report.Problems[0].Forks, 301)
	require.Len(t, report.Damage, 301)
}

// orphaned is a store with a copy of its table under a number that was given out
// and is not in use.
func orphaned(t *testing.T) (dir, orphan string) {
	t.Helper()
	dir, table := flushedStore(t)
	content, err := os.ReadFile(table)
	require.NoError(t, err)
	orphan = filepath.Join(dir, "000001.sst")
	require.NoError(t, os.WriteFile(orphan, content, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("mine"), 0o644))
	return dir, orphan
}

func TestRepairOrphansAsksAndRemovesOnlyWhatIsLeftOver(t *testing.T) {
	dir, orphan := orphaned(t)
	text := ok(t, in(dir, "check")...)
	require.Contains(t, text, "left over 000001.sst")
	require.Contains(t, text, "not ours: letter.txt")
	require.FileExists(t, orphan)

	fails(t, exitUsage, in(dir, "check", "--repair-orphans"), "remove 000001.sst", "--yes")
	require.Contains(t, ok(t, in(dir, "check", "--repair-orphans", "--dry-run")...), "would remove 000001.sst")
	require.FileExists(t, orphan)
	require.Equal(t, "removed 000001.sst\n", ok(t, in(dir, "check", "--repair-orphans", "--yes")...))
	require.NoFileExists(t, orphan)
	require.FileExists(t, filepath.Join(dir, "letter.txt"))
	require.Equal(t, "no orphans\n", ok(t, in(dir, "check", "--repair-orphans", "--yes")...))
	require.Empty(t, inJSON[repairResult](t, in(dir, "check", "--repair-orphans", "--yes")...).Removed)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...))
}

func TestRepairOrphansRefuses(t *testing.T) {
	dir, orphan := orphaned(t)
	fails(t, exitUsage, in(dir, "check", "--repair-orphans", "--level", "full"), "choose one")
	fails(t, exitUsage, in(dir, "check", "--yes"), "--repair-orphans")

	manifest := onlyFile(t, dir, "MANIFEST-*")
	content, err := os.ReadFile(manifest)
	require.NoError(t, err)
	second := filepath.Join(dir, "MANIFEST-000001")
	require.NoError(t, os.WriteFile(second, content, 0o644))
	fails(t, exitError, in(dir, "check", "--repair-orphans", "--yes"), "second manifest", "nothing was removed", "command that writes")
	require.NoError(t, os.Remove(second))

	for _, name := range []string{"*.sst", "*.wal"} {
		files, err := filepath.Glob(filepath.Join(dir, name))
		require.NoError(t, err)
		whole, err := os.ReadFile(files[len(files)-1])
		require.NoError(t, err)
		damage(t, files[len(files)-1], 100)
		fails(t, exitCorrupt, in(dir, "check", "--repair-orphans", "--yes"), "not proven", "tine check --level full")
		require.NoError(t, os.WriteFile(files[len(files)-1], whole, 0o644))
	}
	require.FileExists(t, orphan)
	ok(t, in(dir, "check", "--repair-orphans", "--yes")...)
	require.NoFileExists(t, orphan)
}

func TestCheckOfADirectoryThatNobodyMayWrite(t *testing.T) {
	dir, _ := orphaned(t)
	makeReadOnly(t, dir)
	for _, level := range []string{"quick", "full", "deep"} {
		r := asNobody(t, in(dir, "check", "--level", level)...)
		require.Equal(t, exitOK, r.code, r.err)
	}
	r := asNobody(t, in(dir, "check", "--repair-orphans", "--yes")...)
	require.Equal(t, exitNoSpace, r.code, r.err)
	require.Contains(t, r.err, "read-only")
	require.FileExists(t, filepath.Join(dir, "000001.sst"))
}
