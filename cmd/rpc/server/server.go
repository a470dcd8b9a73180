package server

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// Server serves one store. The store stays its opener's, who closes it after
// Shutdown; while it is served, forks are made and dropped through the server only. A
// Server may be used concurrently.
type Server struct {
	tinepb.UnimplementedTineServer

	store    *engine.Store
	o        Options
	limits   Limits
	grpc     *grpc.Server
	health   *health.Server
	requests *requests
	keeper   keeper
	rates    rates

	conns   conns
	shares  *shares
	copying sync.Mutex // held by a backup or check

	draining atomic.Bool
	stop     sync.Once
	stopped  chan struct{} // closed when Shutdown begins
	watching sync.WaitGroup
}

// streamWindow is how much of a message a caller may send before the node asks for
// the rest, which it does when there is room.
const streamWindow = 64 << 10

// connectionWindow is the same of all messages of one connection.
const connectionWindow = 1 << 20

// New makes a server of a store that is open. It makes the node's own forks, whose
// names begin with SystemPrefix, if the store does not have them.
func New(store *engine.Store, o Options) (*Server, error) {
	if o.Auth == nil {
		return nil, errors.New("a node needs to know who may call: Options.Auth is nil")
	}
	o = o.withDefaults()
	s := &Server{store: store, o: o, limits: o.Limits, health: health.NewServer(), stopped: make(chan struct{})}
	s.conns = conns{most: s.limits.MaxConnections, open: make(map[*conn]struct{})}
	s.rates = rates{most: s.limits.RateEntries, now: time.Now, used: make(map[string]*usage)}
	s.shares = newShares(s.limits)
	own, err := openSystem(store)
	if err != nil {
		return nil, err
	}
	if own != nil {
		if s.requests, err = openRequests(store, own, o.RequestWindow, o.Now); err != nil {
			return nil, err
		}
	}
	s.keeper.count(store)
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.limits.MaxReceiveBytes),
		grpc.MaxSendMsgSize(math.MaxInt32), // encode knows better
		grpc.MaxHeaderListSize(uint32(s.limits.MaxHeaderBytes)),
		grpc.MaxConcurrentStreams(uint32(s.limits.MaxStreams)),
		grpc.ConnectionTimeout(s.limits.ConnectTime),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: s.limits.IdleTime, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InTapHandle(s.tapped),
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(&loggedHandshakes{credentials.NewTLS(o.TLS), o.Logger}))
	}
	s.grpc = grpc.NewServer(options...)
	to := registrar{s.grpc, s}
	tinepb.RegisterTineServer(to, s)
	healthpb.RegisterHealthServer(to, s.health)
	reflection.RegisterV1(to)
	s.SetReady(true)
	s.watching.Go(func() { s.watch(s.stopped) })
	return s, nil
}

// Serve answers calls on the listener until Shutdown, which makes it return nil. It
// may run for several listeners at a time. The listener is closed when it returns.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(&listener{l, s}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// SetReady says what the health service answers; a new server is ready.
func (s *Server) SetReady(ready bool) {
	status := healthpb.HealthCheckResponse_SERVING
	if !ready {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(tinepb.Tine_ServiceDesc.ServiceName, status)
}

// Load tells what the node is carrying.
func (s *Server) Load() Load {
	load := Load{Connections: int64(s.conns.count()), Scans: s.shares.used(someScans), BytesInFlight: s.shares.used(someBytes)}
	for i := range lanes {
		load.InFlight += s.shares.used(someCalls + resource(i))
	}
	return load
}

// stopping tells whether Shutdown has begun.
func (s *Server) stopping() bool { return s.draining.Load() }

// Shutdown takes no more calls and waits for those that are under way; scans end and
// say how to go on. When ctx is done first, it breaks off what is left and returns
// the context's error. At return nothing uses the store any more. It may be called
// more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.draining.Store(true)
	s.stop.Do(func() { close(s.stopped) })
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		err = context.Cause(ctx)
	}
	s.watching.Wait()
	return err
}
