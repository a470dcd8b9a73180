package server_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

func TestAMessageToHealthIsSmall(t *testing.T) {
	n := startNode(t, server.Options{Auth: make(users)})
	h := healthpb.NewHealthClient(n.conn())
	require.NoError(t, failed(h.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "tine.v1.Tine"})))
	large := &healthpb.HealthCheckRequest{Service: strings.Repeat("x", 8<<10)}
	require.ErrorIs(t, failed(h.Check(t.Context(), large)), wire.ErrNodeLimit)
}

func TestHalfAMessageToHealthIsCountedAndNotWaitedForForever(t *testing.T) {
	observer := new(seen)
	n := startNode(t, server.Options{Auth: make(users), Observer: observer, Limits: server.Limits{Lease: 100 * time.Millisecond, ConnectTime: time.Hour, CallTime: time.Hour}})
	g := newGate()
	h := healthpb.NewHealthClient(n.conn(grpc.WithContextDialer(g.dial)))
	require.NoError(t, failed(h.Check(t.Context(), &healthpb.HealthCheckRequest{})))
	before := observer.count()
	g.passes.Store(20 << 10)
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	large := &healthpb.HealthCheckRequest{Service: strings.Repeat("x", 1<<20)}
	for range 40 {
		calls.Go(func() { _ = failed(h.Check(ctx, large)) })
	}
	require.Eventually(t, func() bool { return observer.count() > before }, time.Minute, time.Millisecond, "nobody counts them")
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 0 }, time.Minute, time.Millisecond)
	cancel()
	g.Close()
	calls.Wait()
}

func TestThoseWhoWatchHealthTakeNobodysRoom(t *testing.T) {
	who := make(users)
	who.grant("agent")
	who.grant("other")
	n := startNode(t, server.Options{Auth: who, Limits: server.Limits{MaxInFlight: 6}})
	h := healthpb.NewHealthClient(n.conn())
	all, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx, other := as(all, "agent"), as(all, "other")
	watch := func(ctx context.Context) error {
		s, err := h.Watch(ctx, &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		return failed(s.Recv())
	}
	for range 3 {
		require.NoError(t, watch(ctx))
	}
	require.ErrorIs(t, watch(ctx), wire.ErrOverloaded, "they have a bound of their own")
	require.NoError(t, watch(other), "and leave others as much")
	require.NoError(t, about(ctx, n))
	require.NoError(t, failed(h.Check(t.Context(), &healthpb.HealthCheckRequest{})))
}
