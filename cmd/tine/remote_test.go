package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

// serveHere serves the store in dir from this process, until the test ends.
func serveHere(t *testing.T, dir string, o server.Options) (addr string) {
	t.Helper()
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	if o.Auth == nil {
		o.Auth = server.Everybody
	}
	s, err := server.New(store, o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-served)
		require.NoError(t, store.Close())
	})
	return l.Addr().String()
}

// at puts --addr before the arguments.
func at(addr string, args ...string) []string { return append([]string{"--addr", addr}, args...) }

// What differs between two stores that hold the same: when things were made, numbers,
// and how much is in memory, since each call on a directory opens and closes the store.
var differs = []*regexp.Regexp{
	regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z( +\d+)?`), // and nodes, in a list
	regexp.MustCompile(`(?m)^nodes +\d+`),
	regexp.MustCompile(`"id":\d+`),
	regexp.MustCompile(`(?m)^id +\d+`),
	regexp.MustCompile(`"(nodes|memtable_bytes|referenced_bytes|exclusive_bytes|freed_bytes)":\d+`),
	regexp.MustCompile(`\d+(\.\d+)? ([KM]i)?B( in memory)?`),
	regexp.MustCompile(`n\d+`), // of a node, in a drawing
	regexp.MustCompile(`LSN \d+`),
	regexp.MustCompile(`\d+ (log records|tables)`),
	regexp.MustCompile(`it holds "[^"]*"`),
	regexp.MustCompile(`tine: (backup: )?`),
	regexp.MustCompile(`/[^ ]*/(data|addr)\b`),
	regexp.MustCompile(`  +`),
}

func alike(text string) string {
	for _, re := range differs {
		text = re.ReplaceAllString(text, "_")
	}
	return text
}

// Every verb, on a store and on a node that has the same done to it: the output is the
// same, the exit code, and what is said about mistakes.
func TestVerbsDoTheSameOnAStoreAndOnANode(t *testing.T) {
	source := sourceTree(t, 20)
	require.NoError(t, os.WriteFile(filepath.Join(source, "large"), bytes.Repeat([]byte("large"), 2_000_000), 0o644), "larger than a message")
	dir, served := newStore(t), newStore(t)
	addr := serveHere(t, served, server.Options{})
	out := map[string]string{"data": filepath.Join(t.TempDir(), "data"), "addr": filepath.Join(t.TempDir(), "addr")}
	file := filepath.Join(t.TempDir(), "value")
	require.NoError(t, os.WriteFile(file, []byte("of a file"), 0o644))
	steps := []struct {
		name string
		in   string
		args []string
	}{
		{"get", "", []string{"get", "a/1"}},
		{"get as JSON", "", []string{"--json", "get", "a/1"}},
		{"get of a key that is not there", "", []string{"get", "nothing"}},
		{"get of a key that is not there, as JSON", "", []string{"--json", "get", "nothing"}},
		{"get from a fork that is not there", "", []string{"get", "--fork", "nobody", "a/1"}},
		{"put", "", []string{"put", "k", "v"}},
		{"put as JSON", "", []string{"--json", "put", "empty", ""}},
		{"get of an empty value", "", []string{"--json", "get", "empty"}},
		{"put from standard input", "from\x00stdin", []string{"put", "in", "-"}},
		{"put of a file", "", []string{"put", "file", "--file", file}},
		{"put in hexadecimal", "", []string{"--hex", "put", "ff00", "00ff"}},
		{"put of a key that is too long", "", []string{"put", strings.Repeat("k", engine.MaxKeyBytes+1), "v"}},
		{"put of no key", "", []string{"put", "", "v"}},
		{"put to a fork that is not there", "", []string{"put", "--fork", "nobody", "k", "v"}},
		{"scan", "", []string{"scan"}},
		{"scan as JSON", "", []string{"--json", "scan"}},
		{"scan of a prefix, backwards", "", []string{"scan", "--prefix", "a/", "--reverse"}},
		{"scan of keys with a limit", "", []string{"scan", "--keys-only", "--limit", "3"}},
		{"scan of a range", "", []string{"--hex", "scan", "--from", "62", "--to", "6c"}},
		{"scan of an empty range", "", []string{"scan", "--from", "x", "--to", "x"}},
		{"del", "", []string{"del", "k", "never there"}},
		{"del as JSON", "", []string{"--json", "del", "in"}},
		{"fork create", "", []string{"fork", "create", "one", "two"}},
		{"fork create of a name that is taken", "", []string{"fork", "create", "one"}},
		{"fork create of a name that is not allowed", "", []string{"fork", "create", "not good"}},
		{"fork create of many", "", []string{"fork", "create", "--count", "30", "--prefix", "run-", "--from", "one"}},
		{"fork create as JSON", "", []string{"--json", "fork", "create", "three"}},
		{"snapshot create", "", []string{"snapshot", "create", "--fork", "two", "before"}},
		{"snapshot create as JSON", "", []string{"--json", "snapshot", "create", "also"}},
		{"snapshot create, taken", "", []string{"snapshot", "create", "before"}},
		{"snapshot list", "", []string{"snapshot", "list"}},
		{"snapshot list as JSON", "", []string{"--json", "snapshot", "list"}},
		{"del of a range", "", []string{"del", "--fork", "two", "--range", "a", "b"}},
		{"del of a prefix", "", []string{"--json", "del", "--fork", "two", "--prefix", "b"}},
		{"scan of a snapshot", "", []string{"scan", "--snapshot", "before"}},
		{"scan of the fork that changed", "", []string{"scan", "--fork", "two"}},
		{"get from a snapshot that is not there", "", []string{"get", "--snapshot", "nothing", "k"}},
		{"fork create from a snapshot", "", []string{"fork", "create", "--from-snapshot", "before", "again"}},
		{"fork list", "", []string{"fork", "list"}},
		{"fork list, a page", "", []string{"--json", "fork", "list", "--prefix", "run-", "--after", "run-03", "--limit", "5"}},
		{"fork list, the first page", "", []string{"fork", "list", "--limit", "2"}},
		{"fork tree", "", []string{"fork", "tree", "--most", "3"}},
		{"fork tree as JSON", "", []string{"--json", "fork", "tree"}},
		{"fork show", "", []string{"fork", "show", "run-07"}},
		{"fork show as JSON", "", []string{"--json", "fork", "show", "two"}},
		{"fork show of nobody", "", []string{"fork", "show", "nobody"}},
		{"fork rename", "", []string{"fork", "rename", "three", "drei"}},
		{"fork rename, taken", "", []string{"fork", "rename", "drei", "one"}},
		{"fork reset without --yes", "", []string{"fork", "reset", "drei", "--to", "two"}},
		{"fork reset, only said", "", []string{"fork", "reset", "drei", "--to", "two", "--dry-run"}},
		{"fork reset", "", []string{"fork", "reset", "drei", "--to", "two", "--yes"}},
		{"fork reset to a snapshot", "", []string{"--json", "fork", "reset", "drei", "--to-snapshot", "before", "--yes"}},
		{"batch", `{"set":"k","value":"v","fork":"drei"}
{"delete_range":true,"from":"a/1","to":"a/2"} {"set_hex":"00","value_hex":"ff","fork":"drei"}
{"delete":"b/1","fork":"two"}`, []string{"batch"}},
		{"batch of nothing", "", []string{"--json", "batch", "-"}},
		{"batch that names nobody", `{"set":"k","value":"w"} {"delete":"k","fork":"nobody"}`, []string{"batch"}},
		{"batch that makes no sense", `{"set":"k","value":"w"} {"set":"k","delete":"k","value":"w"}`, []string{"batch"}},
		{"batch with a word that is not known", `{"set":"k","valeu":"w"}`, []string{"batch"}},
		{"batch without a value", `{"set":"k"}`, []string{"batch"}},
		{"batch with bounds in the wrong order", `{"delete_range":true,"from":"b","to":"a"}`, []string{"batch"}},
		{"batch with an empty key", `{"set":"ok","value":""} {"set":"","value":"w"}`, []string{"batch"}},
		{"scan after the batches", "", []string{"scan"}},
		{"scan of what was reset", "", []string{"scan", "--fork", "drei"}},
		{"import, only counted", "", []string{"import", source, "--prefix", "t/", "--dry-run"}},
		{"import", "", []string{"import", source, "--prefix", "t/"}},
		{"import of the same again", "", []string{"import", source, "--prefix", "t/"}},
		{"import that deletes", "", []string{"--json", "import", filepath.Join(source, "d1"), "--prefix", "t/", "--delete"}},
		{"import of the rest", "", []string{"import", source, "--prefix", "t/"}},
		{"export", "", []string{"export", "OUT/tree", "--prefix", "t/"}},
		{"export of nothing that is a tree", "", []string{"export", "OUT/none"}},
		{"fork drop without --yes", "", []string{"fork", "drop", "one"}},
		{"fork drop, only said", "", []string{"fork", "drop", "--prefix", "run-", "--dry-run"}},
		{"fork drop of a prefix", "", []string{"fork", "drop", "--prefix", "run-1", "--yes"}},
		{"fork drop of names", "", []string{"fork", "drop", "run-01", "run-02", "--yes"}},
		{"fork drop of a subtree", "", []string{"--json", "fork", "drop", "--subtree", "one", "--yes"}},
		{"fork drop of nobody", "", []string{"fork", "drop", "nobody", "--yes"}},
		{"fork drop of all", "", []string{"fork", "drop", "main", "two", "drei", "again", "--yes"}},
		{"snapshot drop", "", []string{"snapshot", "drop", "also", "--yes"}},
		{"snapshot drop of nothing", "", []string{"snapshot", "drop", "also", "--yes"}},
		{"backup", "", []string{"backup", "--to", "OUT/backup", "--check", "deep", "--fork", "main", "--fork", "two", "--snapshot", "before"}},
		{"backup to a directory that is not empty", "", []string{"backup", "--to", "OUT/backup"}},
		{"backup of nobody", "", []string{"backup", "--to", "OUT/nobody", "--fork", "nobody"}},
		{"fork list at the end", "", []string{"fork", "list"}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			args := func(which string) []string {
				var out2 []string
				for _, arg := range s.args {
					out2 = append(out2, strings.Replace(arg, "OUT", out[which], 1))
				}
				return out2
			}
			want := tineWith(s.in, in(dir, args("data")...)...)
			got := tineWith(s.in, at(addr, args("addr")...)...)
			require.Equal(t, want.code, got.code, "%s%s", got.out, got.err)
			require.Equal(t, alike(want.out), alike(got.out))
			if s.name != "fork drop of all" { // only the node knows whether there are others
				require.Equal(t, alike(want.err), alike(got.err))
			}
		})
	}
	ok(t, at(addr, "check")...)
	stats := inJSON[map[string]any](t, at(addr, "stats")...)
	require.EqualValues(t, 5, stats["forks"], "main, two, drei, again, and the node's own")
	require.Equal(t, sound(t, filepath.Join(out["data"], "backup")), sound(t, filepath.Join(out["addr"], "backup")))
	restored := filepath.Join(t.TempDir(), "restored")
	require.Contains(t, ok(t, in(restored, "restore", "--from", filepath.Join(out["addr"], "backup"))...), "restored 2 forks and 1 snapshots")
	require.Equal(t, sound(t, filepath.Join(out["data"], "backup")), sound(t, restored))
}

// sound checks a store deeply and gives what its forks hold.
func sound(t *testing.T, dir string) map[string]string {
	t.Helper()
	report := inJSON[checkResult](t, in(dir, "check", "--level", "deep")...)
	require.True(t, report.OK)
	out := map[string]string{}
	for _, h := range report.Hashes {
		out[h.Name] = h.Hash
	}
	require.NotEmpty(t, out)
	return out
}

func TestWhichStoreIsMeant(t *testing.T) {
	dir := newStore(t)
	addr := serveHere(t, newStore(t), server.Options{})
	fails(t, exitUsage, []string{"--data", dir, "--addr", addr, "stats"}, "--data and --addr")
	t.Setenv("TINE_ADDR", addr)
	require.Equal(t, "value of a/1", ok(t, "get", "a/1"))
	ok(t, in(dir, "put", "only", "here")...)
	fails(t, exitNotFound, []string{"get", "only"}, "key not found")
	t.Setenv("TINE_DATA", dir)
	fails(t, exitUsage, []string{"get", "only"}, "TINE_DATA and TINE_ADDR")
	require.Equal(t, "here", ok(t, in(dir, "get", "only")...))
	fails(t, exitNotFound, at(addr, "get", "only"))
	for _, args := range [][]string{{"dump", "wal"}, {"check", "--repair-orphans"}, {"restore", "--from", dir}} {
		fails(t, exitUsage, at(addr, args...), "--data DIR")
	}
	fails(t, exitUnreached, at("127.0.0.1:1", "backup", "--to", filepath.Join(t.TempDir(), "x")), "127.0.0.1:1")
}

// What a node keeps for itself is not shown, and not touched by accident.
func TestForksOfANodeAreHidden(t *testing.T) {
	dir := newStore(t)
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	s, err := server.New(store, server.Options{Auth: server.Everybody})
	require.NoError(t, err)
	require.NoError(t, s.Shutdown(context.Background()))
	require.NoError(t, store.Close())
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list")...), 1)
	require.NotContains(t, ok(t, in(dir, "fork", "tree")...), ".tine")
	require.Len(t, inJSON[[]forkRow](t, in(dir, "--all", "fork", "list")...), 2)
	require.Len(t, inJSON[[]forkRow](t, in(dir, "fork", "list", "--limit", "1")...), 1)
	fails(t, exitNotFound, in(dir, "scan", "--fork", ".tine/requests"), "--all")
	ok(t, in(dir, "--all", "scan", "--fork", ".tine/requests")...)
	fails(t, exitError, in(dir, "fork", "drop", "main", "--yes"), "protected")
	fails(t, exitNotFound, in(dir, "fork", "drop", ".tine/requests", "--yes"))
}
