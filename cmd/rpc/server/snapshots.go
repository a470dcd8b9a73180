package server

import (
	"context"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// snapshotInfo describes a snapshot to the caller.
func (c *call) snapshotInfo(n engine.SnapshotInfo) *tinepb.SnapshotInfo {
	return &tinepb.SnapshotInfo{
		Id: n.ID, Name: n.Name, ForkId: n.ForkID, Fork: c.shown(n.Fork), CreatedUnixNano: n.Created.UnixNano(),
		Depth: int64(n.Depth), Tables: tableSizes(n.TableSizes),
	}
}

// CreateSnapshot puts a name on what a fork is now.
func (s *Server) CreateSnapshot(ctx context.Context, m *tinepb.CreateSnapshotRequest) (*tinepb.CreateSnapshotResponse, error) {
	c := callOf(ctx)
	if err := c.allow(snapshotMark+m.GetName(), VerbFork); err != nil {
		return nil, err
	}
	f, err := c.fork(m.GetFork(), VerbRead)
	if err != nil {
		return nil, err
	}
	n, err := f.Snapshot(m.GetName(), writeOptions(m.GetNoSync())...)
	if err != nil {
		return nil, err
	}
	return &tinepb.CreateSnapshotResponse{Snapshot: &tinepb.Ref{Name: m.GetName(), Id: n.ID()}, ForkId: f.ID()}, nil
}

// GetSnapshot describes a snapshot.
func (s *Server) GetSnapshot(ctx context.Context, m *tinepb.GetSnapshotRequest) (*tinepb.GetSnapshotResponse, error) {
	c := callOf(ctx)
	n, err := c.snapshot(m.GetSnapshot(), VerbRead)
	if err != nil {
		return nil, err
	}
	info, err := n.Info()
	if err != nil {
		return nil, err
	}
	return &tinepb.GetSnapshotResponse{Snapshot: c.snapshotInfo(info)}, nil
}

// ListSnapshots describes a page of the snapshots that the caller may read.
func (s *Server) ListSnapshots(ctx context.Context, m *tinepb.ListSnapshotsRequest) (*tinepb.ListSnapshotsResponse, error) {
	c := callOf(ctx)
	answer := new(tinepb.ListSnapshotsResponse)
	var err error
	answer.Next, err = s.snapshots().page(c, m.GetPrefix(), m.GetAfter(), s.pageRows(m.GetLimit()), func(n *engine.SnapshotInfo) error {
		answer.Snapshots = append(answer.Snapshots, c.snapshotInfo(*n))
		return c.charge(infoBytes)
	})
	return answer, err
}

// RenameSnapshot gives a snapshot another name; see RenameFork.
func (s *Server) RenameSnapshot(ctx context.Context, m *tinepb.RenameSnapshotRequest) (*tinepb.RenameSnapshotResponse, error) {
	c := callOf(ctx)
	if err := c.allow(snapshotMark+m.GetName(), VerbFork); err != nil {
		return nil, err
	}
	n, err := c.snapshot(m.GetSnapshot(), VerbFork, VerbRead)
	if err != nil {
		return nil, err
	}
	if err := n.Rename(m.GetName(), writeOptions(m.GetNoSync())...); err != nil {
		return nil, err
	}
	return &tinepb.RenameSnapshotResponse{Snapshot: &tinepb.Ref{Name: m.GetName(), Id: n.ID()}}, nil
}

// DropSnapshot takes a snapshot away.
func (s *Server) DropSnapshot(ctx context.Context, m *tinepb.DropSnapshotRequest) (*tinepb.DropSnapshotResponse, error) {
	c := callOf(ctx)
	n, err := c.snapshot(m.GetSnapshot(), VerbFork)
	if err != nil {
		return nil, err
	}
	if err := n.Drop(writeOptions(m.GetNoSync())...); err != nil {
		return nil, err
	}
	return &tinepb.DropSnapshotResponse{Id: n.ID()}, nil
}
