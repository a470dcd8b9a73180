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
func (s *Server) Flush(context.Context, *tinepb.FlushRequest) (*tinepb.FlushResponse, error) {
	return &tinepb.FlushResponse{}, s.store.Flush()
}

// Compact merges until there is nothing left to merge.
func (s *Server) Compact(context.Context, *tinepb.CompactRequest) (*tinepb.CompactResponse, error) {
	return &tinepb.CompactResponse{}, s.store.Compact()
}

// Settle waits for the background work.
func (s *Server) Settle(context.Context, *tinepb.SettleRequest) (*tinepb.SettleResponse, error) {
	return &tinepb.SettleResponse{}, s.store.Settle()
}
