package server

import (
	"context"
	"errors"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// About says what the node is and takes.
func (s *Server) About(ctx context.Context, _ *tinepb.AboutRequest) (*tinepb.AboutResponse, error) {
	return &tinepb.AboutResponse{
		Version: s.o.Version, MaxReceiveBytes: uint64(s.limits.MaxReceiveBytes), MaxSendBytes: uint64(s.limits.MaxSendBytes),
		RequestWindowMs: s.o.RequestWindow.Milliseconds(), NowUnixMs: s.o.Now().UnixMilli(),
		Caller: callOf(ctx).principal.Name(), ReadOnly: errors.Is(s.store.Health(), engine.ErrReadOnly),
	}, nil
}

// Flush writes what is in memory to tables.
func (s *Server) Flush(ctx context.Context, _ *tinepb.FlushRequest) (*tinepb.FlushResponse, error) {
	return &tinepb.FlushResponse{}, s.store.FlushContext(ctx)
}

// Compact merges until there is nothing left to merge.
func (s *Server) Compact(ctx context.Context, _ *tinepb.CompactRequest) (*tinepb.CompactResponse, error) {
	return &tinepb.CompactResponse{}, s.untilDrained(ctx, s.store.CompactContext)
}

// Settle waits for the background work.
func (s *Server) Settle(ctx context.Context, _ *tinepb.SettleRequest) (*tinepb.SettleResponse, error) {
	return &tinepb.SettleResponse{}, s.untilDrained(ctx, s.store.SettleContext)
}
