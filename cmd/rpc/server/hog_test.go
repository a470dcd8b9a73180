package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

// nodeOfTwo has a caller who takes all that they can get, and another one.
func nodeOfTwo(t *testing.T, o server.Options) (n *node, hog, other context.Context) {
	who := make(users)
	who.grant("hog", "read *", "write *")
	who.grant("other", "read *", "write *")
	o.Auth = who
	n = startNode(t, o)
	return n, as(t.Context(), "hog"), as(t.Context(), "other")
}

// servedAll calls what everybody wants of a node, in one go after the other.
func servedAll(t *testing.T, n *node, ctx context.Context) {
	t.Helper()
	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "other", strings.Repeat("x", 64<<10))}}
	require.NoError(t, failed(n.Write(ctx, m)))
	require.NoError(t, failed(n.Get(ctx, &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("other")}})))
	require.NoError(t, drained(n.Scan(ctx, &tinepb.ScanRequest{Source: fork("main"), Lower: []byte("other")})))
}

func TestMessagesThatDoNotArriveTakeNobodyElsesRoom(t *testing.T) {
	n, hog, other := nodeOfTwo(t, server.Options{Limits: server.Limits{MaxBytesInFlight: 128 << 20, Lease: time.Hour}})
	ctx, cancel := context.WithCancel(hog)
	defer cancel()
	for range 3 { // connections with 16 messages each, of which the node receives 32 at a time
		c := n.conn()
		for range 16 {
			_, err := c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, tinepb.Tine_Write_FullMethodName)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool { return n.server.Receiving() == 16 }, time.Minute, time.Millisecond, "a half of 32")
	servedAll(t, n, other)
	err := about(hog, n)
	require.ErrorIs(t, err, wire.ErrOverloaded, "not left to wait until the messages are given up")
	require.ErrorContains(t, err, "16 of 32 are taken, 16 of them by hog")
	servedAll(t, n, other)
	require.EqualValues(t, 16, n.server.Receiving())
	cancel()
	require.Eventually(t, func() bool { return n.server.Receiving() == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, about(hog, n))
}

func TestAnswersThatNobodyReadsTakeNobodyElsesRoom(t *testing.T) {
	const room = 16 << 20
	n, hog, other := nodeOfTwo(t, server.Options{Limits: server.Limits{MaxBytesInFlight: room, MaxUnreadBytes: room}})
	require.NoError(t, failed(n.Write(other, &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", strings.Repeat("x", 1<<20))}})))
	get := &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}}
	ctx, cancel := context.WithCancel(hog)
	var calls sync.WaitGroup
	for range 4 {
		g := newGate()
		c := n.dial(grpc.WithContextDialer(g.dial))
		require.NoError(t, about(hog, c))
		close(g.closed)
		defer g.Close()
		for range 8 {
			calls.Go(func() { _ = failed(c.Get(ctx, get)) })
		}
	}
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 0 && n.server.Load().BytesInFlight > room/4 }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, n.server.Load().BytesInFlight, int64(room/2))
	for range 3 { // while what is unread lies there
		servedAll(t, n, other)
		require.NoError(t, failed(n.Get(other, get)))
	}
	require.ErrorIs(t, failed(n.Get(hog, &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{
		[]byte("k"), []byte("k"), []byte("k"), []byte("k"), []byte("k"), []byte("k"), []byte("k"),
	}})), wire.ErrOverloaded)
	cancel()
	calls.Wait()
}

func TestConnectionsTakeNobodyElsesRoom(t *testing.T) {
	n, hog, other := nodeOfTwo(t, server.Options{Limits: server.Limits{MaxConnections: 8, ConnectTime: time.Hour}})
	var held []*grpc.ClientConn
	for range 4 {
		c := n.conn()
		require.NoError(t, about(hog, tinepb.NewTineClient(c)))
		require.NoError(t, about(hog, tinepb.NewTineClient(c)), "one that is theirs is not counted again")
		held = append(held, c)
	}
	fifth := n.conn()
	for range 2 {
		err := about(hog, tinepb.NewTineClient(fifth))
		require.ErrorIs(t, err, wire.ErrOverloaded)
		require.ErrorContains(t, err, "connections: 4 of 8 are taken, 4 of them by hog")
	}
	require.NoError(t, about(other, tinepb.NewTineClient(fifth)), "whoever has none")
	require.NoError(t, about(hog, tinepb.NewTineClient(fifth)), "on somebody else's connection")
	more := n.conn()
	require.NoError(t, about(other, tinepb.NewTineClient(more)))
	for _, c := range []*grpc.ClientConn{held[0], fifth, more} {
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return n.server.Load().Connections == 3 }, time.Minute, time.Millisecond)
	require.NoError(t, about(hog, tinepb.NewTineClient(n.conn())), "after one was closed")
}

func TestScansTakeNobodyElsesRoom(t *testing.T) {
	n, hog, other := nodeOfTwo(t, server.Options{Limits: server.Limits{MaxScans: 8, Lease: time.Hour}})
	value := strings.Repeat("x", 64<<10)
	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}}
	for i := range 40 {
		m.Ops = append(m.Ops, set(0, fmt.Sprintf("k%02d", i), value))
	}
	require.NoError(t, failed(n.Write(other, m)))
	ctx, cancel := context.WithCancel(hog)
	defer cancel()
	var scans []tinepb.Tine_ScanClient
	for i := range 8 {
		s, err := n.Scan(ctx, &tinepb.ScanRequest{Source: fork("main")})
		require.NoError(t, err)
		_, err = s.Recv()
		if i < 4 {
			require.NoError(t, err)
			scans = append(scans, s)
			continue
		}
		err = wire.FromStatus(err)
		require.ErrorIs(t, err, wire.ErrOverloaded)
		require.ErrorContains(t, err, "scans: 4 of 8 are taken, 4 of them by hog")
	}
	require.EqualValues(t, 4, n.server.Load().Scans)
	servedAll(t, n, other)
	require.NoError(t, about(hog, n), "whose other calls go on")
	for _, s := range scans { // none of them was broken off
		require.NoError(t, drained(s, nil))
	}
}

func TestCallsUnderWayTakeNobodyElsesRoom(t *testing.T) {
	n, hog, other := nodeOfTwo(t, server.Options{Limits: server.Limits{MaxInFlight: 8, Lease: time.Hour}})
	require.NoError(t, about(hog, n))
	ctx, cancel := context.WithCancel(hog)
	defer cancel()
	for range 4 { // of which the messages never come
		_, err := n.conn().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, tinepb.Tine_Scan_FullMethodName)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 4 }, time.Minute, time.Millisecond)
	err := about(hog, n)
	require.ErrorIs(t, err, wire.ErrOverloaded)
	after, _ := wire.RetryAfter(err)
	require.NotZero(t, after)
	servedAll(t, n, other)
	cancel()
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, about(hog, n))
}

func TestWhereNobodyIsNamedEachConnectionIsSomebody(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxScans: 4, Lease: time.Hour}})
	value := strings.Repeat("x", 64<<10)
	for i := range 20 {
		n.put("main", fmt.Sprint("k", i), value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scan := func(c tinepb.TineClient) error {
		s, err := c.Scan(ctx, &tinepb.ScanRequest{Source: fork("main")})
		require.NoError(t, err)
		return failed(s.Recv())
	}
	one, two := n.dial(), n.dial()
	require.NoError(t, scan(one))
	require.NoError(t, scan(one))
	require.ErrorIs(t, scan(one), wire.ErrOverloaded)
	require.NoError(t, scan(two))
}
