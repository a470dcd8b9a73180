package server

import (
	"context"
	"errors"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// untilDrained runs what may take long, and can be begun again without loss: a stop of
// the node ends its context, instead of waiting for it.
func (s *Server) untilDrained(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.stopped:
			cancel(wire.ErrDraining)
		case <-ctx.Done():
		}
	}()
	err := run(ctx)
	if err != nil && errors.Is(context.Cause(ctx), wire.ErrDraining) && errors.Is(err, context.Canceled) {
		return wire.ErrDraining
	}
	return err
}

// untilStopped runs a stream of another service, such as a watch of health, which its
// caller means to last: a stop of the node ends it, instead of waiting for it.
func (s *Server) untilStopped(c *call, run func() error) error {
	if c.lease == nil {
		return run()
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-s.stopped:
			c.lease.cancel(wire.ErrDraining)
		case <-ended:
		}
	}()
	err := run()
	if errors.Is(context.Cause(c.ctx), wire.ErrDraining) {
		return wire.ErrDraining
	}
	return err
}
