package server_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

func TestAForkIsMadeWrittenReadAndDropped(t *testing.T) {
	n := startNode(t, server.Options{})
	n.put("main", "a", "1", "b", "2")
	made := n.create("main", "x", "y")
	require.Len(t, made, 2)
	n.put("x", "a", "changed")
	require.Equal(t, "changed", n.get(fork("x"), "a"))
	require.Equal(t, "1", n.get(fork("main"), "a"))
	require.Equal(t, "1", n.get(fork("y"), "a"))
	require.Equal(t, "", n.get(fork("y"), "none"))

	info, err := n.GetFork(t.Context(), &tinepb.GetForkRequest{Fork: made[0]})
	require.NoError(t, err)
	require.Equal(t, "main", info.GetFork().GetParent())
	require.Equal(t, made[0].GetId(), info.GetFork().GetId())

	_, err = n.RenameFork(t.Context(), &tinepb.RenameForkRequest{Fork: made[0], Name: "z"})
	require.NoError(t, err)
	_, err = n.ResetFork(t.Context(), &tinepb.ResetForkRequest{Fork: ref("y"), To: fork("z")})
	require.NoError(t, err)
	require.Equal(t, "changed", n.get(fork("y"), "a"))
	dropped, err := n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("z")}}}})
	require.NoError(t, err)
	require.EqualValues(t, 1, dropped.GetDropped())
	require.ErrorIs(t, failed(n.GetFork(t.Context(), &tinepb.GetForkRequest{Fork: ref("z")})), engine.ErrForkNotFound)
}

func TestAForkThatWasMadeAnewIsAnotherOne(t *testing.T) {
	n := startNode(t, server.Options{})
	old := n.create("main", "x")[0]
	_, err := n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{old}}}})
	require.NoError(t, err)
	anew := n.create("main", "x")[0]
	require.NotEqual(t, old.GetId(), anew.GetId())
	n.put("x", "k", "v")

	stale := &tinepb.Source{Of: &tinepb.Source_Fork{Fork: old}}
	require.ErrorIs(t, failed(n.Get(t.Context(), &tinepb.GetRequest{Source: stale, Keys: [][]byte{[]byte("k")}})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.Write(t.Context(), &tinepb.WriteRequest{Forks: []*tinepb.Ref{old}, Ops: []*tinepb.Op{set(0, "k", "w")}})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.CreateForks(t.Context(), &tinepb.CreateForksRequest{From: stale, Names: []string{"c"}})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.ResetFork(t.Context(), &tinepb.ResetForkRequest{Fork: old, To: fork("main")})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.RenameFork(t.Context(), &tinepb.RenameForkRequest{Fork: old, Name: "c"})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{old}}}})), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: old}})), engine.ErrForkNotFound)
	_, _, err = n.scan(&tinepb.ScanRequest{Source: stale})
	require.ErrorIs(t, err, engine.ErrForkNotFound)
	require.Equal(t, "v", n.get(fork("x"), "k"))
}

func TestABatchOverForksIsOneStep(t *testing.T) {
	n := startNode(t, server.Options{})
	n.create("main", "x", "y")
	n.put("x", "old", "1")
	m := &tinepb.WriteRequest{
		Forks: []*tinepb.Ref{ref("x"), ref("y")},
		Ops: []*tinepb.Op{
			{Kind: tinepb.Op_DELETE_RANGE, Fork: 0}, set(0, "k", "x"), set(1, "k", "y"), set(1, "l", "y"),
			{Kind: tinepb.Op_DELETE, Fork: 1, Key: []byte("l")},
		},
	}
	answer, err := n.Write(t.Context(), m)
	require.NoError(t, err)
	require.Len(t, answer.GetIds(), 2)
	require.Equal(t, "x", n.get(fork("x"), "k"))
	require.Equal(t, "", n.get(fork("x"), "old"))
	require.Equal(t, "y", n.get(fork("y"), "k"))
	require.Equal(t, "", n.get(fork("y"), "l"))

	m.Forks[1] = ref("gone")
	m.Ops[1] = set(0, "k", "half of a batch")
	require.ErrorIs(t, failed(n.Write(t.Context(), m)), engine.ErrForkNotFound)
	require.Equal(t, "x", n.get(fork("x"), "k"))
}

func TestASnapshotKeepsWhatItNames(t *testing.T) {
	n := startNode(t, server.Options{})
	n.put("main", "k", "old")
	made, err := n.CreateSnapshot(t.Context(), &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: "s"})
	require.NoError(t, err)
	n.put("main", "k", "new")
	require.Equal(t, "old", n.get(snapshotSource("s"), "k"))
	answer, err := n.CreateForks(t.Context(), &tinepb.CreateForksRequest{From: snapshotSource("s"), Names: []string{"x"}})
	require.NoError(t, err)
	require.Equal(t, made.GetSnapshot().GetId(), answer.GetFromId())
	require.Equal(t, "old", n.get(fork("x"), "k"))
	reset, err := n.ResetFork(t.Context(), &tinepb.ResetForkRequest{Fork: ref("main"), To: snapshotSource("s")})
	require.NoError(t, err)
	require.Equal(t, made.GetSnapshot().GetId(), reset.GetToId())
	require.Equal(t, "old", n.get(fork("main"), "k"))

	renamed, err := n.RenameSnapshot(t.Context(), &tinepb.RenameSnapshotRequest{Snapshot: made.GetSnapshot(), Name: "t"})
	require.NoError(t, err)
	require.Equal(t, made.GetSnapshot().GetId(), renamed.GetSnapshot().GetId())
	info, err := n.GetSnapshot(t.Context(), &tinepb.GetSnapshotRequest{Snapshot: renamed.GetSnapshot()})
	require.NoError(t, err)
	require.Equal(t, "main", info.GetSnapshot().GetFork())
	require.ErrorIs(t, failed(n.CreateSnapshot(t.Context(), &tinepb.CreateSnapshotRequest{Fork: ref("x"), Name: "t"})), engine.ErrSnapshotExists)

	other := &tinepb.Ref{Name: "t", Id: made.GetSnapshot().GetId() + 1}
	require.ErrorIs(t, failed(n.DropSnapshot(t.Context(), &tinepb.DropSnapshotRequest{Snapshot: other})), engine.ErrSnapshotNotFound)
	_, err = n.DropSnapshot(t.Context(), &tinepb.DropSnapshotRequest{Snapshot: renamed.GetSnapshot()})
	require.NoError(t, err)
	require.ErrorIs(t, failed(n.Get(t.Context(), &tinepb.GetRequest{Source: snapshotSource("t"), Keys: [][]byte{[]byte("k")}})), engine.ErrSnapshotNotFound)
}

func TestTheTreeIsDrawn(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{ScanMessageBytes: 100}})
	n.put("main", "k", "v")
	n.create("main", "x", "y", "z")
	stream, err := n.Tree(t.Context(), &tinepb.TreeRequest{})
	require.NoError(t, err)
	var text, want strings.Builder
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text.WriteString(m.GetText())
	}
	require.NoError(t, n.store.DrawTree(&want))
	require.Equal(t, want.String(), text.String())
}

// A figure that the engine gives and the answer does not is left to whoever adds it;
// one that the answer has must be the engine's.
func TestFiguresAreTheEngines(t *testing.T) {
	n := startNode(t, server.Options{})
	n.put("main", "k", "v")
	n.create("main", "x")
	_, err := n.Flush(t.Context(), &tinepb.FlushRequest{})
	require.NoError(t, err)
	_, err = n.Compact(t.Context(), &tinepb.CompactRequest{})
	require.NoError(t, err)
	_, err = n.Settle(t.Context(), &tinepb.SettleRequest{})
	require.NoError(t, err)
	_, err = n.Sync(t.Context(), &tinepb.SyncRequest{})
	require.NoError(t, err)
	answer, err := n.Stats(t.Context(), &tinepb.StatsRequest{})
	require.NoError(t, err)
	stats := reflect.ValueOf(n.store.Stats())
	fields := answer.ProtoReflect().Descriptor().Fields()
	nonzero := 0
	for i := range fields.Len() {
		name := strings.ReplaceAll(string(fields.Get(i).Name()), "_", "")
		figure := stats.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
		require.True(t, figure.IsValid(), "the engine has no figure %s", name)
		got := answer.ProtoReflect().Get(fields.Get(i)).String()
		require.Equal(t, fmt.Sprint(figure.Interface()), got, name)
		if got != "0" {
			nonzero++
		}
	}
	require.Greater(t, nonzero, 5)
}
