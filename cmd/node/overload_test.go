package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// loaded is a node that answers on a port, and its metrics.
type loaded struct {
	*testing.T
	*node
	addr  string
	admin *httptest.Server
}

func newLoaded(t *testing.T, limits server.Limits) *loaded {
	n, _ := served(t, io.Discard)
	n.metrics = newNodeMetrics(n)
	var err error
	n.server, err = server.New(n.store, server.Options{Auth: server.Everybody, Limits: limits, Observer: n.metrics.calls})
	require.NoError(t, err)
	n.metrics.server.Store(n.server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n.wg.Go(func() { _ = n.server.Serve(l) })
	t.Cleanup(n.wg.Wait)
	t.Cleanup(func() { _ = n.server.Shutdown(context.Background()) })
	x := &loaded{t, n, l.Addr().String(), httptest.NewServer(adminServer(&n.condition, n.metrics.registry, n.log).Handler)}
	t.Cleanup(x.admin.Close)
	return x
}

// conn makes a connection on which a stream that nobody reads takes 64 KiB.
func (x *loaded) conn() *grpc.ClientConn {
	c, err := grpc.NewClient(x.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<20))
	require.NoError(x, err)
	x.Cleanup(func() { _ = c.Close() })
	return c
}

// tells gives a page of the admin port.
func (x *loaded) tells(path string) string {
	x.Helper()
	answer, err := x.admin.Client().Get(x.admin.URL + path)
	require.NoError(x, err)
	defer answer.Body.Close()
	require.Equal(x, 200, answer.StatusCode)
	text, err := io.ReadAll(answer.Body)
	require.NoError(x, err)
	return string(text)
}

// small is what a client does again and again: a small write and a get. It is told when
// there is no room, and comes again.
func small(ctx context.Context, c tinepb.TineClient, refused *atomic.Int64) error {
	fork := &tinepb.Ref{Name: engine.MainFork}
	for _, call := range []func() error{
		func() error {
			_, err := c.Write(ctx, &tinepb.WriteRequest{Forks: []*tinepb.Ref{fork}, NoSync: true, Ops: []*tinepb.Op{{Kind: tinepb.Op_SET, Key: []byte("k"), Value: []byte("v")}}})
			return err
		},
		func() error {
			_, err := c.Get(ctx, &tinepb.GetRequest{Source: &tinepb.Source{Of: &tinepb.Source_Fork{Fork: fork}}, Keys: [][]byte{[]byte("k")}})
			return err
		},
	} {
		for err := call(); err != nil; err = call() {
			after, overloaded := wire.RetryAfter(wire.FromStatus(err))
			if !overloaded {
				return wire.FromStatus(err)
			}
			refused.Add(1)
			select {
			case <-time.After(after):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// With scans that nobody reads and all other room taken, who calls is told so, and health
// and metrics answer; when there is room, 256 clients are served, however many scans lie
// there.
func TestANodeThatIsFullAnswers(t *testing.T) {
	const scans, calls = 64, 160
	x := newLoaded(t, server.Limits{MaxInFlight: calls, Lease: time.Hour, CallTime: time.Hour})
	main, err := x.store.Fork(engine.MainFork)
	require.NoError(t, err)
	for i := range 40 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "large-%02d", i), []byte(strings.Repeat("x", 64<<10)), engine.NoSync))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hog := tinepb.NewTineClient(x.conn())
	source := &tinepb.Source{Of: &tinepb.Source_Fork{Fork: &tinepb.Ref{Name: engine.MainFork}}}
	for range scans {
		stream, err := hog.Scan(ctx, &tinepb.ScanRequest{Source: source})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
	}
	require.EqualValues(t, scans, x.server.Load().Scans)

	filling, enough := context.WithCancel(ctx)
	for range calls - scans { // each somebody's own
		_, err := x.conn().NewStream(filling, &grpc.StreamDesc{ClientStreams: true}, tinepb.Tine_Write_FullMethodName)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return x.server.Load().InFlight == calls }, time.Minute, time.Millisecond)
	late := tinepb.NewTineClient(x.conn())
	health := healthpb.NewHealthClient(x.conn())
	for range 20 {
		_, err := late.About(t.Context(), &tinepb.AboutRequest{})
		require.ErrorIs(t, wire.FromStatus(err), wire.ErrOverloaded)
		answer, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.GetStatus())
		require.Contains(t, x.tells("/readyz"), "ok")
	}
	metrics := x.tells("/metrics")
	require.Contains(t, metrics, fmt.Sprintf("\ntine_scans %d\n", scans))
	require.Regexp(t, regexp.MustCompile(`(?m)^tine_calls_total\{code="ResourceExhausted",method="About"\} 20$`), metrics)
	for _, limit := range server.EveryLimit {
		met := 0
		if limit == server.LimitCalls {
			met = 20
		}
		require.Contains(t, metrics, fmt.Sprintf("\ntine_refused_total{limit=%q} %d\n", limit, met))
	}
	enough()
	require.Eventually(t, func() bool { return x.server.Load().InFlight == scans }, time.Minute, time.Millisecond)

	clients := 256
	if testing.Short() {
		clients = 64
	}
	var served, refused atomic.Int64
	var all sync.WaitGroup
	for range clients {
		c := tinepb.NewTineClient(x.conn())
		all.Go(func() {
			for range 5 {
				ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
				if err := small(ctx, c, &refused); err == nil {
					served.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 5*clients, served.Load(), "%d were refused", refused.Load())
	require.EqualValues(t, scans, x.server.Load().Scans, "whose scans nobody has taken away")
	x.tells("/metrics")
}
