package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// reader may read what its patterns say, and is everybody.
type reader struct{ patterns []string }

func (r *reader) Identify(context.Context, metadata.MD) (server.Principal, error) { return r, nil }
func (r *reader) Name() string                                                    { return "reader" }
func (r *reader) Rates() server.Rates                                             { return server.Rates{} }
func (r *reader) Patterns(server.Verb) []string                                   { return r.patterns }
func (r *reader) MayAll(server.Verb, string) bool                                 { return false }
func (r *reader) May(v server.Verb, name string) bool {
	return slices.ContainsFunc(r.patterns, func(p string) bool {
		start, star := strings.CutSuffix(p, "*")
		return p == name || star && strings.HasPrefix(name, start)
	})
}

// Lists of any pages for any patterns are compared with all the names, filtered.
func TestListsHaveWhatThePatternsAllow(t *testing.T) {
	who := &reader{}
	n := startNode(t, server.Options{Auth: who})
	main, err := n.store.Fork("main")
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	word := func(longest int) string {
		var b strings.Builder
		for range 1 + r.IntN(longest) {
			b.WriteByte("ab"[r.IntN(2)])
		}
		return b.String()
	}
	taken := map[string]bool{"main": true}
	for range 100 {
		if name := word(6); !taken[name] {
			taken[name] = true
			_, err := main.Fork(name, engine.NoSync)
			require.NoError(t, err)
			_, err = main.Snapshot(name, engine.NoSync)
			require.NoError(t, err)
		}
	}
	_, err = main.Snapshot("main", engine.NoSync)
	require.NoError(t, err)
	list := map[string]func(prefix, after string, limit int) (names []string, next string){
		"": func(prefix, after string, limit int) (names []string, next string) {
			page, err := n.ListForks(t.Context(), &tinepb.ListForksRequest{Prefix: prefix, After: after, Limit: uint32(limit)})
			require.NoError(t, err)
			for _, f := range page.GetForks() {
				names = append(names, f.GetName())
			}
			return names, page.GetNext()
		},
		"@": func(prefix, after string, limit int) (names []string, next string) {
			page, err := n.ListSnapshots(t.Context(), &tinepb.ListSnapshotsRequest{Prefix: prefix, After: after, Limit: uint32(limit)})
			require.NoError(t, err)
			for _, s := range page.GetSnapshots() {
				names = append(names, s.GetName())
			}
			return names, page.GetNext()
		},
	}
	several := 0
	for range 300 {
		who.patterns = nil
		for range r.IntN(6) {
			p := []string{"", "@"}[r.IntN(2)] + word(4)
			switch r.IntN(8) {
			case 0, 1, 2:
				p += "*"
			case 3:
				p = "@*"
			case 4:
				p = []string{"*", "main", "@main", "m*"}[r.IntN(4)]
			}
			who.patterns = append(who.patterns, p)
		}
		prefix, after := []string{"", word(3), "m"}[r.IntN(3)], []string{"", word(5)}[r.IntN(2)]
		limit := 1 + r.IntN(12)
		for mark, page := range list {
			var want []string
			for name := range taken {
				if strings.HasPrefix(name, prefix) && name > after && who.May(server.VerbRead, mark+name) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			var got []string
			pages := 0
			for next := after; ; pages++ {
				var names []string
				names, next = page(prefix, next, limit)
				got = append(got, names...)
				if next == "" {
					break
				}
				require.Len(t, names, limit)
				require.Equal(t, names[limit-1], next, "it tells no other name")
			}
			require.Equal(t, want, got, "%q of %q after %q in pages of %d by %q", mark, prefix, after, limit, who.patterns)
			require.Equal(t, max(len(want)-1, 0)/limit, pages)
			several += min(1, pages)
		}
	}
	require.Greater(t, several, 20)
}

// makeMany makes forks of one, past the node.
func makeMany(t *testing.T, of *engine.Fork, prefix string, count int) {
	t.Helper()
	for i := 0; i < count; i += engine.MaxForkMany {
		var names []string
		for j := range min(engine.MaxForkMany, count-i) {
			names = append(names, fmt.Sprintf("%s-%06d", prefix, i+j))
		}
		_, err := of.ForkMany(names, engine.NoSync)
		require.NoError(t, err)
	}
}

// However many forks lie between two that a caller may read, no page tells of them.
func TestAPageNamesNoForkThatTheCallerMayNotRead(t *testing.T) {
	who := &reader{[]string{"a", "z", "@*"}}
	n := startNode(t, server.Options{Auth: who})
	main, err := n.store.Fork("main")
	require.NoError(t, err)
	_, err = main.ForkMany([]string{"a", "z"}, engine.NoSync)
	require.NoError(t, err)
	makeMany(t, main, "secret", 17<<10)
	for after, want := range map[string]string{"": "a", "a": "z", "secret-000001": "z"} {
		page, err := n.ListForks(t.Context(), &tinepb.ListForksRequest{After: after, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, want, page.GetForks()[0].GetName())
		require.NotContains(t, page.GetNext(), "secret")
	}
}

// What a list takes in memory counts: one that does not fit is refused at once, and not
// made.
func TestTheMemoryOfListsCounts(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxBytesInFlight: 8 << 20, MaxReceiveBytes: 1 << 20, PageRows: 1 << 20}})
	main, err := n.store.Fork("main")
	require.NoError(t, err)
	makeMany(t, main, "fork", 20<<10)
	for i := range 20 << 10 {
		_, err := main.Snapshot(fmt.Sprint("snapshot-", i), engine.NoSync)
		require.NoError(t, err)
	}
	for name, call := range map[string]func() error{
		"forks":     func() error { return failed(n.ListForks(t.Context(), &tinepb.ListForksRequest{})) },
		"snapshots": func() error { return failed(n.ListSnapshots(t.Context(), &tinepb.ListSnapshotsRequest{})) },
	} {
		require.ErrorIs(t, call(), wire.ErrOverloaded, name)
	}
	require.NoError(t, failed(n.ListForks(t.Context(), &tinepb.ListForksRequest{Limit: 5000})))
	require.NoError(t, failed(n.ListSnapshots(t.Context(), &tinepb.ListSnapshotsRequest{Limit: 5000})))
}

// Nor is anything dropped that there was no room to look at.
func TestTheMemoryOfDropsCounts(t *testing.T) {
	const forks = 12 << 10
	dir := t.TempDir()
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	main, err := store.Fork("main")
	require.NoError(t, err)
	root, err := main.Fork("root")
	require.NoError(t, err)
	makeMany(t, root, "fork", forks)
	few, err := main.Fork("few")
	require.NoError(t, err)
	makeMany(t, few, "leaf", 100)
	n := serve(t, dir, store, server.Options{Limits: server.Limits{MaxBytesInFlight: 3 << 20, MaxReceiveBytes: 512 << 10, MaxParts: 4096}})
	defer n.close()
	for _, dry := range []bool{true, false} {
		for _, m := range []*tinepb.DropForksRequest{
			{DryRun: dry, What: &tinepb.DropForksRequest_Prefix{Prefix: "fork"}},
			{DryRun: dry, What: &tinepb.DropForksRequest_Subtree{Subtree: ref("root")}},
		} {
			require.ErrorIs(t, failed(n.DropForks(t.Context(), m)), wire.ErrOverloaded)
		}
	}
	for _, m := range []*tinepb.DropForksRequest{
		{DryRun: true, What: &tinepb.DropForksRequest_Subtree{Subtree: ref("few")}},
		{What: &tinepb.DropForksRequest_Prefix{Prefix: "leaf"}},
		{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("few")}},
	} {
		require.NoError(t, failed(n.DropForks(t.Context(), m)))
	}
	require.Equal(t, forks+3, store.Stats().Forks, "main, the root and the node's own")
}
