package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
)

func (n *node) names() (names []string) {
	list, err := n.ListForks(n.t.Context(), &tinepb.ListForksRequest{})
	require.NoError(n.t, err)
	for _, f := range list.GetForks() {
		names = append(names, f.GetName())
	}
	return names
}

func TestForksAreDroppedTogether(t *testing.T) {
	n := startNode(t, server.Options{})
	n.create("main", "a/1", "a/2", "b")
	n.create("b", "c")
	n.create("c", "d")
	sub := &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("b")}, DryRun: true}
	would, err := n.DropForks(t.Context(), sub)
	require.NoError(t, err)
	require.EqualValues(t, 3, would.GetDropped())
	require.Len(t, would.GetForks(), 3)
	require.Equal(t, []string{"a/1", "a/2", "b", "c", "d", "main"}, n.names(), "it was only asked")
	sub.DryRun = false
	did, err := n.DropForks(t.Context(), sub)
	require.NoError(t, err)
	require.EqualValues(t, 3, did.GetDropped())

	require.ErrorIs(t, failed(n.drop(ref("a/1"), ref("gone"))), engine.ErrForkNotFound)
	require.Equal(t, []string{"a/1", "a/2", "main"}, n.names(), "all of them or none")
	did, err = n.dropPrefix("a/")
	require.NoError(t, err)
	require.EqualValues(t, 2, did.GetDropped())
	did, err = n.dropPrefix("a/")
	require.NoError(t, err)
	require.Zero(t, did.GetDropped())
	require.Equal(t, []string{"main"}, n.names())
	require.ErrorIs(t, failed(n.dropPrefix("")), engine.ErrInvalidName)
	require.ErrorIs(t, failed(n.DropForks(t.Context(), &tinepb.DropForksRequest{})), wire.ErrBadRequest)
}

func TestASubtreeOfWhichSomeAreForeignStays(t *testing.T) {
	who := make(users)
	who.grant("root", "read *", "fork *")
	who.grant("agent", "read mine", "fork mine", "fork mine2", "read mine2")
	n := startNode(t, server.Options{Auth: who})
	root := as(t.Context(), "root")
	for _, x := range [][2]string{{"main", "mine"}, {"mine", "mine2"}, {"mine2", "foreign"}} {
		require.NoError(t, failed(n.CreateForks(root, &tinepb.CreateForksRequest{From: fork(x[0]), Names: []string{x[1]}})))
	}
	drop := &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("mine")}}
	require.ErrorIs(t, failed(n.DropForks(as(t.Context(), "agent"), drop)), wire.ErrDenied)
	require.NoError(t, failed(n.GetFork(root, &tinepb.GetForkRequest{Fork: ref("mine")})))
	require.NoError(t, failed(n.DropForks(root, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("foreign")}}}})))
	did, err := n.DropForks(as(t.Context(), "agent"), drop)
	require.NoError(t, err)
	require.EqualValues(t, 2, did.GetDropped())
}

// Whoever drops what, and however many do it at a time: one fork is left.
func TestCallersKeepOneForkOfTheirOwn(t *testing.T) {
	n := startNode(t, server.Options{})
	require.ErrorIs(t, failed(n.drop(ref("main"))), engine.ErrProtected)
	require.ErrorIs(t, failed(n.drop(ref("main"), ref("main"))), engine.ErrProtected)
	require.ErrorIs(t, failed(n.dropPrefix("ma")), engine.ErrProtected)
	require.ErrorIs(t, failed(n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: ref("main")}})), engine.ErrProtected)
	for round := range 20 {
		var names []string
		for i := range 7 {
			names = append(names, fmt.Sprintf("r%d/%d", round, i))
		}
		n.create(n.names()[0], names...)
		all := n.names()
		require.Len(t, all, 8)
		var dropped atomic.Int64
		var calls sync.WaitGroup
		for i, name := range all {
			calls.Go(func() {
				m := &tinepb.DropForksRequest{NoSync: true, What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref(name)}}}}
				switch i % 3 {
				case 1:
					m.What = &tinepb.DropForksRequest_Prefix{Prefix: name}
				case 2:
					m.What = &tinepb.DropForksRequest_Subtree{Subtree: ref(name)}
				}
				answer, err := n.DropForks(context.Background(), m)
				err = wire.FromStatus(err)
				if err != nil && !errors.Is(err, engine.ErrProtected) && !errors.Is(err, engine.ErrForkNotFound) {
					t.Error(err)
				}
				dropped.Add(int64(answer.GetDropped()))
			})
		}
		calls.Wait()
		left := n.names()
		require.NotEmpty(t, left)
		require.EqualValues(t, 8-len(left), dropped.Load())
		for _, name := range left[1:] {
			require.NoError(t, failed(n.drop(ref(name))), "the count of what may be dropped is wrong")
		}
		require.ErrorIs(t, failed(n.drop(ref(left[0]))), engine.ErrProtected)
	}
}

// A fork can be dropped from the moment at which it can be seen, though its maker waits
// for the disk.
func TestForksThatTheirMakerDoesNotKnowOfYetAreDroppedLikeOthers(t *testing.T) {
	for _, m := range []*tinepb.DropForksRequest{
		{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{ref("new-1"), ref("new-2")}}}},
		{What: &tinepb.DropForksRequest_Prefix{Prefix: "new-"}},
	} {
		var n *node
		var once atomic.Bool
		dir := t.TempDir()
		store, err := engine.Open(dir, &engine.Options{Schedule: schedule.New(0, func(p schedule.Point) {
			if p == schedule.ForkPlaced && n != nil && once.CompareAndSwap(false, true) {
				if answer, err := n.DropForks(context.Background(), m); err != nil || answer.GetDropped() != 2 {
					t.Errorf("dropped %d: %v", answer.GetDropped(), err) // in the node's goroutine, which must go on
				}
			}
		})})
		require.NoError(t, err)
		n = serve(t, dir, store, server.Options{})
		n.create("main", "new-1", "new-2")
		require.True(t, once.Load())
		require.Equal(t, []string{"main"}, n.names())
		require.ErrorIs(t, failed(n.drop(ref("main"))), engine.ErrProtected)
		n.create("main", "another")
		require.NoError(t, failed(n.drop(ref("another"))))
		n.close()
	}
}

// A node's own fork must not keep what others have let go of.
func TestTheNodesOwnForkHoldsNothingOfOthers(t *testing.T) {
	dir := t.TempDir()
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	main, err := store.Fork("main")
	require.NoError(t, err)
	for i := range 2000 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "key-%d", i), []byte(strings.Repeat("x", 100)), engine.NoSync))
	}
	require.NoError(t, store.Flush())
	require.NoError(t, store.Close())

	n := startNodeIn(t, dir, server.Options{})
	own, err := n.store.Fork(server.SystemPrefix + "requests")
	require.NoError(t, err)
	require.Zero(t, n.rows())
	require.NoError(t, n.store.Flush())
	require.NoError(t, n.store.Compact())
	info, err := own.Info()
	require.NoError(t, err)
	require.Zero(t, info.ReferencedBytes, "it keeps tables of main: %+v", info)
	require.Empty(t, info.Parent, "it would go with its parent")
	require.Equal(t, 1, len(n.store.ListForks(engine.ListOptions{Prefix: server.SystemPrefix})))
}
