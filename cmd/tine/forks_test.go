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
