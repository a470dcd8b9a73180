package server_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
)

// Between finding what a caller names and doing something to it, somebody else gives it
// a name that the caller knows nothing of. Whatever the call was, it has not found it.
func TestACallDoesNothingToASnapshotThatWasRenamedUnderIt(t *testing.T) {
	var rename atomic.Pointer[func()]
	dir := t.TempDir()
	store, err := engine.Open(dir, &engine.Options{Schedule: schedule.New(0, func(p schedule.Point) {
		switch p {
		case schedule.RecordReserved, schedule.ViewBuilt, schedule.IteratorOpening:
			if once := rename.Swap(nil); once != nil {
				(*once)()
			}
		}
	})})
	require.NoError(t, err)
	who := make(users)
	who.grant("agent", "read @tmp", "fork @tmp", "fork @mine", "read main", "fork main", "fork child", "admin ")
	n := serve(t, dir, store, server.Options{Auth: who})
	defer n.close()
	main, err := store.Fork("main")
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("k"), []byte("v")))

	tmp := snapshotSource("tmp")
	for name, call := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error {
			return failed(n.Get(ctx, &tinepb.GetRequest{Source: tmp, Keys: [][]byte{[]byte("k")}}))
		},
		"get at one moment": func(ctx context.Context) error {
			return failed(n.Get(ctx, &tinepb.GetRequest{Source: tmp, OneMoment: true, Keys: [][]byte{[]byte("k"), []byte("l")}}))
		},
		"scan": func(ctx context.Context) error {
			return drained(n.Scan(ctx, &tinepb.ScanRequest{Source: tmp}))
		},
		"fork": func(ctx context.Context) error {
			return failed(n.CreateForks(ctx, &tinepb.CreateForksRequest{From: tmp, Names: []string{"child"}}))
		},
		"reset": func(ctx context.Context) error {
			return failed(n.ResetFork(ctx, &tinepb.ResetForkRequest{Fork: ref("main"), To: tmp}))
		},
		"rename": func(ctx context.Context) error {
			return failed(n.RenameSnapshot(ctx, &tinepb.RenameSnapshotRequest{Snapshot: ref("tmp"), Name: "mine"}))
		},
		"drop": func(ctx context.Context) error {
			return failed(n.DropSnapshot(ctx, &tinepb.DropSnapshotRequest{Snapshot: ref("tmp")}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot, err := main.Snapshot("tmp")
			require.NoError(t, err)
			hidden := func() {
				if err := snapshot.Rename("secret"); err != nil {
					t.Error(err) // in the node's goroutine, which must go on
				}
			}
			rename.Store(&hidden)
			err = call(as(t.Context(), "agent"))
			require.Nil(t, rename.Load(), "nothing was renamed in the middle of the call")
			require.ErrorIs(t, err, engine.ErrSnapshotNotFound)
			require.NotErrorIs(t, err, wire.ErrDenied)
			require.NotContains(t, err.Error(), "secret")
			require.Equal(t, "secret", snapshot.Name())
			require.Len(t, store.ListForks(engine.ListOptions{}), 2, "main and the node's own")
			require.NoError(t, snapshot.Drop())
		})
	}
}
