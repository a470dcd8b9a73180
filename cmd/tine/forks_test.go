package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForksAreIsolated(t *testing.T) {
	dir := newStore(t)
	require.Equal(t, "created fork try\ncreated fork other\n", ok(t, in(dir, "fork", "create", "try", "other")...))
	ok(t, in(dir, "put", "--fork", "try", "a/1", "changed")...)
	ok(t, in(dir, "del", "--fork", "try", "a/2")...)
	require.Equal(t, "changed", ok(t, in(dir, "get", "--fork", "try", "a/1")...))
	fails(t, exitNotFound, in(dir, "get", "--fork", "try", "a/2"))
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...))
	require.Equal(t, "value of a/2", ok(t, in(dir, "get", "--fork", "other", "a/2")...))
}

func TestForkListTreeAndShow(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "child")...)
	ok(t, in(dir, "fork", "create", "--from", "child", "grandchild")...)
	ok(t, in(dir, "fork", "create", "--from", "child", "second")...)

	rows := inJSON[[]forkRow](t, in(dir, "fork", "list")...)
	require.Len(t, rows, 4)
	require.Equal(t, "child", rows[0].Name)
	require.Equal(t, "main", rows[0].Parent)
	require.Contains(t, ok(t, in(dir, "fork", "list")...), "NAME")

	lines := strings.Split(ok(t, in(dir, "fork", "tree")...), "\n")
	require.Regexp(t, `^main  .* of its own`, lines[0])
	require.Regexp(t, `^└─ child  `, lines[1])
	require.Regexp(t, `^   ├─ grandchild  `, lines[2])
	require.Regexp(t, `^   └─ second  `, lines[3])
	require.Contains(t, ok(t, in(dir, "fork", "tree", "--most", "1")...), "└─ … 1 more")
	roots := inJSON[[]*forkNode](t, in(dir, "fork", "tree")...)
	require.Len(t, roots, 1)
	require.Equal(t, "second", roots[0].Children[0].Children[1].Name)
	require.Contains(t, ok(t, in(dir, "fork", "tree", "--nodes")...), "main")

	require.Contains(t, ok(t, in(dir, "fork", "show", "second")...), "parent   child")
	require.Equal(t, "child", inJSON[forkRow](t, in(dir, "fork", "show", "second")...).Parent)
	fails(t, exitNotFound, in(dir, "fork", "show", "nobody"), `"nobody"`, "tine fork list")
}

func TestForkWhoseParentIsDroppedStandsByItself(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "child")...)
	ok(t, in(dir, "fork", "create", "--from", "child", "grandchild")...)
	ok(t, in(dir, "fork", "drop", "--yes", "child")...)
	require.Regexp(t, `(?m)^grandchild  `, ok(t, in(dir, "fork", "tree")...))
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--fork", "grandchild", "a/1")...))
}

func TestForkRename(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "old")...)
	ok(t, in(dir, "fork", "rename", "old", "new")...)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--fork", "new", "a/1")...))
	fails(t, exitNotFound, in(dir, "fork", "rename", "old", "newer"))
	fails(t, exitError, in(dir, "fork", "rename", "new", "main"), "exists")
}

func TestForkReset(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "winner")...)
	ok(t, in(dir, "put", "--fork", "winner", "a/1", "better")...)
	ok(t, in(dir, "put", "a/2", "to be thrown away")...)
	fails(t, exitUsage, in(dir, "fork", "reset", "main"), "--to FORK")
	fails(t, exitUsage, in(dir, "fork", "reset", "main", "--to", "winner"), "throw away", "--yes")
	require.Contains(t, ok(t, in(dir, "fork", "reset", "main", "--to", "winner", "--dry-run")...), "would reset fork main")
	require.Equal(t, "to be thrown away", ok(t, in(dir, "get", "a/2")...))
	ok(t, in(dir, "fork", "reset", "main", "--to", "winner", "--yes")...)
	require.Equal(t, "better", ok(t, in(dir, "get", "a/1")...))
	require.Equal(t, "value of a/2", ok(t, in(dir, "get", "a/2")...))
}

func TestForkDrop(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "one", "two", "three")...)
	fails(t, exitUsage, in(dir, "fork", "drop", "one", "two"), "drop fork one", "drop fork two", "--yes")
	fails(t, exitNotFound, in(dir, "fork", "drop", "--yes", "one", "nobody"), "nobody")
	fails(t, exitUsage, in(dir, "fork", "drop", "--yes", "one", "one"), "named twice")
	require.Contains(t, ok(t, in(dir, "fork", "drop", "--dry-run", "one")...), "would drop fork one")
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 4, "nothing was dropped until here")

	r := tine(in(dir, "fork", "drop", "--yes", "one", "two")...)
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.err, "will drop fork one")
	require.Equal(t, "dropped fork one\ndropped fork two\n", r.out)
	fails(t, exitError, in(dir, "fork", "drop", "--yes", "three", "main"), "protected")
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 2)
}

func TestManyForksAreCreatedListedAndDropped(t *testing.T) {
	dir := newStore(t)
	require.Equal(t, "created 1000 forks run-0001 … run-1000\n", ok(t, in(dir, "fork", "create", "--count", "1000", "--prefix", "run-")...))
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--fork", "run-0500", "a/1")...))
	page := inJSON[[]forkRow](t, in(dir, "fork", "list", "--prefix", "run-", "--after", "run-0997", "--limit", "2")...)
	require.Len(t, page, 2)
	require.Equal(t, "run-0998", page[0].Name)
	require.Equal(t, "run-0999", page[1].Name)
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list", "--prefix", "none")...), 0)
	fails(t, exitUsage, in(dir, "fork", "list", "--limit", "-1"), "--limit")

	fails(t, exitError, in(dir, "fork", "create", "fresh", "run-0001"), "run-0001", "exists")
	fails(t, exitNotFound, in(dir, "fork", "show", "fresh"))
	lines := strings.Split(strings.TrimSpace(ok(t, in(dir, "--json", "fork", "create", "--from", "run-0001", "--count", "10", "--prefix", "x")...)), "\n")
	require.Len(t, lines, 10)
	require.Contains(t, lines[0], `"name":"x01"`)
	ok(t, in(dir, "fork", "create", "--from", "x01", "grandchild")...)

	fails(t, exitUsage, in(dir, "fork", "drop", "--prefix", "run-"), "drop 1000 forks, from run-0001 to run-1000", "--yes")
	fails(t, exitNotFound, in(dir, "fork", "drop", "--prefix", "none", "--yes"), "none")
	fails(t, exitUsage, in(dir, "fork", "drop", "--prefix", "", "--yes"), "empty")
	fails(t, exitUsage, in(dir, "fork", "drop", "--prefix", "run-", "--yes", "main"), "one of the three")
	fails(t, exitUsage, in(dir, "fork", "drop", "--yes"), "at least one name")
	fails(t, exitError, in(dir, "fork", "drop", "--subtree", "main", "--yes"), "protected")
	fails(t, exitNotFound, in(dir, "fork", "drop", "--subtree", "nobody", "--yes"), "nobody")
	require.Contains(t, ok(t, in(dir, "fork", "drop", "--subtree", "run-0001", "--dry-run")...), "would drop fork grandchild")
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 1012, "nothing was dropped until here")

	require.Contains(t, ok(t, in(dir, "fork", "drop", "--subtree", "run-0001", "--yes")...), "dropped fork run-0001\ndropped fork x01\n")
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 1000)
	require.Equal(t, "dropped 999 forks\n", ok(t, in(dir, "fork", "drop", "--prefix", "run-", "--yes")...))
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 1)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...))
}

func TestNumberedForksThatAreRefused(t *testing.T) {
	dir := newStore(t)
	for _, c := range []struct {
		flags []string
		says  string
	}{
		{[]string{"--count", "3"}, "go together"},
		{[]string{"--prefix", "run-"}, "go together"},
		{[]string{"--count", "0", "--prefix", "run-"}, "at least 1"},
		{[]string{"--count", "-1", "--prefix", "run-"}, "at least 1"},
		{[]string{"--count", "1025", "--prefix", "run-"}, "at most 1024"},
		{[]string{"--count", "3", "--prefix", "not good"}, "invalid name"},
		{[]string{"--count", "3", "--prefix", "run-", "name"}, "not both"},
	} {
		fails(t, exitUsage, in(dir, append([]string{"fork", "create"}, c.flags...)...), c.says)
	}
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 1)
}

func TestSnapshots(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "snapshot", "create", "before")...)
	ok(t, in(dir, "put", "a/1", "changed")...)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--snapshot", "before", "a/1")...))
	require.Contains(t, ok(t, in(dir, "scan", "--snapshot", "before")...), "a/1\tvalue of a/1\n")
	fails(t, exitUsage, in(dir, "get", "--snapshot", "before", "--fork", "main", "a/1"), "--fork and --snapshot")
	require.Regexp(t, `before +main`, ok(t, in(dir, "snapshot", "list")...))
	require.Len(t, inJSON[[]map[string]any](t, in(dir, "snapshot", "list")...), 1)

	ok(t, in(dir, "fork", "create", "again", "--from-snapshot", "before")...)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--fork", "again", "a/1")...))
	ok(t, in(dir, "fork", "reset", "main", "--to-snapshot", "before", "--yes")...)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "a/1")...))

	fails(t, exitError, in(dir, "snapshot", "create", "before"), "exists")
	fails(t, exitUsage, in(dir, "snapshot", "drop", "before"), "--yes")
	fails(t, exitNotFound, in(dir, "snapshot", "drop", "--yes", "nothing"), "tine snapshot list")
	ok(t, in(dir, "snapshot", "drop", "--yes", "before")...)
	fails(t, exitNotFound, in(dir, "get", "--snapshot", "before", "a/1"))
}

func TestNamesThatAreNotAllowed(t *testing.T) {
	dir := newStore(t)
	long := strings.Repeat("n", 129)
	for _, verb := range [][]string{{"fork", "create"}, {"fork", "rename", "main"}, {"snapshot", "create"}} {
		fails(t, exitUsage, in(dir, append(verb, "with space")...), "invalid name", `' '`, "allowed are")
		fails(t, exitUsage, in(dir, append(verb, "")...), "empty")
		fails(t, exitUsage, in(dir, append(verb, long)...), "129 bytes", "128")
	}
	fails(t, exitError, in(dir, "fork", "create", "main"), "exists", "choose another name")
	fails(t, exitUsage, in(dir, "fork", "create", "good", "not good"), "invalid name")
	fails(t, exitNotFound, in(dir, "fork", "show", "good"))
}

// A name is never a path: this one must not touch the file system.
func TestNameThatLooksLikeAPathIsOnlyAName(t *testing.T) {
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "../../x")...)
	require.NoFileExists(t, dir+"/../../x")
	_, err := os.Stat(dir + "/..")
	require.NoError(t, err)
	require.Equal(t, "value of a/1", ok(t, in(dir, "get", "--fork", "../../x", "a/1")...))
}
