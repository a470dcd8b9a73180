package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/client"
	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// node is a server of a store in a temporary directory, on a loopback port.
type node struct {
	t      *testing.T
	store  *engine.Store
	server *server.Server
	addr   string
	served chan error
}

func startNode(t *testing.T, o server.Options) *node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	store, err := engine.Open(dir, nil)
	require.NoError(t, err)
	n := &node{t: t, store: store}
	n.serve(o, "127.0.0.1:0")
	t.Cleanup(func() {
		n.stop()
		require.NoError(t, store.Settle())
		require.NoError(t, store.Verify())
		require.NoError(t, store.Close())
		report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep})
		require.NoError(t, err)
		require.True(t, report.OK(), "%+v", report.Problems)
	})
	return n
}

func (n *node) serve(o server.Options, addr string) {
	if o.Auth == nil {
		o.Auth = server.Everybody
	}
	s, err := server.New(n.store, o)
	require.NoError(n.t, err)
	l, err := net.Listen("tcp", addr)
	require.NoError(n.t, err)
	n.server, n.addr, n.served = s, l.Addr().String(), make(chan error, 1)
	go func() { n.served <- s.Serve(l) }()
}

func (n *node) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(n.t, n.server.Shutdown(ctx))
	require.NoError(n.t, <-n.served)
}

func (n *node) dial(o client.Options) *client.Client {
	n.t.Helper()
	c, err := client.Dial(n.addr, o)
	require.NoError(n.t, err)
	n.t.Cleanup(func() { require.NoError(n.t, c.Close()) })
	return c
}

func mainFork(t *testing.T, c *client.Client) *client.Fork {
	t.Helper()
	f, err := c.Fork(t.Context(), engine.MainFork)
	require.NoError(t, err)
	return f
}

// rows reads a range as "key=value" words.
func rows(t *testing.T, from interface {
	NewIter(context.Context, engine.Range, ...client.ScanOption) (*client.Iterator, error)
}, r engine.Range, reverse bool) (out []string) {
	t.Helper()
	it, err := from.NewIter(t.Context(), r)
	require.NoError(t, err)
	move, ok := it.Next, it.First()
	if reverse {
		move, ok = it.Prev, it.Last()
	}
	for ; ok; ok = move() {
		out = append(out, fmt.Sprintf("%s=%s", it.Key(), it.Value()))
	}
	require.NoError(t, it.Close())
	return out
}

func TestTheClientDoesWhatTheEngineDoes(t *testing.T) {
	ctx := t.Context()
	c := startNode(t, server.Options{}).dial(client.Options{})
	main := mainFork(t, c)
	require.NoError(t, main.Set(ctx, []byte("a"), []byte("1")))
	require.NoError(t, main.Set(ctx, []byte("b"), nil, engine.NoSync))
	v, err := main.Get(ctx, []byte("b"))
	require.NoError(t, err)
	require.Equal(t, []byte{}, v)
	_, err = main.Get(ctx, []byte("c"))
	require.ErrorIs(t, err, engine.ErrNotFound)
	values, err := main.GetMany(ctx, [][]byte{[]byte("a"), []byte("c"), []byte("b")})
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("1"), nil, {}}, values)

	child, err := main.Fork(ctx, "child")
	require.NoError(t, err)
	many, err := child.ForkMany(ctx, []string{"x", "y"})
	require.NoError(t, err)
	require.Equal(t, "y", many[1].Name())
	snapshot, err := child.Snapshot(ctx, "before")
	require.NoError(t, err)
	b := c.NewBatch()
	b.Set(child, []byte("a"), []byte("2"))
	b.Set(many[0], []byte("a"), []byte("3"))
	b.Delete(child, []byte("b"))
	b.DeleteRange(many[1], nil, nil)
	require.Equal(t, 4, b.Len())
	require.NoError(t, b.Commit(ctx))
	require.Zero(t, b.Len())
	require.Equal(t, []string{"a=2"}, rows(t, child, engine.Range{}, false))
	require.Equal(t, []string{"b=", "a=3"}, rows(t, many[0], engine.Range{}, true))
	require.Empty(t, rows(t, many[1], engine.Range{}, false))
	require.Equal(t, []string{"a=1", "b="}, rows(t, snapshot, engine.Range{}, false))
	require.Empty(t, rows(t, main, engine.Range{Lower: []byte("a"), Upper: []byte("a")}, false))
	require.Empty(t, rows(t, main, engine.Range{Upper: []byte{}}, false), "an empty upper bound has nothing below it")
	_, err = main.NewIter(ctx, engine.Range{Lower: []byte("b"), Upper: []byte("a")})
	require.ErrorIs(t, err, engine.ErrInvalidRange)

	require.NoError(t, child.Reset(ctx, snapshot))
	require.Equal(t, []string{"a=1", "b="}, rows(t, child, engine.Range{}, false))
	require.NoError(t, child.Reset(ctx, many[0]))
	require.NoError(t, child.Rename(ctx, "renamed"))
	require.Equal(t, "renamed", child.Name())
	info, err := child.Info(ctx)
	require.NoError(t, err)
	require.Equal(t, "renamed", info.Name)
	require.Equal(t, engine.MainFork, info.Parent)
	require.Equal(t, child.ID(), info.ID)

	infos, err := c.Forks(ctx)
	require.NoError(t, err)
	var names []string
	for _, f := range infos {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"main", "renamed", "x", "y"}, names)
	infos, err = c.ListForks(ctx, engine.ListOptions{After: "main", Limit: 2})
	require.NoError(t, err)
	require.Len(t, infos, 2)
	require.Equal(t, "renamed", infos[0].Name)
	snapshots, err := c.Snapshots(ctx)
	require.NoError(t, err)
	require.Len(t, snapshots, 1)
	n, err := c.Snapshot(ctx, "before")
	require.NoError(t, err)
	require.Equal(t, snapshot.ID(), n.ID())
	require.NoError(t, n.Rename(ctx, "after"))
	again, err := n.Fork(ctx, "again")
	require.NoError(t, err)
	require.Equal(t, []string{"a=1", "b="}, rows(t, again, engine.Range{}, false))
	require.NoError(t, n.Drop(ctx))
	_, err = snapshot.Get(ctx, []byte("a"))
	require.ErrorIs(t, err, engine.ErrSnapshotNotFound)

	require.NoError(t, many[0].Drop(ctx))
	dropped, err := child.DropSubtree(ctx)
	require.NoError(t, err)
	require.Equal(t, 3, dropped, "renamed, and what was made from it: y, and again from its snapshot")
	_, err = main.ForkMany(ctx, []string{"p-1", "p-2"})
	require.NoError(t, err)
	dropped, err = c.DropPrefix(ctx, "p-")
	require.NoError(t, err)
	require.Equal(t, 2, dropped)
	require.NoError(t, c.Sync(ctx))
	about, err := c.About(ctx)
	require.NoError(t, err)
	require.Positive(t, about.GetMaxReceiveBytes())
}

func TestErrorsAreTheEnginesOwn(t *testing.T) {
	ctx := t.Context()
	c := startNode(t, server.Options{}).dial(client.Options{})
	main := mainFork(t, c)
	_, err := c.Fork(ctx, "nobody")
	require.ErrorIs(t, err, engine.ErrForkNotFound)
	_, err = main.Fork(ctx, engine.MainFork)
	require.ErrorIs(t, err, engine.ErrForkExists)
	_, err = main.Fork(ctx, "not good")
	require.ErrorIs(t, err, engine.ErrInvalidName)
	require.ErrorIs(t, main.Drop(ctx), engine.ErrProtected)
	require.ErrorIs(t, main.Set(ctx, bytes.Repeat([]byte("k"), engine.MaxKeyBytes+1), nil), engine.ErrLimit)
	require.ErrorIs(t, main.DeleteRange(ctx, []byte("b"), []byte("a")), engine.ErrInvalidRange)
	require.NoError(t, main.DeleteRange(ctx, []byte("a"), []byte("a")))
	require.Error(t, main.Set(ctx, []byte("large"), make([]byte, 5<<20)), "over what the node takes")

	// A handle never acts on another fork of its name.
	old, err := main.Fork(ctx, "f")
	require.NoError(t, err)
	require.NoError(t, old.Drop(ctx))
	_, err = main.Fork(ctx, "f")
	require.NoError(t, err)
	require.ErrorIs(t, old.Set(ctx, []byte("k"), nil), engine.ErrForkNotFound)
	require.ErrorIs(t, old.Drop(ctx), engine.ErrForkNotFound)

	_, err = client.Dial("127.0.0.1:1", client.Options{Token: "secret"})
	require.ErrorContains(t, err, "plain connection")
}

// Every walk over the same rows, in both directions, with turns and seeks, gives what
// the engine's iterator gives.
func TestIteratorsMoveAsTheEnginesDo(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{ScanMessageBytes: 600}})
	f, err := n.store.Fork(engine.MainFork)
	require.NoError(t, err)
	for i := range 300 {
		require.NoError(t, f.Set(fmt.Appendf(nil, "key%03d", 2*i), fmt.Appendf(nil, "value %d", i), engine.NoSync))
	}
	main := mainFork(t, n.dial(client.Options{}))
	r := rand.New(rand.NewPCG(1, 2))
	ranges := []engine.Range{{}, {Lower: []byte("key100")}, {Upper: []byte("key333")}, {Lower: []byte("key041"), Upper: []byte("key049")}, {Lower: []byte("x")}}
	for _, rng := range ranges {
		want, err := f.NewIter(rng)
		require.NoError(t, err)
		got, err := main.NewIter(t.Context(), rng)
		require.NoError(t, err)
		for range 400 {
			var a, b bool
			var move string
			switch key := fmt.Appendf(nil, "key%03d", r.IntN(620)); r.IntN(12) {
			case 0:
				move, a, b = "First", want.First(), got.First()
			case 1:
				move, a, b = "Last", want.Last(), got.Last()
			case 2:
				move, a, b = fmt.Sprintf("SeekGE(%s)", key), want.SeekGE(key), got.SeekGE(key)
			case 3:
				move, a, b = fmt.Sprintf("SeekLT(%s)", key), want.SeekLT(key), got.SeekLT(key)
			case 4, 5, 6:
				if !want.Valid() {
					continue
				}
				move, a, b = "Prev", want.Prev(), got.Prev()
			default:
				if !want.Valid() {
					continue
				}
				move, a, b = "Next", want.Next(), got.Next()
			}
			require.Equal(t, a, b, "%s in %q", move, rng)
			require.Equal(t, want.Valid(), got.Valid())
			if a {
				require.Equal(t, string(want.Key()), string(got.Key()), move)
				require.Equal(t, string(want.Value()), string(got.Value()))
			}
		}
		require.NoError(t, want.Close())
		require.NoError(t, got.Close())
		require.Zero(t, got.Resumed())
	}
	it, err := main.NewIter(t.Context(), engine.Range{}, client.Limit(150), client.KeysOnly)
	require.NoError(t, err)
	count := 0
	for ok := it.First(); ok; ok = it.Next() {
		require.Empty(t, it.Value())
		count++
	}
	require.NoError(t, it.Close())
	require.Equal(t, 150, count)
}

// lossy loses the answers to some writes: the node has carried them out, and the client
// learns nothing.
type lossy struct{ lose, lost atomic.Int64 }

func (l *lossy) option() grpc.DialOption {
	return grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		if l.lose.Add(-1) >= 0 {
			l.lost.Add(1)
			return status.Error(codes.Unavailable, "the connection broke")
		}
		return err
	})
}

// A batch whose answer was lost is sent again and applied once: what another client has
// written in between stays.
func TestABatchIsAppliedOnceHoweverOftenItIsSent(t *testing.T) {
	ctx := t.Context()
	n := startNode(t, server.Options{})
	var net lossy
	c := n.dial(client.Options{Dial: []grpc.DialOption{net.option()}})
	main := mainFork(t, c)
	f, err := n.store.Fork(engine.MainFork)
	require.NoError(t, err)

	net.lose.Store(2)
	require.NoError(t, main.Set(ctx, []byte("k"), []byte("first")))
	require.EqualValues(t, 2, net.lost.Load())

	// The attempts of one Commit that gives up, and those of the next, are the same batch.
	impatient := n.dial(client.Options{RetryFor: -1, Dial: []grpc.DialOption{net.option()}})
	own := mainFork(t, impatient)
	b := impatient.NewBatch()
	b.Set(own, []byte("k"), []byte("second"))
	net.lose.Store(1)
	err = b.Commit(ctx)
	require.ErrorIs(t, err, engine.ErrIndeterminate)
	require.Equal(t, 1, b.Len(), "the batch keeps its contents")
	v, err := f.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "second", string(v), "it was applied, and the client cannot know")
	require.NoError(t, f.Set([]byte("k"), []byte("third")))
	require.NoError(t, b.Commit(ctx))
	v, err = f.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "third", string(v))

	// Without ids nothing is sent twice.
	bare := n.dial(client.Options{WithoutIDs: true, Dial: []grpc.DialOption{net.option()}})
	own = mainFork(t, bare)
	net.lose.Store(1)
	require.ErrorIs(t, own.Set(ctx, []byte("k"), []byte("fourth")), engine.ErrIndeterminate)
	require.LessOrEqual(t, net.lose.Load(), int64(0))

	// Nor is what makes or drops forks.
	net.lose.Store(1)
	_, err = main.Fork(ctx, "maybe")
	require.Error(t, err)
	require.NotErrorIs(t, err, engine.ErrForkExists, "that would be the second attempt's answer")
	_, err = c.Fork(ctx, "maybe")
	require.NoError(t, err)
}

// The node is stopped and started again under clients that write and read: they do not
// notice.
func TestClientsGoOnWhenTheNodeIsRestarted(t *testing.T) {
	ctx := t.Context()
	n := startNode(t, server.Options{Limits: server.Limits{ScanMessageBytes: 4 << 10}})
	c := n.dial(client.Options{RetryFor: time.Minute})
	main := mainFork(t, c)
	b := c.NewBatch()
	for i := range 2000 {
		b.Set(main, fmt.Appendf(nil, "row%05d", i), make([]byte, 100))
	}
	require.NoError(t, b.Commit(ctx))
	const writers = 4
	var wg sync.WaitGroup
	var written [writers]int
	stop := make(chan struct{})
	failed := make(chan error, writers+1)
	for w := range writers {
		wg.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := main.Set(ctx, fmt.Appendf(nil, "w%d", w), fmt.Append(nil, i)); err != nil {
					failed <- err
					return
				}
				written[w] = i
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			seen := 0
			scanned, err := main.Scan(ctx, engine.Range{Lower: []byte("row"), Upper: []byte("row~")})
			for range scanned {
				seen++
			}
			if err := err(); err != nil || seen != 2000 {
				failed <- errors.Join(err, fmt.Errorf("%d rows", seen))
				return
			}
		}
	})
	for range 3 {
		addr := n.addr
		n.stop()
		n.serve(server.Options{}, addr)
		v, err := main.Get(ctx, []byte("w0")) // it waits for the node
		require.True(t, err == nil || errors.Is(err, engine.ErrNotFound), "%v %s", err, v)
	}
	close(stop)
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	for w := range writers {
		v, err := main.Get(ctx, fmt.Appendf(nil, "w%d", w))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(written[w]), string(v))
	}
}

// One client is used by many goroutines.
func TestAClientIsUsedConcurrently(t *testing.T) {
	ctx := t.Context()
	c := startNode(t, server.Options{}).dial(client.Options{})
	main := mainFork(t, c)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			f, err := main.Fork(ctx, fmt.Sprintf("w-%d", w))
			for i := 0; err == nil && i < 20; i++ {
				err = f.Set(ctx, fmt.Append(nil, i), fmt.Append(nil, w))
			}
			if err == nil && len(rows(t, f, engine.Range{}, false)) != 20 {
				err = errors.New("rows are missing")
			}
			if err == nil && w%2 == 0 {
				err = f.Drop(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	infos, err := c.Forks(ctx)
	require.NoError(t, err)
	require.Len(t, infos, 5)
	require.True(t, slices.IsSortedFunc(infos, func(a, b engine.ForkInfo) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }))
}

// A call that is given up by its context says so, and a node that is not there is an
// error after a while.
func TestCallsEndWithTheirContext(t *testing.T) {
	c, err := client.Dial("127.0.0.1:1", client.Options{RetryFor: 50 * time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Fork(t.Context(), engine.MainFork)
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Fork(ctx, engine.MainFork)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, errors.Is(err, wire.ErrCanceled) || errors.Is(err, context.Canceled))
}
