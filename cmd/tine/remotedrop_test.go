package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// janitor may drop whatever there is, and read what begins with "seen".
type janitor struct{}

func (janitor) Identify(context.Context, metadata.MD) (server.Principal, error) {
	return janitor{}, nil
}
func (janitor) Name() string                        { return "janitor" }
func (janitor) Rates() server.Rates                 { return server.Rates{} }
func (janitor) MayAll(v server.Verb, _ string) bool { return v == server.VerbFork }
func (janitor) May(v server.Verb, name string) bool {
	return v == server.VerbFork || v == server.VerbRead && strings.HasPrefix(name, "seen")
}
func (janitor) Patterns(v server.Verb) []string {
	if v == server.VerbFork {
		return []string{"*"}
	}
	return []string{"seen*"}
}

// Who may drop forks and snapshots needs no right to read them.
func TestWhoMayOnlyDropDrops(t *testing.T) {
	dir := newStore(t)
	for _, create := range [][]string{
		{"a"}, {"b"}, {"c"}, {"old-1", "old-2", "old-3"}, {"--count", "30", "--prefix", "many-"},
		{"root"}, {"seen-child", "child", "--from", "root"}, {"seen", "seen-2"}, {"seen-old", "--from", "seen"},
	} {
		ok(t, in(dir, append([]string{"fork", "create"}, create...)...)...)
	}
	ok(t, in(dir, "snapshot", "create", "s")...)
	addr := serveHere(t, dir, server.Options{Auth: janitor{}})
	for _, s := range []struct {
		args, out string
	}{
		{"fork drop a --dry-run", "would drop fork a\n"},
		{"fork drop a --yes", "dropped fork a\n"},
		{"fork drop c b seen-2 --yes", "dropped fork c\ndropped fork b\ndropped fork seen-2\n"},
		{"fork drop --prefix old- --dry-run", "would drop 3 forks that you may not read\n"},
		{"fork drop --prefix old- --yes", "dropped 3 forks\n"},
		{"--json fork drop --prefix many- --yes", `{"count":30,"dropped":[]}` + "\n"},
		{"fork drop --subtree root --yes", "dropped 3 forks\n"},
		{"fork drop --subtree seen --yes", "dropped fork seen\ndropped fork seen-old\n"},
		{"snapshot drop s --yes", "dropped snapshot s\n"},
	} {
		require.Equal(t, s.out, ok(t, at(addr, strings.Fields(s.args)...)...), s.args)
	}
	fails(t, exitNotFound, at(addr, "fork", "drop", "a", "--yes"), "a")
	fails(t, exitNotFound, at(addr, "fork", "drop", "main", "nobody", "--yes"), "nobody")
	fails(t, exitNotFound, at(addr, "fork", "drop", "--prefix", "old-", "--yes"), "old-")
	fails(t, exitNotFound, at(addr, "fork", "drop", "--subtree", "root", "--yes"), "root")
	require.Equal(t, exitNotFound, tine(at(addr, "snapshot", "drop", "s", "--yes")...).code, "which is found out when it is done")
	require.Contains(t, tine(at(addr, "fork", "drop", "main", "--yes")...).err, "protected")
	fails(t, exitUsage, at(addr, "fork", "drop", "main", "main", "--yes"), "named twice")
	fails(t, exitUsage, at(addr, "fork", "drop", "main"), "drop fork main", "--yes")
}
