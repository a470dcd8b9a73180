package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

// A meeting has two callers and a node on which one of its limits is met.
type meeting struct {
	*node
	saw        *seen
	ctx        context.Context // which ends with the meeting
	hog, other context.Context
}

// met is the limits that were met.
func (m *meeting) met() []server.Limit {
	m.saw.mu.Lock()
	defer m.saw.mu.Unlock()
	return slices.Clone(m.saw.refused)
}

// open opens calls whose messages do not come, on a connection of their own.
func (m *meeting) open(ctx context.Context, calls int) {
	c := m.conn()
	before := m.saw.count()
	for range calls {
		_, err := c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, tinepb.Tine_Write_FullMethodName)
		require.NoError(m.t, err)
	}
	require.Eventually(m.t, func() bool { return m.saw.count() == before+calls }, time.Minute, time.Millisecond)
}

// large puts so many rows of 64 KiB.
func (m *meeting) large(rows int) {
	main, err := m.store.Fork("main")
	require.NoError(m.t, err)
	for i := range rows {
		require.NoError(m.t, main.Set([]byte{'k', byte(i)}, make([]byte, 64<<10)))
	}
}

// scans begins scans that nobody reads.
func (m *meeting) scans(ctx context.Context, n int) {
	for range n {
		s, err := m.Scan(ctx, &tinepb.ScanRequest{Source: fork("main")})
		require.NoError(m.t, err)
		require.NoError(m.t, failed(s.Recv()))
	}
}

func (m *meeting) writes(ctx context.Context, bytes int) error {
	return failed(m.Write(ctx, &tinepb.WriteRequest{Forks: []*tinepb.Ref{ref("main")}, Ops: []*tinepb.Op{set(0, "k", strings.Repeat("x", bytes))}}))
}

func (m *meeting) gets(ctx context.Context, keys ...string) error {
	r := &tinepb.GetRequest{Source: fork("main")}
	for _, k := range keys {
		r.Keys = append(r.Keys, []byte(k))
	}
	return failed(m.Get(ctx, r))
}

// hogRates are those of the first caller.
type hogRates = server.Rates

// meetings meet each limit, once.
var meetings = map[server.Limit]struct {
	limits server.Limits
	hog    hogRates
	meet   func(*meeting) error
	is     error // what the caller is told; nil: there is none
}{
	server.LimitConnections: {server.Limits{MaxConnections: 1}, hogRates{}, func(m *meeting) error {
		require.NoError(m.t, about(m.hog, m))
		c, err := net.Dial("tcp", m.addr)
		require.NoError(m.t, err)
		defer c.Close()
		require.NoError(m.t, c.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.ReadAll(c)
		var late net.Error
		require.False(m.t, errors.As(err, &late) && late.Timeout())
		return nil
	}, nil},
	server.LimitConnectionsShare: {server.Limits{MaxConnections: 2}, hogRates{}, func(m *meeting) error {
		require.NoError(m.t, about(m.hog, m))
		return about(m.hog, m.dial())
	}, wire.ErrOverloaded},
	server.LimitCalls: {server.Limits{MaxInFlight: 1}, hogRates{}, func(m *meeting) error {
		m.open(m.hog, 1)
		return about(m.other, m)
	}, wire.ErrOverloaded},
	server.LimitCallsShare: {server.Limits{MaxInFlight: 2}, hogRates{}, func(m *meeting) error {
		m.open(m.hog, 1)
		return about(m.hog, m)
	}, wire.ErrOverloaded},
	server.LimitScans: {server.Limits{MaxScans: 1}, hogRates{}, func(m *meeting) error {
		m.large(40)
		m.scans(m.hog, 1)
		return drained(m.Scan(m.other, &tinepb.ScanRequest{Source: fork("main")}))
	}, wire.ErrOverloaded},
	server.LimitScansShare: {server.Limits{MaxScans: 2}, hogRates{}, func(m *meeting) error {
		m.large(40)
		m.scans(m.hog, 1)
		return drained(m.Scan(m.hog, &tinepb.ScanRequest{Source: fork("main")}))
	}, wire.ErrOverloaded},
	server.LimitBytes: {server.Limits{MaxBytesInFlight: 1 << 20}, hogRates{}, func(m *meeting) error {
		return m.writes(m.hog, 2<<20)
	}, wire.ErrOverloaded},
	server.LimitBytesShare: {server.Limits{MaxBytesInFlight: 4 << 20}, hogRates{}, func(m *meeting) error {
		m.large(40)
		m.scans(m.hog, 1)
		return m.writes(m.hog, 2<<20)
	}, wire.ErrOverloaded},
	server.LimitReceiving: {server.Limits{MaxBytesInFlight: 16 << 20, MaxReceiveBytes: 1 << 20}, hogRates{}, func(m *meeting) error {
		m.open(m.hog, 8)
		m.open(as(m.ctx, "b"), 4)
		m.open(as(m.ctx, "c"), 2)
		m.open(as(m.ctx, "d"), 1)
		m.open(as(m.ctx, "e"), 1)
		require.Eventually(m.t, func() bool { return m.server.Receiving() == 16 }, time.Minute, time.Millisecond)
		return about(m.other, m)
	}, wire.ErrOverloaded},
	server.LimitReceivingShare: {server.Limits{MaxBytesInFlight: 16 << 20, MaxReceiveBytes: 1 << 20}, hogRates{}, func(m *meeting) error {
		m.open(m.hog, 8)
		return about(m.hog, m)
	}, wire.ErrOverloaded},
	server.LimitUnread: {server.Limits{MaxUnreadBytes: 1 << 20}, hogRates{}, func(m *meeting) error {
		m.large(20)
		keys := make([]string, 20)
		for i := range keys {
			keys[i] = string([]byte{'k', byte(i)})
		}
		return m.gets(m.hog, keys...)
	}, wire.ErrOverloaded},
	server.LimitMessage: {server.Limits{MaxReceiveBytes: 1 << 20}, hogRates{}, func(m *meeting) error {
		return m.writes(m.hog, 2<<20)
	}, wire.ErrNodeLimit},
	server.LimitAnswer: {server.Limits{MaxSendBytes: 64 << 10}, hogRates{}, func(m *meeting) error {
		m.large(2)
		return m.gets(m.hog, "k\x00", "k\x01")
	}, wire.ErrNodeLimit},
	server.LimitParts: {server.Limits{MaxParts: 10}, hogRates{}, func(m *meeting) error {
		return m.gets(m.hog, strings.Split("0123456789", "")...)
	}, wire.ErrNodeLimit},
	server.LimitCallerCalls: {server.Limits{PerFork: server.Rates{Calls: 1e6, Bytes: 1e9}}, hogRates{Calls: 0.001, Bytes: 1e9}, func(m *meeting) error {
		require.NoError(m.t, m.gets(m.hog, "k"))
		return m.gets(m.hog, "k")
	}, wire.ErrOverloaded},
	server.LimitCallerBytes: {server.Limits{PerFork: server.Rates{Calls: 1e6, Bytes: 1e9}}, hogRates{Calls: 1e6, Bytes: 0.001}, func(m *meeting) error {
		require.NoError(m.t, m.gets(m.hog, "k"))
		return m.gets(m.hog, "k")
	}, wire.ErrOverloaded},
	server.LimitForkCalls: {server.Limits{PerFork: server.Rates{Calls: 0.001, Bytes: 1e9}}, hogRates{Calls: 1e6, Bytes: 1e9}, func(m *meeting) error {
		require.NoError(m.t, m.gets(m.hog, "k"))
		return m.gets(m.other, "k")
	}, wire.ErrOverloaded},
	server.LimitForkBytes: {server.Limits{PerFork: server.Rates{Calls: 1e6, Bytes: 0.001}}, hogRates{Calls: 1e6, Bytes: 1e9}, func(m *meeting) error {
		require.NoError(m.t, m.gets(m.hog, "k"))
		return m.gets(m.other, "k")
	}, wire.ErrOverloaded},
	server.LimitBackups: {server.Limits{}, hogRates{Bytes: 0.001}, func(m *meeting) error {
		s, err := m.Backup(m.hog, &tinepb.BackupRequest{})
		require.NoError(m.t, err)
		require.NoError(m.t, failed(s.Recv())) // and now waits for what it owes
		return drained(m.Backup(m.other, &tinepb.BackupRequest{}))
	}, wire.ErrOverloaded},
	server.LimitTime: {server.Limits{CallTime: 50 * time.Millisecond}, hogRates{}, func(m *meeting) error {
		return m.silent()
	}, wire.ErrTimedOut},
	server.LimitLease: {server.Limits{Lease: 50 * time.Millisecond}, hogRates{}, func(m *meeting) error {
		return m.silent()
	}, wire.ErrCanceled},
	server.LimitConnectTime: {server.Limits{ConnectTime: 100 * time.Millisecond}, hogRates{}, func(m *meeting) error {
		err := about(m.ctx, m)
		require.Eventually(m.t, func() bool { return m.server.Load().Connections == 0 }, time.Minute, time.Millisecond)
		return err
	}, wire.ErrUnauthenticated},
}

// silent opens a call and sends no message.
func (m *meeting) silent() error {
	s, err := m.conn().NewStream(m.hog, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, tinepb.Tine_Get_FullMethodName)
	require.NoError(m.t, err)
	return wire.FromStatus(s.RecvMsg(new(tinepb.GetResponse)))
}

func TestWhatIsRefusedTellsOfTheLimitAndOfNoOther(t *testing.T) {
	require.Len(t, meetings, len(server.EveryLimit))
	for _, limit := range server.EveryLimit {
		t.Run(string(limit), func(t *testing.T) {
			x := meetings[limit]
			require.NotNil(t, x.meet)
			who, saw := make(users), new(seen)
			for _, name := range []string{"hog", "other", "b", "c", "d", "e"} {
				who.grant(name, "read *", "write *", "admin ")
			}
			who["hog"].rates = x.hog
			if x.limits.Lease == 0 {
				x.limits.Lease = time.Hour
			}
			m := &meeting{node: startNode(t, server.Options{Auth: who, Observer: saw, Limits: x.limits}), saw: saw}
			var cancel context.CancelFunc
			m.ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			m.hog, m.other = as(m.ctx, "hog"), as(m.ctx, "other")
			require.ErrorIs(t, x.meet(m), x.is)
			require.Eventually(t, func() bool { return len(m.met()) > 0 }, time.Minute, time.Millisecond) // the library may be faster
			require.Equal(t, []server.Limit{limit}, m.met())
		})
	}
}
