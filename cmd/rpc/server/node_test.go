package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a server of a store in a temporary directory, on a loopback port.
type node struct {
	tinepb.TineClient
	t      testing.TB
	dir    string
	store  *engine.Store
	server *server.Server
	addr   string
	served chan error
}

// startNode opens a store and serves it. Everything is closed, and the store checked,
// when the test ends.
func startNode(t testing.TB, o server.Options, more ...grpc.DialOption) *node {
	return startNodeIn(t, t.TempDir(), o, more...)
}

func startNodeIn(t testing.TB, dir string, o server.Options, more ...grpc.DialOption) *node {
	t.Helper()
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	n := serve(t, dir, store, o, more...)
	t.Cleanup(n.close)
	return n
}

// serve serves a store that is open.
func serve(t testing.TB, dir string, store *engine.Store, o server.Options, more ...grpc.DialOption) *node {
	t.Helper()
	if o.Auth == nil {
		o.Auth = server.Everybody
	}
	s, err := server.New(store, o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &node{t: t, dir: dir, store: store, server: s, addr: l.Addr().String(), served: make(chan error, 1)}
	go func() { n.served <- s.Serve(l) }()
	n.TineClient = n.dial(more...)
	return n
}

// dial makes one more connection.
func (n *node) dial(more ...grpc.DialOption) tinepb.TineClient {
	return tinepb.NewTineClient(n.conn(more...))
}

// conn makes a connection on which a stream that nobody reads takes 64 KiB, and not
// more from when on the library thinks that the line is fast.
func (n *node) conn(more ...grpc.DialOption) *grpc.ClientConn {
	n.t.Helper()
	more = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
	}, more...)
	conn, err := grpc.NewClient(n.addr, more...)
	require.NoError(n.t, err)
	n.t.Cleanup(func() { conn.Close() })
	return conn
}

// stop ends the server, which must be left with nothing.
func (n *node) stop() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(n.t, n.server.Shutdown(ctx))
	require.NoError(n.t, <-n.served)
	require.Zero(n.t, n.server.Load().InFlight)
	require.Zero(n.t, n.server.Load().Scans)
	require.Zero(n.t, n.server.Load().BytesInFlight, "memory of messages that was never given back")
	require.Zero(n.t, n.server.Load().Connections)
}

// close ends the server, and checks the store.
func (n *node) close() {
	n.t.Helper()
	n.stop()
	require.NoError(n.t, n.store.Settle())
	require.NoError(n.t, n.store.Verify())
	require.NoError(n.t, n.store.Close())
	report, err := engine.Check(n.dir, engine.CheckOptions{Level: engine.CheckDeep})
	require.NoError(n.t, err)
	require.True(n.t, report.OK(), "%+v", report.Problems)
}

func ref(name string) *tinepb.Ref { return &tinepb.Ref{Name: name} }

func fork(name string) *tinepb.Source {
	return &tinepb.Source{Of: &tinepb.Source_Fork{Fork: ref(name)}}
}

func set(fork uint32, key, value string) *tinepb.Op {
	return &tinepb.Op{Kind: tinepb.Op_SET, Fork: fork, Key: []byte(key), Value: []byte(value)}
}

// put sets keys and values of one fork.
func (n *node) put(name string, pairs ...string) {
	n.t.Helper()
	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref(name)}, NoSync: true}
	for i := 0; i < len(pairs); i += 2 {
		m.Ops = append(m.Ops, set(0, pairs[i], pairs[i+1]))
	}
	_, err := n.Write(n.t.Context(), m)
	require.NoError(n.t, err)
}

// get reads a key; "" if it has no value.
func (n *node) get(from *tinepb.Source, key string) string {
	n.t.Helper()
	answer, err := n.Get(n.t.Context(), &tinepb.GetRequest{Source: from, Keys: [][]byte{[]byte(key)}})
	require.NoError(n.t, err)
	require.Len(n.t, answer.GetValues(), 1)
	return string(answer.GetValues()[0].GetValue())
}

// create makes forks of a fork.
func (n *node) create(from string, names ...string) []*tinepb.Ref {
	n.t.Helper()
	answer, err := n.CreateForks(n.t.Context(), &tinepb.CreateForksRequest{From: fork(from), Names: names, NoSync: true})
	require.NoError(n.t, err)
	return answer.GetForks()
}

// scan reads all messages of a scan.
func (n *node) scan(m *tinepb.ScanRequest) (rows []*tinepb.Row, last *tinepb.ScanResponse, err error) {
	stream, err := n.Scan(n.t.Context(), m)
	require.NoError(n.t, err)
	for {
		answer, err := stream.Recv()
		if err != nil {
			return rows, last, wire.FromStatus(err)
		}
		rows, last = append(rows, answer.GetRows()...), answer
		if answer.GetEnd() != tinepb.ScanResponse_END_UNSPECIFIED {
			return rows, last, nil
		}
	}
}

// failed is the error of a call, as a client sees it.
func failed[T any](_ T, err error) error { return wire.FromStatus(err) }
