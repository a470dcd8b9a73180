package server_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// clock is a node's clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time        { return time.Unix(0, c.at.Load()) }
func (c *clock) add(d time.Duration)   { c.at.Add(int64(d)) }
func (c *clock) id() *tinepb.RequestId { return idAt(c.now()) }
func idAt(t time.Time) *tinepb.RequestId {
	return &tinepb.RequestId{Id: random(), CreatedUnixMs: t.UnixMilli()}
}

func random() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

func batch(id *tinepb.RequestId, name, key, value string) *tinepb.WriteRequest {
	return &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref(name)}, Ops: []*tinepb.Op{set(0, key, value)}, RequestId: id, NoSync: true}
}

func (n *node) write(m *tinepb.WriteRequest) (applied bool) {
	n.t.Helper()
	answer, err := n.Write(n.t.Context(), m)
	require.NoError(n.t, err)
	return !answer.GetAlreadyApplied()
}

func TestABatchThatIsSentAgainIsAppliedOnce(t *testing.T) {
	n := startNode(t, server.Options{})
	id := newClock().id()
	require.True(t, n.write(batch(id, "main", "k", "first")))
	n.put("main", "k", "second")
	require.False(t, n.write(batch(id, "main", "k", "first")))
	require.Equal(t, "second", n.get(fork("main"), "k"), "the batch was applied again")
	require.True(t, n.write(batch(newClock().id(), "main", "k", "third")), "another id is another batch")
}

func TestABatchIsRememberedWhenItsForkIsGone(t *testing.T) {
	n := startNode(t, server.Options{})
	made := n.create("main", "x")[0]
	m := batch(newClock().id(), "x", "k", "v")
	require.True(t, n.write(m))
	_, err := n.DropForks(t.Context(), &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: []*tinepb.Ref{made}}}})
	require.NoError(t, err)
	require.False(t, n.write(m), "who asks whether it was applied is told so")
}

func TestAppliedBatchesAreKnownAfterARestart(t *testing.T) {
	dir := t.TempDir()
	m := batch(newClock().id(), "main", "k", "first")
	t.Run("before", func(t *testing.T) {
		n := startNodeIn(t, dir, server.Options{})
		require.True(t, n.write(m))
		n.put("main", "k", "second")
	})
	t.Run("after", func(t *testing.T) {
		n := startNodeIn(t, dir, server.Options{})
		require.False(t, n.write(m))
		require.Equal(t, "second", n.get(fork("main"), "k"))
	})
}

func TestABatchThatFailedMayBeSentAgain(t *testing.T) {
	n := startNode(t, server.Options{})
	m := batch(newClock().id(), "later", "k", "v")
	require.ErrorIs(t, failed(n.Write(t.Context(), m)), engine.ErrForkNotFound)
	n.create("main", "later")
	require.True(t, n.write(m))
	require.Equal(t, "v", n.get(fork("later"), "k"))
}

func TestARequestIDIsForOneBatch(t *testing.T) {
	n := startNode(t, server.Options{})
	n.create("main", "x")
	first := batch(newClock().id(), "main", "k", "v")
	require.True(t, n.write(first))
	for what, change := range map[string]func(*tinepb.WriteRequest){
		"value":      func(m *tinepb.WriteRequest) { m.Ops[0].Value = []byte("w") },
		"key":        func(m *tinepb.WriteRequest) { m.Ops[0].Key = []byte("kv"); m.Ops[0].Value = nil },
		"kind":       func(m *tinepb.WriteRequest) { m.Ops[0].Kind = tinepb.Op_DELETE },
		"fork":       func(m *tinepb.WriteRequest) { m.Forks[0] = ref("x") },
		"operations": func(m *tinepb.WriteRequest) { m.Ops = append(m.Ops, m.Ops[0]) },
		"durability": func(m *tinepb.WriteRequest) { m.NoSync = false },
	} {
		other := proto.Clone(first).(*tinepb.WriteRequest)
		change(other)
		require.ErrorIs(t, failed(n.Write(t.Context(), other)), wire.ErrRequestReused, "another %s", what)
	}
	require.Equal(t, "v", n.get(fork("main"), "k"))
	for _, bad := range []*tinepb.RequestId{{}, {Id: random()}, {Id: random()[:15], CreatedUnixMs: 1}, {Id: random(), CreatedUnixMs: -5}} {
		require.ErrorIs(t, failed(n.Write(t.Context(), batch(bad, "main", "k", "w"))), wire.ErrBadRequest)
	}
}

func TestARequestIDIsForOneCaller(t *testing.T) {
	who := make(users)
	who.grant("a", "write *")
	who.grant("b", "write *")
	n := startNode(t, server.Options{Auth: who})
	m := batch(newClock().id(), "main", "k", "v")
	require.NoError(t, failed(n.Write(as(t.Context(), "a"), m)))
	require.ErrorIs(t, failed(n.Write(as(t.Context(), "b"), m)), wire.ErrRequestReused)
	require.NoError(t, failed(n.Write(as(t.Context(), "a"), m)))
}

func TestARequestIDOutsideTheWindowIsRefused(t *testing.T) {
	c := newClock()
	n := startNode(t, server.Options{Now: c.now, RequestWindow: time.Hour})
	m := batch(c.id(), "main", "k", "first")
	require.True(t, n.write(m))
	n.put("main", "k", "second")
	c.add(59 * time.Minute)
	require.False(t, n.write(m))
	c.add(2 * time.Minute)
	require.ErrorIs(t, failed(n.Write(t.Context(), m)), wire.ErrRequestExpired)
	require.ErrorIs(t, failed(n.Write(t.Context(), batch(idAt(c.now().Add(6*time.Minute)), "main", "k", "w"))), wire.ErrRequestExpired)
	require.Equal(t, "second", n.get(fork("main"), "k"))
}

// rows counts the rows of request ids in the store.
func (n *node) rows() (rows int) {
	own, err := n.store.Fork(server.SystemPrefix + "requests")
	require.NoError(n.t, err)
	all, failed := own.Scan(engine.Range{Lower: []byte{1}})
	for range all {
		rows++
	}
	require.NoError(n.t, failed())
	return rows
}

func TestOldRequestIDsAreDeletedAndStayRefused(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	var old []*tinepb.WriteRequest
	t.Run("deleted", func(t *testing.T) {
		n := startNodeIn(t, dir, server.Options{Now: c.now, RequestWindow: time.Hour})
		for i := range 50 {
			old = append(old, batch(c.id(), "main", fmt.Sprint(i), "first"))
			require.True(t, n.write(old[i]))
			c.add(time.Minute)
		}
		require.Equal(t, 50, n.rows(), "all are younger than the window")
		c.add(40 * time.Minute)
		require.True(t, n.write(batch(c.id(), "main", "k", "v")))
		require.Equal(t, 21, n.rows(), "30 are older than the window, and one is new")
		// The ones at the edge are remembered still.
		require.False(t, n.write(old[40]))
	})
	t.Run("a clock that goes backwards does not bring them back", func(t *testing.T) {
		c.add(-60 * time.Minute)
		n := startNodeIn(t, dir, server.Options{Now: c.now, RequestWindow: time.Hour})
		n.put("main", "5", "second")
		require.ErrorIs(t, failed(n.Write(t.Context(), old[5])), wire.ErrRequestExpired)
		require.Equal(t, "second", n.get(fork("main"), "5"))
		require.False(t, n.write(old[33]))
	})
	t.Run("a clock that was ahead for a while shuts nobody out", func(t *testing.T) {
		c.add(24 * 365 * time.Hour)
		n := startNodeIn(t, dir, server.Options{Now: c.now, RequestWindow: time.Hour})
		require.ErrorIs(t, failed(n.Write(t.Context(), old[49])), wire.ErrRequestExpired)
		c.add(time.Hour) // the rows are deleted
		require.ErrorIs(t, failed(n.Write(t.Context(), old[49])), wire.ErrRequestExpired)
		require.Zero(t, n.rows())
		c.add(-24*365*time.Hour + time.Minute)
		require.True(t, n.write(batch(c.id(), "main", "k", "w")))
		require.ErrorIs(t, failed(n.Write(t.Context(), old[49])), wire.ErrRequestExpired)
	})
}

func TestDuplicatesThatComeTogetherAreAppliedOnce(t *testing.T) {
	n := startNode(t, server.Options{})
	for round := range 20 {
		m := batch(newClock().id(), "main", fmt.Sprint(round), "v")
		m.NoSync = false
		var applied atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				answer, err := n.Write(context.Background(), m)
				if err == nil && !answer.GetAlreadyApplied() {
					applied.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, applied.Load())
	}
}
