package server

import (
	"context"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// CreateForks makes forks of one state.
func (s *Server) CreateForks(ctx context.Context, m *tinepb.CreateForksRequest) (*tinepb.CreateForksResponse, error) {
	c := callOf(ctx)
	if len(m.GetNames()) > engine.MaxForkMany {
		return nil, fmt.Errorf("%d forks at once, at most %d are allowed: %w", len(m.GetNames()), engine.MaxForkMany, engine.ErrLimit)
	}
	for _, name := range m.GetNames() {
		if err := c.allow(name, VerbFork); err != nil {
			return nil, err
		}
	}
	from, err := c.source(m.GetFrom())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	forks, err := from.ForkMany(m.GetNames(), writeOptions(m.GetNoSync())...)
	c.engine += time.Since(began)
	if err != nil {
		return nil, err
	}
	s.keeper.made(len(forks))
	answer := &tinepb.CreateForksResponse{FromId: from.ID(), Forks: make([]*tinepb.Ref, len(forks))}
	for i, f := range forks {
		answer.Forks[i] = &tinepb.Ref{Name: m.GetNames()[i], Id: f.ID()}
	}
	c.rows += int64(len(forks))
	return answer, nil
}

// RenameFork gives a fork another name. That can bring it to where more callers may
// read it, so the caller must be one who may read it now.
func (s *Server) RenameFork(ctx context.Context, m *tinepb.RenameForkRequest) (*tinepb.RenameForkResponse, error) {
	c := callOf(ctx)
	if err := c.allow(m.GetName(), VerbFork); err != nil {
		return nil, err
	}
	f, err := c.fork(m.GetFork(), VerbFork, VerbRead)
	if err != nil {
		return nil, err
	}
	if err := f.Rename(m.GetName(), writeOptions(m.GetNoSync())...); err != nil {
		return nil, err
	}
	return &tinepb.RenameForkResponse{Fork: &tinepb.Ref{Name: m.GetName(), Id: f.ID()}}, nil
}

// ResetFork makes a fork what something else is now.
func (s *Server) ResetFork(ctx context.Context, m *tinepb.ResetForkRequest) (*tinepb.ResetForkResponse, error) {
	c := callOf(ctx)
	f, err := c.fork(m.GetFork(), VerbFork)
	if err != nil {
		return nil, err
	}
	to, err := c.source(m.GetTo())
	if err != nil {
		return nil, err
	}
	if err := f.Reset(to, writeOptions(m.GetNoSync())...); err != nil {
		return nil, err
	}
	return &tinepb.ResetForkResponse{Id: f.ID(), ToId: to.ID()}, nil
}
