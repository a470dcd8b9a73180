package server_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// filled is a node whose main has keys key-0000 to key-0999.
func filled(t *testing.T, o server.Options) *node {
	n := startNode(t, o)
	var pairs []string
	for i := range 1000 {
		pairs = append(pairs, fmt.Sprintf("key-%04d", i), fmt.Sprintf("value-%04d-%s", i, strings.Repeat("x", i%50)))
	}
	n.put("main", pairs...)
	return n
}

func keysOf(rows []*tinepb.Row) (keys []string) {
	for _, r := range rows {
		keys = append(keys, string(r.GetKey()))
	}
	return keys
}

func keyRange(from, to int) (keys []string) {
	for i := from; i < to; i++ {
		keys = append(keys, fmt.Sprintf("key-%04d", i))
	}
	return keys
}

func TestAScanSendsItsRangeInOrder(t *testing.T) {
	n := filled(t, server.Options{Limits: server.Limits{ScanMessageBytes: 4 << 10}})
	for _, reverse := range []bool{false, true} {
		for _, x := range []struct{ lower, upper, from, to int }{{-1, -1, 0, 1000}, {100, 300, 100, 300}, {-1, 5, 0, 5}, {990, -1, 990, 1000}, {7, 7, 7, 7}} {
			m := &tinepb.ScanRequest{Source: fork("main"), Reverse: reverse}
			if x.lower >= 0 {
				m.Lower = fmt.Appendf(nil, "key-%04d", x.lower)
			}
			if x.upper >= 0 {
				m.Upper = fmt.Appendf(nil, "key-%04d", x.upper)
			}
			rows, last, err := n.scan(m)
			require.NoError(t, err)
			want := keyRange(x.from, x.to)
			if reverse {
				slices.Reverse(want)
			}
			require.Equal(t, want, keysOf(rows))
			require.Equal(t, tinepb.ScanResponse_RANGE, last.GetEnd())
			for _, r := range rows {
				require.True(t, strings.HasPrefix(string(r.GetValue()), "value-"+string(r.GetKey()[4:])), "%s has the value %s", r.GetKey(), r.GetValue())
			}
		}
	}
	rows, _, err := n.scan(&tinepb.ScanRequest{Source: fork("main"), KeysOnly: true})
	require.NoError(t, err)
	require.Len(t, rows, 1000)
	require.Empty(t, rows[7].GetValue())
	_, _, err = n.scan(&tinepb.ScanRequest{Source: fork("main"), Lower: []byte("b"), Upper: []byte("a")})
	require.ErrorIs(t, err, engine.ErrInvalidRange)
	_, _, err = n.scan(&tinepb.ScanRequest{})
	require.ErrorIs(t, err, wire.ErrBadRequest)
}

func TestAScanThatIsResumedMissesNothing(t *testing.T) {
	n := filled(t, server.Options{})
	for _, reverse := range []bool{false, true} {
		for _, limit := range []*tinepb.ScanRequest{{LimitRows: 1}, {LimitRows: 333}, {LimitRows: 1000}, {LimitBytes: 1000}, {LimitBytes: 1}} {
			m := &tinepb.ScanRequest{
				Source: fork("main"), Reverse: reverse, Lower: []byte("key-0100"), Upper: []byte("key-0200"),
				LimitRows: limit.GetLimitRows(), LimitBytes: limit.GetLimitBytes(),
			}
			var all []string
			for {
				rows, last, err := n.scan(m)
				require.NoError(t, err)
				all = append(all, keysOf(rows)...)
				require.LessOrEqual(t, len(all), 100, "rows come again")
				if limit.GetLimitRows() != 0 {
					require.LessOrEqual(t, len(rows), int(limit.GetLimitRows()))
				}
				m.Resume = last.GetResume()
				if last.GetEnd() == tinepb.ScanResponse_RANGE {
					break
				}
				require.Equal(t, tinepb.ScanResponse_LIMIT, last.GetEnd())
				require.NotEmpty(t, rows, "a scan with a limit that makes no progress")
			}
			want := keyRange(100, 200)
			if reverse {
				slices.Reverse(want)
			}
			require.Equal(t, want, all)
		}
	}
}

func TestATokenIsGoodForItsScanOnly(t *testing.T) {
	n := filled(t, server.Options{})
	n.create("main", "x")
	m := &tinepb.ScanRequest{Source: fork("main"), LimitRows: 10, Lower: []byte("key-0005")}
	_, last, err := n.scan(m)
	require.NoError(t, err)
	for what, change := range map[string]func(*tinepb.ScanRequest){
		"fork":      func(m *tinepb.ScanRequest) { m.Source = fork("x") },
		"direction": func(m *tinepb.ScanRequest) { m.Reverse = true },
		"range":     func(m *tinepb.ScanRequest) { m.Lower = []byte("key-0100") },
		"upper":     func(m *tinepb.ScanRequest) { m.Upper = []byte("key-0008") },
		"version":   func(m *tinepb.ScanRequest) { m.Resume[0]++ },
		"length":    func(m *tinepb.ScanRequest) { m.Resume = m.Resume[:10] },
	} {
		other := &tinepb.ScanRequest{Source: fork("main"), Lower: []byte("key-0005"), Resume: slices.Clone(last.GetResume())}
		change(other)
		_, _, err := n.scan(other)
		require.ErrorIs(t, err, wire.ErrBadRequest, "another %s", what)
	}
}

func TestAScanSeesOneMoment(t *testing.T) {
	n := filled(t, server.Options{Limits: server.Limits{ScanMessageBytes: 4 << 10}})
	stream, err := n.Scan(t.Context(), &tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	m, err := stream.Recv()
	require.NoError(t, err)
	rows := m.GetRows()
	require.Less(t, len(rows), 1000)
	_, err = n.Write(t.Context(), &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{{Kind: tinepb.Op_DELETE_RANGE}}})
	require.NoError(t, err)
	for m.GetEnd() == tinepb.ScanResponse_END_UNSPECIFIED {
		m, err = stream.Recv()
		require.NoError(t, err)
		rows = append(rows, m.GetRows()...)
	}
	require.Len(t, rows, 1000)
	now, _, err := n.scan(&tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	require.Empty(t, now)
}

func TestKeysCanBeReadAtOneMoment(t *testing.T) {
	n := filled(t, server.Options{})
	answer, err := n.Get(t.Context(), &tinepb.GetRequest{
		Source: fork("main"), OneMoment: true, Keys: [][]byte{[]byte("key-0999"), []byte("key-00005"), []byte("zzz"), []byte("key-0000")},
	})
	require.NoError(t, err)
	var found []bool
	for _, v := range answer.GetValues() {
		found = append(found, v.GetFound())
	}
	require.Equal(t, []bool{true, false, false, true}, found)
	require.True(t, strings.HasPrefix(string(answer.GetValues()[0].GetValue()), "value-0999"))
}

// longScan is a node whose main holds more than a connection takes unread.
func longScan(t *testing.T, l server.Limits) *node {
	l.ScanMessageBytes = 64 << 10
	n := startNode(t, server.Options{Limits: l})
	for i := range 40 {
		n.put("main", fmt.Sprintf("key-%04d", i), strings.Repeat("x", 100<<10))
	}
	return n
}

func TestAScanWhoseCallerDoesNotReadLetsGoOfItsIterator(t *testing.T) {
	n := longScan(t, server.Limits{Lease: 500 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := n.Scan(ctx, &tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		// Answers that are taken: the connection is not one to be closed for the scan's sake.
		n.get(fork("main"), "key-0000")
		return n.server.Load().Scans == 0 && n.store.Stats().OpenIterators == 0
	}, time.Minute, time.Millisecond)
	for err == nil {
		_, err = stream.Recv()
	}
	require.Error(t, wire.FromStatus(err))
}

func TestAScanThatTakesTooLongSaysHowToGoOn(t *testing.T) {
	n := longScan(t, server.Limits{ScanTime: time.Nanosecond, Lease: time.Minute})
	m := &tinepb.ScanRequest{Source: fork("main")}
	var all []string
	ends := 0
	for {
		rows, last, err := n.scan(m)
		require.NoError(t, err)
		all = append(all, keysOf(rows)...)
		m.Resume = last.GetResume()
		if last.GetEnd() == tinepb.ScanResponse_RANGE {
			break
		}
		require.Equal(t, tinepb.ScanResponse_DEADLINE, last.GetEnd())
		ends++
	}
	require.Equal(t, keyRange(0, 40), all)
	require.NotZero(t, ends)
}

func TestAScanEndsWhenTheNodeIsStopped(t *testing.T) {
	n := longScan(t, server.Limits{})
	stream, err := n.Scan(t.Context(), &tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	stopped := make(chan error)
	go func() { stopped <- n.server.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		return n.server.Stopping()
	}, time.Minute, time.Millisecond)
	for {
		m, err := stream.Recv()
		require.NoError(t, err)
		if m.GetEnd() != tinepb.ScanResponse_END_UNSPECIFIED {
			require.Equal(t, tinepb.ScanResponse_DRAINING, m.GetEnd())
			require.NotEmpty(t, m.GetResume())
			break
		}
	}
	require.NoError(t, <-stopped)
}

func TestLargeRowsTakeRoomUntilTheyAreSent(t *testing.T) {
	n := startNode(t, server.Options{Limits: server.Limits{MaxBytesInFlight: 4 << 20, MaxReceiveBytes: 1 << 20}})
	for i := range 40 {
		n.put("main", fmt.Sprintf("k%02d", i), strings.Repeat("x", 200<<10))
	}
	rows, last, err := n.scan(&tinepb.ScanRequest{Source: fork("main")})
	require.NoError(t, err, "twice as much in all as there may be at a time")
	require.Equal(t, tinepb.ScanResponse_RANGE, last.GetEnd())
	require.Len(t, rows, 40)
}

func TestAScanIsNoFasterThanItsCallersRate(t *testing.T) {
	who := make(users)
	who.grant("root", "write main")
	who.grant("slow", "read main")
	who["slow"].rates = server.Rates{Bytes: 8 << 10}
	n := startNode(t, server.Options{Auth: who, Limits: server.Limits{ScanTime: 500 * time.Millisecond}})
	m := &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, NoSync: true}
	for i := range 400 {
		m.Ops = append(m.Ops, set(0, fmt.Sprintf("k%03d", i), strings.Repeat("x", 1<<10)))
	}
	require.NoError(t, failed(n.Write(as(t.Context(), "root"), m)))
	stream, err := n.Scan(as(t.Context(), "slow"), &tinepb.ScanRequest{Source: fork("main"), MessageBytes: 4 << 10})
	require.NoError(t, err)
	rows, last := 0, new(tinepb.ScanResponse)
	for last.GetEnd() == tinepb.ScanResponse_END_UNSPECIFIED {
		last, err = stream.Recv()
		require.NoError(t, err)
		rows += len(last.GetRows())
	}
	require.Equal(t, tinepb.ScanResponse_DEADLINE, last.GetEnd(), "there is a hundred times as much")
	require.NotEmpty(t, last.GetResume())
	require.Less(t, rows, 100)
}

func TestAScanThatWaitsForItsRateEndsWithItsCallerAndTheNode(t *testing.T) {
	for name, stop := range map[string]func(n *node, cancel func()){
		"its caller goes": func(_ *node, cancel func()) { cancel() },
		"the node stops":  func(n *node, _ func()) { require.NoError(t, n.server.Shutdown(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			who := make(users)
			who.grant("slow", "read main", "write main")
			n := startNode(t, server.Options{Auth: who})
			main, err := n.store.Fork("main")
			require.NoError(t, err)
			for i := range 40 {
				require.NoError(t, main.Set(fmt.Appendf(nil, "k%03d", i), bytes.Repeat([]byte("x"), 1<<10), engine.NoSync))
			}
			who["slow"].rates = server.Rates{Bytes: 0.001}
			ctx, cancel := context.WithCancel(as(t.Context(), "slow"))
			defer cancel()
			s, err := n.Scan(ctx, &tinepb.ScanRequest{Source: fork("main"), MessageBytes: 4 << 10})
			require.NoError(t, err)
			_, err = s.Recv()
			require.NoError(t, err)
			stop(n, cancel)
			require.Eventually(t, func() bool { return n.server.Load().Scans == 0 }, time.Minute, time.Millisecond)
		})
	}
}
