package server

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

func (s *Server) stream(method string, handler grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) (err error) {
		c := s.begin(stream.Context(), method)
		defer c.end(&err)
		if err := c.admit(method); err != nil {
			return err
		}
		stream = &callStream{stream, c, context.WithValue(stream.Context(), callKey{}, c)}
		if c.lane() != laneCalls {
			return foreign(s.untilStopped(c, func() error { return handler(srv, stream) }))
		}
		return handler(srv, stream)
	}
}

// callStream is the stream of a call of the service.
type callStream struct {
	grpc.ServerStream
	c   *call
	ctx context.Context
}

// Context finds the call, too.
func (x *callStream) Context() context.Context { return x.ctx }

// RecvMsg waits for the caller's message. What came before, of which reflection alone
// has any, does not count any more.
func (x *callStream) RecvMsg(into any) error {
	x.c.refund(x.c.charged)
	return x.c.receive(x.ServerStream.RecvMsg, into.(proto.Message))
}

// SendMsg sends a message. It waits until the caller has taken those before, but not
// for longer than the lease: then the stream ends.
func (x *callStream) SendMsg(m any) error {
	answer, err := x.c.encode(m.(proto.Message))
	if err != nil {
		return err
	}
	if x.c.lease != nil {
		x.c.lease.hold(x.c.s.limits.Lease, errLease)
		defer x.c.lease.release()
	}
	if err := x.ServerStream.SendMsg(answer); err != nil {
		if ended := x.c.ended(); ended != nil {
			return ended
		}
		return err
	}
	return nil
}

// errLease ends a stream whose caller does not read.
var errLease = refused(LimitLease, fmt.Errorf("%w: the caller does not take what it asked for", wire.ErrTimedOut))
