package server

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// Server serves one store. The store stays its opener's, who closes it after
// Shutdown. A Server may be used concurrently.
type Server struct {
	tinepb.UnimplementedTineServer

	store  *engine.Store
	o      Options
	limits Limits
	grpc   *grpc.Server
	health *health.Server
}

// New makes a server of a store that is open. It makes the node's own forks, whose
// names begin with SystemPrefix, if the store does not have them.
func New(store *engine.Store, o Options) (*Server, error) {
	if o.Auth == nil {
		return nil, errors.New("a node needs to know who may call: Options.Auth is nil")
	}
	o = o.withDefaults()
	s := &Server{store: store, o: o, limits: o.Limits, health: health.NewServer()}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.limits.MaxReceiveBytes),
		grpc.MaxSendMsgSize(s.limits.MaxSendBytes),
		grpc.MaxHeaderListSize(uint32(s.limits.MaxHeaderBytes)),
		grpc.MaxConcurrentStreams(uint32(s.limits.MaxStreams)),
		grpc.ConnectionTimeout(s.limits.ConnectTime),
		grpc.WaitForHandlers(true),
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	tinepb.RegisterTineServer(s.grpc, s)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.RegisterV1(s.grpc)
	return s, nil
}

// Serve answers calls on the listener until Shutdown, which makes it return nil. It
// may run for several listeners at a time. The listener is closed when it returns.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
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
func (s *Server) Load() Load { return Load{} }

// Shutdown takes no more calls and waits for those that are under way; scans end and
// say how to go on. When ctx is done first, it breaks off what is left and returns
// the context's error. At return nothing uses the store any more. It may be called
// more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return context.Cause(ctx)
	}
}
