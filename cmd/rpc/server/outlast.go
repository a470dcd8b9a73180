package server

import (
	"context"
	"errors"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

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
