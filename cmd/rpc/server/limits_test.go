package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

func about(ctx context.Context, c tinepb.TineClient) error {
	return failed(c.About(ctx, &tinepb.AboutRequest{}))
}

// waiting is an Authorizer that lets callers wait.
type waiting struct {
	came atomic.Int64
	gate chan struct{}
}

func (w *waiting) Identify(ctx context.Context, md metadata.MD) (server.Principal, error) {
	w.came.Add(1)
	<-w.gate
	return server.Everybody.Identify(ctx, md)
}

func TestACallTooManyIsToldSoAtOnce(t *testing.T) {
	w := &waiting{gate: make(chan struct{})}
	n := startNode(t, server.Options{Auth: w, Limits: server.Limits{MaxInFlight: 3}})
	var calls sync.WaitGroup
	for range 3 {
		c := n.dial() // another's
		calls.Go(func() { require.NoError(t, about(context.Background(), c)) })
	}
	require.Eventually(t, func() bool { return w.came.Load() == 3 }, time.Minute, time.Millisecond)
	err := about(t.Context(), n)
	require.ErrorIs(t, err, wire.ErrOverloaded)
	after, ok := wire.RetryAfter(err)
	require.True(t, ok)
	require.NotZero(t, after)
	require.EqualValues(t, 3, w.came.Load(), "it was not even asked who calls")
	close(w.gate)
	calls.Wait()
	require.NoError(t, about(t.Context(), n))
}

func TestAMessageOverTheNodesLimitIsRefused(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxReceiveBytes: 1 << 20, MaxSendBytes: 1 << 20, MaxParts: 100}})
	large := strings.Repeat("x", 2<<20)
	require.ErrorIs(t, failed(n.Write(t.Context(), &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", large)}})), wire.ErrNodeLimit)

	main, err := n.store.Fork("main")
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("large"), []byte(large)))
	require.NoError(t, main.Set([]byte("a"), bytes.Repeat([]byte("x"), 600<<10)))
	require.NoError(t, main.Set([]byte("b"), bytes.Repeat([]byte("x"), 600<<10)))
	get := func(keys ...string) error {
		m := &tinepb.GetRequest{Source: fork("main")}
		for _, k := range keys {
			m.Keys = append(m.Keys, []byte(k))
		}
		return failed(n.Get(t.Context(), m))
	}
	require.ErrorIs(t, get("large"), wire.ErrNodeLimit)
	require.ErrorIs(t, get("a", "b"), wire.ErrNodeLimit)
	require.NoError(t, get("a"))
	require.NoError(t, get("b"))
	rows, _, err := n.scan(&tinepb.ScanRequest{Source: fork("main")})
	require.ErrorIs(t, err, wire.ErrNodeLimit)
	require.Equal(t, []string{"a", "b"}, keysOf(rows), "large rows go one by one, until one is too large")

	many := strings.Split(strings.Repeat("k", 100), "")
	require.NoError(t, get(many[:99]...), "keys and the source")
	require.ErrorIs(t, get(many...), wire.ErrNodeLimit)
	refs := make([]*tinepb.Ref, 200)
	require.ErrorIs(t, failed(n.drop(refs...)), wire.ErrNodeLimit)
	require.Error(t, about(metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("y", 20<<10)), n))
	require.NoError(t, about(t.Context(), n))
}

func TestThereIsRoomForSoMuchMemory(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxBytesInFlight: 1 << 20}})
	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", strings.Repeat("x", 2<<20))}}
	require.ErrorIs(t, failed(n.Write(t.Context(), m)), wire.ErrOverloaded)
	m.Ops[0].Value = m.Ops[0].Value[:400<<10]
	require.NoError(t, failed(n.Write(t.Context(), m)))
	require.Zero(t, n.server.Load().BytesInFlight)
	require.Len(t, n.get(fork("main"), "k"), 400<<10)
	require.Eventually(t, func() bool { return n.server.Load().BytesInFlight == 0 }, time.Minute, time.Millisecond)
}

func TestAConnectionTooManyIsClosed(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxConnections: 2}})
	require.NoError(t, about(t.Context(), n))
	second := n.conn()
	require.NoError(t, about(t.Context(), tinepb.NewTineClient(second)))
	require.EqualValues(t, 2, n.server.Load().Connections)
	raw, err := net.Dial("tcp", n.addr)
	require.NoError(t, err)
	defer raw.Close()
	require.NoError(t, raw.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.ReadAll(raw)
	var late net.Error
	require.False(t, errors.As(err, &late) && late.Timeout(), "it was not closed")
	require.NoError(t, second.Close())
	require.Eventually(t, func() bool { return n.server.Load().Connections == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, about(t.Context(), n.dial()))
}

func TestAConnectionOfNobodyKnownIsClosed(t *testing.T) {
	who := make(users)
	who.grant("agent")
	n := startNode(t, server.Options{Auth: who, Limits: server.Limits{ConnectTime: 200 * time.Millisecond}})
	stranger := n.dial()
	require.ErrorIs(t, about(t.Context(), stranger), wire.ErrUnauthenticated)
	require.Eventually(t, func() bool { return n.server.Load().Connections == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, about(as(t.Context(), "agent"), n))
	require.ErrorIs(t, about(t.Context(), stranger), wire.ErrUnauthenticated)
	require.Eventually(t, func() bool { return n.server.Load().Connections == 1 }, time.Minute, time.Millisecond)
	require.ErrorIs(t, about(t.Context(), n), wire.ErrUnauthenticated, "of one who is known it is not the only call")
}

// gated is a connection that can be made to take nothing more, and to lose what is
// written to it.
type gated struct {
	net.Conn
	closed chan struct{} // reads wait forever once it is closed
	ended  chan struct{}
	once   sync.Once
	passes atomic.Int64 // bytes of writes that still arrive
}

func (g *gated) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	select {
	case <-g.closed:
		<-g.ended
		return 0, io.EOF
	default:
		return n, err
	}
}

func (g *gated) Write(p []byte) (int, error) {
	left := g.passes.Add(-int64(len(p))) + int64(len(p))
	if left < int64(len(p)) {
		if _, err := g.Conn.Write(p[:max(0, left)]); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return g.Conn.Write(p)
}

func (g *gated) Close() error {
	g.once.Do(func() { close(g.ended) })
	return g.Conn.Close()
}

// gate makes a connection, when it is dialled, of which the test has the ends.
func newGate() *gated {
	g := &gated{closed: make(chan struct{}), ended: make(chan struct{})}
	g.passes.Store(1 << 40)
	return g
}

// dial makes the connection, once.
func (g *gated) dial(_ context.Context, addr string) (net.Conn, error) {
	if g.Conn != nil {
		return nil, errors.New("once only")
	}
	c, err := net.Dial("tcp", addr)
	g.Conn = c
	return g, err
}

// dialGated makes such a connection for calls of the service.
func (n *node) dialGated() (tinepb.TineClient, *gated) {
	g := newGate()
	c := n.dial(grpc.WithContextDialer(g.dial))
	require.NoError(n.t, about(n.t.Context(), c))
	return c, g
}

func TestAConnectionThatTakesNoAnswersIsClosed(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{Lease: 2 * time.Second}})
	n.put("main", "k", strings.Repeat("x", 1<<20))
	require.NoError(t, about(t.Context(), n))
	before := n.server.Load()
	c, g := n.dialGated()
	close(g.closed)
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			_ = failed(c.Get(ctx, &tinepb.GetRequest{Source: fork("main"), Keys: [][]byte{[]byte("k")}}))
		})
	}
	require.Eventually(t, func() bool { return n.server.Load().BytesInFlight >= 5<<20 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return n.server.Load() == before }, time.Minute, time.Millisecond, "what it held is free again")
	cancel()
	calls.Wait()
	require.NoError(t, about(t.Context(), n))
}

func TestACallerWhoSendsHalfAMessageIsNotWaitedForForever(t *testing.T) {
	observer := new(seen)
	n := startNode(t, server.Options{Observer: observer, Limits: server.Limits{Lease: 100 * time.Millisecond}})
	require.NoError(t, about(t.Context(), n))
	c, g := n.dialGated()
	before := observer.count()
	g.passes.Store(20 << 10)
	var calls sync.WaitGroup
	for range 40 { // more than may be waiting at a time
		calls.Go(func() {
			_ = failed(c.Write(t.Context(), &tinepb.WriteRequest{
				Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", strings.Repeat("x", 1<<20))},
			}))
		})
	}
	require.Eventually(t, func() bool { return observer.count() > before }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return n.server.Load().InFlight == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, about(t.Context(), n))
	g.Close()
	calls.Wait()
}

func TestQuotasAreForEachCallerAndEachFork(t *testing.T) {
	who := make(users)
	for _, name := range []string{"slow", "free", "bulk"} {
		who.grant(name, "read *", "write *", "fork *")
	}
	who["slow"].rates = server.Rates{Calls: 0.001}
	who["bulk"].rates = server.Rates{Bytes: 1000}
	n := startNode(t, server.Options{Auth: who, Limits: server.Limits{PerFork: server.Rates{Bytes: 0.001}}})
	require.NoError(t, about(as(t.Context(), "slow"), n))
	err := about(as(t.Context(), "slow"), n)
	require.ErrorIs(t, err, wire.ErrOverloaded)
	after, _ := wire.RetryAfter(err)
	require.Greater(t, after, time.Minute)
	for range 10 {
		require.NoError(t, about(as(t.Context(), "free"), n), "another's quota is another's")
	}
	get := func(user, name string) error {
		return failed(n.Get(as(t.Context(), user), &tinepb.GetRequest{Source: fork(name), Keys: [][]byte{[]byte("k")}}))
	}
	free := as(t.Context(), "free")
	require.NoError(t, failed(n.CreateForks(free, &tinepb.CreateForksRequest{From: snapshotOf(t, n, free), Names: []string{"x", "y"}})))
	require.NoError(t, get("free", "x"))
	require.ErrorIs(t, get("free", "x"), wire.ErrOverloaded)
	require.NoError(t, get("free", "y"))

	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("z")}, Ops: []*tinepb.Op{set(0, "k", strings.Repeat("x", 1<<20))}}
	require.ErrorIs(t, failed(n.Write(as(t.Context(), "bulk"), m)), engine.ErrForkNotFound)
	require.ErrorIs(t, failed(n.Write(as(t.Context(), "bulk"), m)), wire.ErrOverloaded, "what was sent counts, whatever became of it")
}

// snapshotOf makes a snapshot of main.
func snapshotOf(t *testing.T, n *node, ctx context.Context) *tinepb.Source {
	require.NoError(t, failed(n.CreateSnapshot(ctx, &tinepb.CreateSnapshotRequest{Fork: ref("main"), Name: "s"})))
	return snapshotSource("s")
}

// broken is an Authorizer with a bug.
type broken struct{ calls atomic.Int64 }

func (b *broken) Identify(ctx context.Context, md metadata.MD) (server.Principal, error) {
	if b.calls.Add(1) == 1 {
		panic("a bug, they say")
	}
	return brokenPrincipal{}, nil
}

type brokenPrincipal struct{}

func (brokenPrincipal) Name() string                           { return "nobody" }
func (brokenPrincipal) May(v server.Verb, name string) bool    { panic(fmt.Sprint("asked about ", name)) }
func (brokenPrincipal) MayAll(v server.Verb, name string) bool { return false }
func (brokenPrincipal) Patterns(server.Verb) []string          { return nil }
func (brokenPrincipal) Rates() server.Rates                    { return server.Rates{} }

// lockedBuffer is a log that a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAPanicEndsItsCallOnly(t *testing.T) {
	log := new(lockedBuffer)
	n := startNode(t, server.Options{Auth: new(broken), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.ErrorIs(t, about(t.Context(), n), wire.ErrInternal)
	require.Contains(t, log.String(), "a bug, they say")
	require.Contains(t, log.String(), "stack=")
	require.NoError(t, about(t.Context(), n))
	err := failed(n.Get(t.Context(), &tinepb.GetRequest{Source: fork("main")}))
	require.ErrorIs(t, err, wire.ErrInternal)
	require.NotContains(t, err.Error(), "asked about", "callers do not see what is inside")
	require.ErrorIs(t, drained(n.Scan(t.Context(), &tinepb.ScanRequest{Source: fork("main")})), wire.ErrInternal)
}

// seen is an Observer that keeps what it is told.
type seen struct {
	mu      sync.Mutex
	started int
	events  []server.Event
	refused []server.Limit
}

func (s *seen) Started(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

func (s *seen) Refused(l server.Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, l)
}

func (s *seen) Done(e server.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func TestEveryCallIsObservedAndDeniedOnesAreLogged(t *testing.T) {
	who := make(users)
	who.grant("agent", "read main", "write main")
	who.grant("operator", "admin ")
	log, observer := new(lockedBuffer), new(seen)
	n := startNode(t, server.Options{Auth: who, Observer: observer, Logger: slog.New(slog.NewTextHandler(log, nil))})
	agent := as(t.Context(), "agent")
	require.NoError(t, failed(n.Write(agent, &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", "v")}})))
	require.NoError(t, drained(n.Scan(agent, &tinepb.ScanRequest{Source: fork("main")})))
	require.Empty(t, log.String(), "ordinary calls are not logged")
	require.ErrorIs(t, failed(n.Flush(agent, &tinepb.FlushRequest{})), wire.ErrDenied)
	require.NoError(t, failed(n.Flush(as(t.Context(), "operator"), &tinepb.FlushRequest{})))
	require.ErrorIs(t, about(t.Context(), n), wire.ErrUnauthenticated)

	observer.mu.Lock()
	defer observer.mu.Unlock()
	require.Equal(t, len(observer.events), observer.started)
	var methods []string
	for _, e := range observer.events {
		methods = append(methods, fmt.Sprint(e.Method, " ", e.Principal, " ", e.Code, " ", e.Rows))
	}
	require.Equal(t, []string{"Write agent OK 1", "Scan agent OK 1", "Flush agent PermissionDenied 0", "Flush operator OK 0", "About  Unauthenticated 0"}, methods)
	require.NotZero(t, observer.events[0].BytesIn)
	require.NotZero(t, observer.events[0].Engine)
	require.LessOrEqual(t, observer.events[0].Engine, observer.events[0].Took)
	require.Equal(t, 2, strings.Count(log.String(), "call denied"))
	require.Equal(t, 1, strings.Count(log.String(), "administrative call"))
	require.Contains(t, log.String(), "principal=operator")
	require.Contains(t, log.String(), "remote=127.0.0.1")
}

func TestWhoseChangeIsMadeIsNotToldThatItIsNot(t *testing.T) {
	who := make(users)
	who.grant("agent", "read *", "write *", "fork *")
	// Requests and what they take fit. Nobody's answer of more than 4 KiB does.
	for name, limits := range map[string]server.Limits{
		"of what a connection leaves unread": {MaxUnreadBytes: 1},
		"of a message":                       {MaxSendBytes: 4 << 10},
		"of all messages":                    {MaxBytesInFlight: 82_000},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, server.Options{Auth: who, Limits: limits})
			ctx := as(t.Context(), "agent")
			var names []string
			var refs []*tinepb.Ref
			for i := range 400 {
				names = append(names, fmt.Sprintf("%d-%s", i, strings.Repeat("x", 20)))
				refs = append(refs, ref(names[i]))
			}
			answer, err := n.CreateForks(ctx, &tinepb.CreateForksRequest{From: fork("main"), Names: names, NoSync: true})
			require.NoError(t, err)
			require.Len(t, answer.GetForks(), 400)
			require.Eventually(t, func() bool { return n.server.Load().BytesInFlight == 0 }, time.Minute, time.Millisecond)
			require.ErrorIs(t, failed(n.CreateForks(ctx, &tinepb.CreateForksRequest{From: fork("main"), Names: names, NoSync: true})), engine.ErrForkExists)

			written, err := n.Write(ctx, &tinepb.WriteRequest{Forks: refs, Ops: []*tinepb.Op{set(0, "k", "v")}, NoSync: true})
			require.NoError(t, err)
			require.Len(t, written.GetIds(), 400)

			prefix := func(dry bool) error {
				return failed(n.DropForks(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: "1"}, DryRun: dry}))
			}
			if limits.MaxBytesInFlight == 0 {
				require.Error(t, prefix(true), "what does nothing may be refused")
			}
			require.NoError(t, prefix(false))
		})
	}
}

func TestACallIsChargedOnceToAForkThatItNamesOften(t *testing.T) {
	m := &tinepb.WriteRequest{Ops: []*tinepb.Op{set(0, "k", "v")}}
	for range 10_000 {
		m.Forks = append(m.Forks, ref("x"))
	}
	start := func(per server.Rates) *node {
		n := startNode(t, server.Options{Limits: server.Limits{PerFork: per}})
		n.create("main", "x")
		return n
	}
	n := start(server.Rates{Calls: 0.001}) // lets one through
	require.NoError(t, failed(n.Write(t.Context(), m)))
	require.ErrorIs(t, failed(n.Write(t.Context(), m)), wire.ErrOverloaded)
	n = start(server.Rates{Bytes: 1 << 20}) // of which the message is a tenth
	require.NoError(t, failed(n.Write(t.Context(), m)))
	require.NoError(t, failed(n.Get(t.Context(), &tinepb.GetRequest{Source: fork("x"), Keys: [][]byte{[]byte("k")}})))
}

// So it has for the largest answers: of a get, and of a scan.
func TestLimitsThatAreValidHaveRoomForEveryAnswer(t *testing.T) {
	const send = 1 << 20
	limits := server.Limits{MaxReceiveBytes: 1 << 10, MaxSendBytes: send, ScanMessageBytes: 64 << 10}
	for limits.MaxBytesInFlight = 1 << 10; limits.Validate() != nil; limits.MaxBytesInFlight += 1 << 10 {
		require.Less(t, limits.MaxBytesInFlight, int64(8<<20))
	}
	limits.MaxUnreadBytes = send - 1
	require.ErrorContains(t, limits.Validate(), "a connection that may leave")
	limits.MaxUnreadBytes = 0
	n := startNode(t, server.Options{Limits: limits})
	main, err := n.store.Fork("main")
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("k"), make([]byte, send-100)))
	require.Len(t, n.get(fork("main"), "k"), send-100)
	require.Eventually(t, func() bool { return n.server.Load().BytesInFlight == 0 }, time.Minute, time.Millisecond)
	rows, _, err := n.scan(&tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	require.Len(t, rows, 1)
}

// The least memory that Validate asks for has room for the writes that take the most: one
// large row, and as many small ones as there can be.
func TestLimitsThatAreValidHaveRoomForEveryWrite(t *testing.T) {
	const receive = 64 << 10
	limits := server.Limits{MaxReceiveBytes: receive, MaxSendBytes: receive, ScanMessageBytes: 1 << 10}
	for limits.MaxBytesInFlight = 1 << 10; limits.Validate() != nil; limits.MaxBytesInFlight += 1 << 10 {
		require.Less(t, limits.MaxBytesInFlight, int64(8<<20))
	}
	require.NoError(t, server.Limits{}.Validate())
	n := startNode(t, server.Options{Limits: limits})
	ids := newClock()
	large := batch(ids.id(), "main", "k", "")
	large.Ops[0].Value = make([]byte, receive-proto.Size(large)-8)
	small := batch(ids.id(), "main", "k", "")
	for room := (receive - proto.Size(small)) / (proto.Size(small.Ops[0]) + 2); room > 0; room-- {
		small.Ops = append(small.Ops, small.Ops[0])
	}
	for _, m := range []*tinepb.WriteRequest{large, small} {
		require.InDelta(t, receive, proto.Size(m), 16)
		require.True(t, n.write(m))
	}
}
