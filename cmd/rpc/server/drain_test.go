package server_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
)

// A drain breaks off those who wait for merges, however long others may go on: the merges
// go on in the background, until the store is closed.
func TestADrainEndsThoseWhoWaitForMerges(t *testing.T) {
	gate, reached := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	store, err := engine.Open(t.TempDir(), &engine.Options{Schedule: schedule.New(0, func(p schedule.Point) {
		if p == schedule.MergeTurn {
			once()
			<-gate
		}
	})})
	require.NoError(t, err)
	n := serve(t, t.TempDir(), store, server.Options{})
	<-reached
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { require.ErrorIs(t, failed(n.Settle(t.Context(), &tinepb.SettleRequest{})), wire.ErrDraining) })
		calls.Go(func() { require.ErrorIs(t, failed(n.Compact(t.Context(), &tinepb.CompactRequest{})), wire.ErrDraining) })
	}
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 6 }, time.Minute, time.Millisecond)
	drained := make(chan error, 1)
	go func() { drained <- n.server.Shutdown(context.Background()) }()
	select {
	case err := <-drained:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "the drain waits for a merge")
	}
	calls.Wait()
	require.Zero(t, n.server.Load().InFlight)
	require.NoError(t, <-n.served)
	close(gate)
	require.NoError(t, store.Settle())
	require.NoError(t, store.Verify())
	require.NoError(t, store.Close())
}
