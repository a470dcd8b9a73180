package server

import (
	"context"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// Write applies a batch, once if it has a request id.
func (s *Server) Write(ctx context.Context, m *tinepb.WriteRequest) (*tinepb.WriteResponse, error) {
	c := callOf(ctx)
	for _, ref := range m.GetForks() {
		if err := c.allow(ref.GetName(), VerbWrite); err != nil {
			return nil, err
		}
	}
	for _, op := range m.GetOps() {
		if int(op.GetFork()) >= len(m.GetForks()) {
			return nil, fmt.Errorf("%w: an operation names fork %d of %d", wire.ErrBadRequest, op.GetFork(), len(m.GetForks()))
		}
	}
	if m.GetRequestId() == nil {
		return c.apply(m, nil)
	}
	if s.requests == nil {
		return nil, engine.ErrReadOnly
	}
	mine, applied, err := s.requests.begin(c.ctx, m.GetRequestId(), digestOf(c.principal.Name(), m))
	if err != nil {
		return nil, err
	}
	if applied {
		return &tinepb.WriteResponse{AlreadyApplied: true}, nil
	}
	outcome := wire.ErrInternal // of a panic
	defer func() { mine.end(outcome) }()
	answer, err := c.apply(m, mine)
	outcome = err
	return answer, err
}

// apply commits the batch, and the row of its request id with it.
func (c *call) apply(m *tinepb.WriteRequest, mine *attempt) (*tinepb.WriteResponse, error) {
	answer := &tinepb.WriteResponse{Ids: make([]uint64, len(m.GetForks()))}
	forks := make([]*engine.Fork, len(m.GetForks()))
	for i, ref := range m.GetForks() {
		f, err := c.findFork(ref)
		if err != nil {
			return nil, err
		}
		forks[i], answer.Ids[i] = f, f.ID()
	}
	b := c.s.store.NewBatch()
	for _, op := range m.GetOps() {
		f := forks[op.GetFork()]
		switch op.GetKind() {
		case tinepb.Op_SET:
			b.Set(f, op.GetKey(), op.GetValue())
		case tinepb.Op_DELETE:
			b.Delete(f, op.GetKey())
		case tinepb.Op_DELETE_RANGE:
			b.DeleteRange(f, open(op.GetKey()), open(op.GetUpper()))
		default:
			return nil, fmt.Errorf("%w: an operation of kind %d", wire.ErrBadRequest, op.GetKind())
		}
	}
	if mine != nil {
		mine.addTo(b)
	}
	// The engine keeps no batch in mind, so the copy of it counts like the message.
	if err := c.charge(int64(b.Bytes())); err != nil {
		return nil, err
	}
	began := time.Now()
	err := b.Commit(writeOptions(m.GetNoSync())...)
	c.engine += time.Since(began)
	if err != nil {
		return nil, err
	}
	c.rows += int64(len(m.GetOps()))
	return answer, nil
}

// open makes an empty bound an open one.
func open(bound []byte) []byte {
	if len(bound) == 0 {
		return nil
	}
	return bound
}

// Sync makes acknowledged writes durable.
func (s *Server) Sync(ctx context.Context, _ *tinepb.SyncRequest) (*tinepb.SyncResponse, error) {
	return &tinepb.SyncResponse{}, s.store.Sync()
}
