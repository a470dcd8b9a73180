package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// Snapshot is a handle on a named, immutable state of a fork. It may be used
// concurrently. After a drop its methods return engine.ErrSnapshotNotFound.
type Snapshot struct {
	reader
	mu   sync.Mutex
	name string
}

func (c *Client) newSnapshot(name string, id uint64) *Snapshot {
	n := &Snapshot{reader: reader{c: c, id: id}, name: name}
	n.reader.of = n
	return n
}

// SnapshotHandle is Handle for snapshots.
func (c *Client) SnapshotHandle(name string, id uint64) *Snapshot { return c.newSnapshot(name, id) }

// Snapshot gives the handle of the snapshot of that name, or
// engine.ErrSnapshotNotFound.
func (c *Client) Snapshot(ctx context.Context, name string) (*Snapshot, error) {
	info, err := c.getSnapshot(ctx, &tinepb.Ref{Name: name})
	if err != nil {
		return nil, err
	}
	return c.newSnapshot(name, info.ID), nil
}

func (c *Client) getSnapshot(ctx context.Context, ref *tinepb.Ref) (info engine.SnapshotInfo, err error) {
	err = c.do(ctx, repeatable, fmt.Sprintf("snapshot %q", ref.GetName()), func(ctx context.Context) error {
		answer, err := c.node.GetSnapshot(ctx, &tinepb.GetSnapshotRequest{Snapshot: ref})
		info = snapshotInfo(answer.GetSnapshot())
		return err
	})
	return info, err
}

// Name is the snapshot's name, as far as this handle knows.
func (n *Snapshot) Name() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.name
}

// ID is the snapshot's number, which is never given to another one.
func (n *Snapshot) ID() uint64 { return n.id }

func (n *Snapshot) ref() *tinepb.Ref { return &tinepb.Ref{Name: n.Name(), Id: n.id} }

func (n *Snapshot) source() *tinepb.Source {
	return &tinepb.Source{Of: &tinepb.Source_Snapshot{Snapshot: n.ref()}}
}

// Info describes the snapshot.
func (n *Snapshot) Info(ctx context.Context) (engine.SnapshotInfo, error) {
	return n.c.getSnapshot(ctx, n.ref())
}

// Rename gives the snapshot another name.
func (n *Snapshot) Rename(ctx context.Context, name string, opts ...engine.WriteOption) error {
	return n.c.do(ctx, once, "rename", func(ctx context.Context) error {
		_, err := n.c.node.RenameSnapshot(ctx, &tinepb.RenameSnapshotRequest{Snapshot: n.ref(), Name: name, NoSync: unsynced(opts)})
		if err == nil {
			n.mu.Lock()
			n.name = name
			n.mu.Unlock()
		}
		return err
	})
}

// Drop takes the snapshot away. Forks made from it stay.
func (n *Snapshot) Drop(ctx context.Context, opts ...engine.WriteOption) error {
	return n.c.do(ctx, once, "drop snapshot", func(ctx context.Context) error {
		_, err := n.c.node.DropSnapshot(ctx, &tinepb.DropSnapshotRequest{Snapshot: n.ref(), NoSync: unsynced(opts)})
		return err
	})
}
