package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// user is a principal that may do what its grants say: "read x", "fork @s", and
// "fork *" for everything.
type user struct {
	name   string
	grants map[string]bool
	rates  server.Rates
}

func (u *user) Name() string        { return u.name }
func (u *user) Rates() server.Rates { return u.rates }
func (u *user) May(v server.Verb, name string) bool {
	return u.grants[fmt.Sprintf("%s %s", v, name)] || u.grants[v.String()+" *"]
}
func (u *user) Patterns(v server.Verb) (out []string) {
	for g := range u.grants {
		if name, ok := strings.CutPrefix(g, v.String()+" "); ok {
			out = append(out, name)
		}
	}
	return out
}
func (u *user) MayAll(v server.Verb, prefix string) bool {
	return u.grants[v.String()+" *"] || prefix != "" && u.grants[fmt.Sprintf("%s %s*", v, prefix)]
}

// users are an Authorizer that believes what metadata says.
type users map[string]*user

func (x users) Identify(_ context.Context, md metadata.MD) (server.Principal, error) {
	if who := md.Get("user"); len(who) == 1 && x[who[0]] != nil {
		return x[who[0]], nil
	}
	return nil, errors.New("who are you?")
}

func (x users) grant(name string, grants ...string) {
	u := &user{name: name, grants: make(map[string]bool)}
	for _, g := range grants {
		u.grants[g] = true
	}
	x[name] = u
}

func as(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "user", name)
}

// drained reads a stream to its end and gives its error.
func drained[T any](s grpc.ServerStreamingClient[T], err error) error {
	for err == nil {
		_, err = s.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return wire.FromStatus(err)
}

// access is every method, called so that it needs the grants. What is done is undone
// by nobody: each has forks of its own.
var access = map[string]struct {
	grants []string
	call   func(context.Context, tinepb.TineClient) error
}{
	"About": {nil, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.About(ctx, &tinepb.AboutRequest{}))
	}},
	"Sync": {nil, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Sync(ctx, &tinepb.SyncRequest{}))
	}},
	"Get": {[]string{"read main"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Get(ctx, &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}}))
	}},
	"Write": {[]string{"write main", "write w"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Write(ctx, &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main"), ref("w")}, Ops: []*tinepb.Op{set(0, "k", "v"), set(1, "k", "v")}}))
	}},
	"Scan": {[]string{"read @s"}, func(ctx context.Context, c tinepb.TineClient) error {
		return drained(c.Scan(ctx, &tinepb.ScanRequest{Source: snapshotSource("s")}))
	}},
	"CreateForks": {[]string{"read main", "fork c1", "fork c2"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.CreateForks(ctx, &tinepb.CreateForksRequest{From: fork("main"), Names: []string{"c1", "c2"}}))
	}},
	"GetFork": {[]string{"read main"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.GetFork(ctx, &tinepb.GetForkRequest{Fork: ref("main")}))
	}},
	"Tree": {[]string{"read *"}, func(ctx context.Context, c tinepb.TineClient) error {
		return drained(c.Tree(ctx, &tinepb.TreeRequest{}))
	}},
	"RenameFork": {[]string{"fork old", "read old", "fork new"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.RenameFork(ctx, &tinepb.RenameForkRequest{Fork: ref("old"), Name: "new"}))
	}},
	"ResetFork": {[]string{"fork r", "read main"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.ResetFork(ctx, &tinepb.ResetForkRequest{Fork: ref("r"), To: fork("main")}))
	}},
	"DropForks": {[]string{"fork d1", "fork d2"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("d1"), ref("d2")}}}}))
	}},
	"DropForks by prefix": {[]string{"fork p/*"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: "p/"}}))
	}},
	"DropForks by ancestor": {[]string{"fork t", "fork t2", "fork t3"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("t")}}))
	}},
	"CreateSnapshot": {[]string{"read main", "fork @s2"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.CreateSnapshot(ctx, &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: "s2"}))
	}},
	"GetSnapshot": {[]string{"read @s"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.GetSnapshot(ctx, &tinepb.GetSnapshotRequest{Snapshot: ref("s")}))
	}},
	"RenameSnapshot": {[]string{"fork @sold", "read @sold", "fork @snew"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.RenameSnapshot(ctx, &tinepb.RenameSnapshotRequest{Snapshot: ref("sold"), Name: "snew"}))
	}},
	"DropSnapshot": {[]string{"fork @sd"}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.DropSnapshot(ctx, &tinepb.DropSnapshotRequest{Snapshot: ref("sd")}))
	}},
	"Stats": {[]string{"admin "}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Stats(ctx, &tinepb.StatsRequest{}))
	}},
	"Check": {[]string{"admin "}, func(ctx context.Context, c tinepb.TineClient) error {
		return drained(c.Check(ctx, &tinepb.CheckRequest{}))
	}},
	"Flush": {[]string{"admin "}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Flush(ctx, &tinepb.FlushRequest{}))
	}},
	"Compact": {[]string{"admin "}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Compact(ctx, &tinepb.CompactRequest{}))
	}},
	"Settle": {[]string{"admin "}, func(ctx context.Context, c tinepb.TineClient) error {
		return failed(c.Settle(ctx, &tinepb.SettleRequest{}))
	}},
	"Backup": {[]string{"admin ", "read *"}, func(ctx context.Context, c tinepb.TineClient) error {
		return drained(c.Backup(ctx, &tinepb.BackupRequest{}))
	}},
}

func snapshotSource(name string) *tinepb.Source {
	return &tinepb.Source{Of: &tinepb.Source_Snapshot{Snapshot: ref(name)}}
}

// listed are methods that leave out what the caller may not see, instead of failing.
var listed = []string{"ListForks", "ListSnapshots"}

func TestEachMethodNeedsEachOfItsPermissions(t *testing.T) {
	methods := make(map[string]bool)
	for _, m := range tinepb.Tine_ServiceDesc.Methods {
		methods[m.MethodName] = true
	}
	for _, m := range tinepb.Tine_ServiceDesc.Streams {
		methods[m.StreamName] = true
	}
	for name := range access {
		word, _, _ := strings.Cut(name, " ")
		delete(methods, word)
	}
	require.ElementsMatch(t, listed, slices.Collect(maps.Keys(methods)), "methods of which nobody says whom they serve")

	who := make(users)
	n := startNode(t, server.Options{Auth: who})
	who.grant("root", "read *", "write *", "fork *")
	for _, name := range []string{"w", "old", "r", "d1", "d2", "p/1", "p/2", "t"} {
		require.NoError(t, failed(n.CreateForks(as(t.Context(), "root"), &tinepb.CreateForksRequest{From: fork("main"), Names: []string{name}, NoSync: true})))
	}
	for i, name := range []string{"t2", "t3"} {
		require.NoError(t, failed(n.CreateForks(as(t.Context(), "root"), &tinepb.CreateForksRequest{From: fork([]string{"t", "t2"}[i]), Names: []string{name}, NoSync: true})))
	}
	for _, name := range []string{"s", "sold", "sd"} {
		require.NoError(t, failed(n.CreateSnapshot(as(t.Context(), "root"), &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: name})))
	}
	for name, x := range access {
		require.ErrorIs(t, x.call(t.Context(), n), wire.ErrUnauthenticated, name)
		require.ErrorIs(t, x.call(as(t.Context(), "stranger"), n), wire.ErrUnauthenticated, name)
		for without := range x.grants {
			// Everything else that there is, for every verb, but this one.
			var others []string
			for _, verb := range []string{"read", "write", "fork", "admin"} {
				for _, thing := range []string{"", "main", "w", "c1", "c2", "old", "new", "r", "d1", "d2", "p/1", "p/2", "t", "t2", "t3", "@s", "@s2", "@sold", "@snew", "@sd"} {
					if g := verb + " " + thing; g != x.grants[without] {
						others = append(others, g)
					}
				}
			}
			who.grant("almost", others...)
			require.ErrorIs(t, x.call(as(t.Context(), "almost"), n), wire.ErrDenied, "%s without %q", name, x.grants[without])
		}
		who.grant("just", x.grants...)
		err := x.call(as(t.Context(), "just"), n)
		if !errors.Is(err, wire.ErrUnsupported) {
			require.NoError(t, err, name)
		}
	}
}

// careless is an Authorizer that knows nobody and says nothing of it.
type careless struct{}

func (careless) Identify(context.Context, metadata.MD) (server.Principal, error) { return nil, nil }

func TestNobodyIsNotSomebody(t *testing.T) {
	n := startNode(t, server.Options{Auth: careless{}})
	require.ErrorIs(t, failed(n.About(t.Context(), &tinepb.AboutRequest{})), wire.ErrUnauthenticated)
	_, err := server.New(n.store, server.Options{})
	require.Error(t, err, "who may call has to be said")
}

func TestAForeignForkCannotBeToldFromNone(t *testing.T) {
	who := make(users)
	n := startNode(t, server.Options{Auth: who})
	who.grant("agent", "read mine", "write mine", "fork mine")
	get := func(name string) error {
		return failed(n.Get(as(t.Context(), "agent"), &tinepb.GetRequest{Source: fork(name), Keys: [][]byte{[]byte("k")}}))
	}
	require.ErrorIs(t, get("main"), wire.ErrDenied)
	require.Equal(t, strings.ReplaceAll(get("main").Error(), "main", "nope"), get("nope").Error())
	require.ErrorIs(t, get("mine"), engine.ErrForkNotFound)
}

func TestAListHasWhatTheCallerMayRead(t *testing.T) {
	who := make(users)
	n := startNode(t, server.Options{Auth: who})
	who.grant("root", "read *", "fork *")
	who.grant("agent", "read b7", "read b3", "read @s1")
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("b%d", i))
	}
	root := as(t.Context(), "root")
	require.NoError(t, failed(n.CreateForks(root, &tinepb.CreateForksRequest{From: fork("main"), Names: names})))
	for _, name := range []string{"s1", "s2", "s3"} {
		require.NoError(t, failed(n.CreateSnapshot(root, &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: name})))
	}
	list := func(who string, limit uint32) (all []string) {
		m := &tinepb.ListForksRequest{Limit: limit}
		for {
			page, err := n.ListForks(as(t.Context(), who), m)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.GetForks()), max(int(limit), 1))
			for _, f := range page.GetForks() {
				all = append(all, f.GetName())
			}
			if m.After = page.GetNext(); m.After == "" {
				return all
			}
		}
	}
	for limit := uint32(1); limit <= 12; limit++ {
		require.Equal(t, append(slices.Clone(names), "main"), list("root", limit), "pages of %d", limit)
		require.Equal(t, []string{"b3", "b7"}, list("agent", limit))
	}
	page, err := n.ListForks(root, &tinepb.ListForksRequest{Prefix: "b", After: "b4", Limit: 2})
	require.NoError(t, err)
	require.Equal(t, "b5", page.GetForks()[0].GetName())
	require.Equal(t, "b6", page.GetNext())

	snapshots := func(who string, m *tinepb.ListSnapshotsRequest) (all []string) {
		page, err := n.ListSnapshots(as(t.Context(), who), m)
		require.NoError(t, err)
		for _, s := range page.GetSnapshots() {
			all = append(all, s.GetName())
		}
		return append(all, page.GetNext())
	}
	require.Equal(t, []string{"s1", ""}, snapshots("agent", &tinepb.ListSnapshotsRequest{}))
	require.Equal(t, []string{"s1", "s2", "s2"}, snapshots("root", &tinepb.ListSnapshotsRequest{Limit: 2}))
	require.Equal(t, []string{"s3", ""}, snapshots("root", &tinepb.ListSnapshotsRequest{Limit: 2, After: "s2"}))
}

func TestAPageMayEndWhereTheNodeStopsToLetWritersIn(t *testing.T) {
	n := startNode(t, server.Options{})
	var names []string
	for i := range 600 {
		names = append(names, fmt.Sprintf("a%03d", i))
	}
	n.create("main", names...)
	for _, limit := range []uint32{255, 256, 257, 300, 512, 600, 601, 1000} {
		var all []string
		m := &tinepb.ListForksRequest{Limit: limit}
		for {
			page, err := n.ListForks(t.Context(), m)
			require.NoError(t, err)
			for _, f := range page.GetForks() {
				all = append(all, f.GetName())
			}
			if m.After = page.GetNext(); m.After == "" {
				break
			}
		}
		require.Equal(t, append(slices.Clone(names), "main"), all, "pages of %d", limit)
	}
}

// The node's own forks are there for nobody, whatever they may do.
func TestTheNodesOwnForksAreOutOfReach(t *testing.T) {
	n := startNode(t, server.Options{})
	own := server.SystemPrefix + "requests"
	_, err := n.store.Fork(own)
	require.NoError(t, err)
	for name, err := range map[string]error{
		"get":         failed(n.Get(t.Context(), &tinepb.GetRequest{Source: fork(own), Keys: [][]byte{[]byte("k")}})),
		"write":       failed(n.Write(t.Context(), &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref(own)}})),
		"fork of it":  failed(n.CreateForks(t.Context(), &tinepb.CreateForksRequest{From: fork(own), Names: []string{"x"}})),
		"fork to it":  failed(n.CreateForks(t.Context(), &tinepb.CreateForksRequest{From: fork("main"), Names: []string{server.SystemPrefix + "x"}})),
		"show":        failed(n.GetFork(t.Context(), &tinepb.GetForkRequest{Fork: ref(own)})),
		"rename":      failed(n.RenameFork(t.Context(), &tinepb.RenameForkRequest{Fork: ref(own), Name: "x"})),
		"rename to":   failed(n.RenameFork(t.Context(), &tinepb.RenameForkRequest{Fork: ref("main"), Name: server.SystemPrefix + "x"})),
		"reset":       failed(n.ResetFork(t.Context(), &tinepb.ResetForkRequest{Fork: ref(own), To: fork("main")})),
		"reset to":    failed(n.ResetFork(t.Context(), &tinepb.ResetForkRequest{Fork: ref("main"), To: fork(own)})),
		"drop":        failed(n.drop(ref(own))),
		"drop prefix": failed(n.dropPrefix(server.SystemPrefix)),
		"prefix of":   failed(n.dropPrefix(server.SystemPrefix[:2])),
		"snapshot":    failed(n.CreateSnapshot(t.Context(), &tinepb.CreateSnapshotRequest{Fork: ref(own), Name: "x"})),
		"snapshot to": failed(n.CreateSnapshot(t.Context(), &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: server.SystemPrefix + "x"})),
	} {
		require.ErrorIs(t, err, wire.ErrDenied, name)
	}
	list, err := n.ListForks(t.Context(), &tinepb.ListForksRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetForks(), 1)
	require.Empty(t, list.GetNext())
	m := batch(newClock().id(), "main", "k", "v")
	require.True(t, n.write(m))
	n.create("main", "x")
	_, err = n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("main")}})
	require.ErrorIs(t, wire.FromStatus(err), engine.ErrProtected)
	require.Equal(t, "v", n.get(fork("main"), "k"))
}

func (n *node) drop(refs ...*tinepb.Ref) (*tinepb.DropForksResponse, error) {
	return n.DropForks(n.t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: refs}}})
}

func (n *node) dropPrefix(prefix string) (*tinepb.DropForksResponse, error) {
	return n.DropForks(n.t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: prefix}})
}

func TestHealthIsForEverybodyAndReflectionForThoseWhoAreKnown(t *testing.T) {
	who := make(users)
	who.grant("nothing")
	n := startNode(t, server.Options{Auth: who})
	conn := n.conn()
	health := healthpb.NewHealthClient(conn)
	ask := func(service string) healthpb.HealthCheckResponse_ServingStatus {
		answer, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return answer.GetStatus()
	}
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, ask(""))
	n.server.SetReady(false)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, ask("tine.v1.Tine"))
	_, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nope"})
	require.Equal(t, codes.NotFound, status.Code(err))

	reflect := func(ctx context.Context) error {
		stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		require.NoError(t, err)
		_ = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		_, err = stream.Recv()
		_ = stream.CloseSend()
		return wire.FromStatus(err)
	}
	require.ErrorIs(t, reflect(t.Context()), wire.ErrUnauthenticated)
	require.NoError(t, reflect(as(t.Context(), "nothing")))
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.ErrorIs(t, drained(watch, err), wire.ErrUnauthenticated)
	err = conn.Invoke(as(t.Context(), "nothing"), "/tine.v1.Tine/Explode", &tinepb.AboutRequest{}, &tinepb.AboutResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestNoNameOfAForeignForkIsTold(t *testing.T) {
	who := make(users)
	who.grant("root", "read *", "fork *")
	who.grant("agent", "read mine", "fork mine", "read @s")
	n := startNode(t, server.Options{Auth: who})
	root, agent := as(t.Context(), "root"), as(t.Context(), "agent")
	for _, step := range [][2]string{{"main", "secret-parent"}, {"secret-parent", "mine"}, {"mine", "secret-child"}} {
		require.NoError(t, failed(n.CreateForks(root, &tinepb.CreateForksRequest{From: fork(step[0]), Names: []string{step[1]}})))
	}
	require.NoError(t, failed(n.CreateSnapshot(root, &tinepb.CreateSnapshotRequest{Fork: ref("secret-parent"), Name: "s"})))
	for ctx, name := range map[context.Context]string{root: "secret-parent", agent: ""} {
		f, err := n.GetFork(ctx, &tinepb.GetForkRequest{Fork: ref("mine")})
		require.NoError(t, err)
		require.Equal(t, name, f.GetFork().GetParent())
		require.NotZero(t, f.GetFork().GetParentId())
		forks, err := n.ListForks(ctx, &tinepb.ListForksRequest{Prefix: "mine"})
		require.NoError(t, err)
		require.Equal(t, name, forks.GetForks()[0].GetParent())
		s, err := n.GetSnapshot(ctx, &tinepb.GetSnapshotRequest{Snapshot: ref("s")})
		require.NoError(t, err)
		require.Equal(t, name, s.GetSnapshot().GetFork())
		snapshots, err := n.ListSnapshots(ctx, &tinepb.ListSnapshotsRequest{})
		require.NoError(t, err)
		require.Equal(t, name, snapshots.GetSnapshots()[0].GetFork())
	}
	for _, dry := range []bool{true, false} {
		err := failed(n.DropForks(agent, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("mine")}, DryRun: dry}))
		require.ErrorIs(t, err, wire.ErrDenied)
		require.NotContains(t, err.Error(), "secret")
	}
}

// A table that several forks share is damaged. Each caller is told of the forks that they
// may read, and no others, by whatever call finds it; the log names all.
func TestDamageIsToldWithoutForeignNames(t *testing.T) {
	dir := t.TempDir()
	store, err := engine.Open(dir, &engine.Options{Manual: true})
	require.NoError(t, err)
	main, err := store.Fork("main")
	require.NoError(t, err)
	for i := range 200 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "key-%03d", i), bytes.Repeat([]byte("value"), 10), engine.NoSync))
	}
	for _, name := range []string{"mine", "secret-1", "secret-2"} {
		_, err := main.Fork(name)
		require.NoError(t, err)
	}
	_, err = main.Snapshot("secret-3")
	require.NoError(t, err)
	require.NoError(t, store.Flush())
	require.NoError(t, store.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.Len(t, tables, 1)
	content, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	content[100] ^= 0xff
	require.NoError(t, os.WriteFile(tables[0], content, 0o600))

	store, err = engine.Open(dir, &engine.Options{Manual: true})
	require.NoError(t, err)
	who := make(users)
	who.grant("root", "read *", "admin ")
	who.grant("agent", "read mine", "admin ")
	log := new(lockedBuffer)
	n := serve(t, dir, store, server.Options{Auth: who, Logger: slog.New(slog.NewTextHandler(log, nil))})
	for name, call := range map[string]func(context.Context) string{
		"get": func(ctx context.Context) string {
			return fmt.Sprint(failed(n.Get(ctx, &tinepb.GetRequest{Source: fork("mine"), Keys: [][]byte{[]byte("key-000")}})))
		},
		"scan": func(ctx context.Context) string {
			return fmt.Sprint(drained(n.Scan(ctx, &tinepb.ScanRequest{Source: fork("mine")})))
		},
		"backup": func(ctx context.Context) string {
			return fmt.Sprint(drained(n.Backup(ctx, &tinepb.BackupRequest{Forks: []*tinepb.Ref{ref("mine")}})))
		},
		"check": func(ctx context.Context) string {
			stream, err := n.Check(ctx, &tinepb.CheckRequest{})
			require.NoError(t, err)
			var text string
			for {
				step, err := stream.Recv()
				if err != nil {
					return text
				}
				text += step.String()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			all, mine := call(as(t.Context(), "root")), call(as(t.Context(), "agent"))
			for _, name := range []string{"mine", "secret-1", "secret-2", "@secret-3"} {
				require.Contains(t, all, name)
			}
			require.Contains(t, mine, "mine")
			require.NotContains(t, mine, "secret")
		})
	}
	require.Contains(t, log.String(), "secret-1")
	n.stop()
	require.NoError(t, store.Close())
}

// Who may drop forks may not read them for that: a dry run repeats what the caller has
// named, and counts the rest.
func TestADryRunTellsNothingOfForksThatTheCallerMayNotRead(t *testing.T) {
	who := make(users)
	who.grant("root", "read *", "fork *")
	who.grant("agent", "read t/2", "fork t/*", "fork t/0", "fork t/1", "fork t/2", "fork t/3")
	n := startNode(t, server.Options{Auth: who})
	root, agent := as(t.Context(), "root"), as(t.Context(), "agent")
	for i, from := range []string{"main", "t/0", "t/1", "t/1"} {
		require.NoError(t, failed(n.CreateForks(root, &tinepb.CreateForksRequest{From: fork(from), Names: []string{fmt.Sprint("t/", i)}})))
	}
	for name, m := range map[string]*tinepb.DropForksRequest{
		"t/0": {What: &tinepb.DropForksRequest_Subtree{Subtree: ref("t/0")}},
		"t/3": {What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("t/3"), ref("t/2")}}}},
		"":    {What: &tinepb.DropForksRequest_Prefix{Prefix: "t/"}},
	} {
		m.DryRun = true
		all, err := n.DropForks(root, m)
		require.NoError(t, err)
		some, err := n.DropForks(agent, m)
		require.NoError(t, err)
		require.Equal(t, all.GetDropped(), some.GetDropped())
		require.EqualValues(t, len(all.GetForks()), all.GetDropped())
		told := map[string]*tinepb.ForkInfo{}
		for _, f := range some.GetForks() {
			told[f.GetName()] = f
		}
		require.NotZero(t, told["t/2"].GetDepth()+told["t/2"].GetCreatedUnixNano())
		delete(told, "t/2")
		if name != "" {
			require.NotZero(t, told[name].GetId())
			require.Equal(t, (&tinepb.ForkInfo{Name: name, Id: told[name].GetId()}).String(), told[name].String())
			delete(told, name)
		}
		require.Empty(t, told)
	}
}
