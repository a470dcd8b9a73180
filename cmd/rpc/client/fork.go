package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// Fork is a handle on one fork of a node. It may be used concurrently. After a drop its
// methods return engine.ErrForkNotFound, also if there is another fork of that name.
// So they do if somebody else has renamed the fork: the handle knows the old name.
type Fork struct {
	reader
	mu   sync.Mutex
	name string
}

// Source is a fork or a snapshot: something that can be read, forked, or reset to.
type Source interface {
	source() *tinepb.Source
}

func (c *Client) newFork(name string, id uint64) *Fork {
	f := &Fork{reader: reader{c: c, id: id}, name: name}
	f.reader.of = f
	return f
}

// Handle gives a handle of the fork of that name and id, as Forks and ListForks tell
// them, without asking the node. With id 0 it is whatever fork has the name when the
// handle is used, which needs no right to read it.
func (c *Client) Handle(name string, id uint64) *Fork { return c.newFork(name, id) }

// Fork gives a handle of the fork of that name, or engine.ErrForkNotFound.
func (c *Client) Fork(ctx context.Context, name string) (*Fork, error) {
	info, err := c.getFork(ctx, &tinepb.Ref{Name: name})
	if err != nil {
		return nil, err
	}
	return c.newFork(name, info.ID), nil
}

func (c *Client) getFork(ctx context.Context, ref *tinepb.Ref) (info engine.ForkInfo, err error) {
	err = c.do(ctx, repeatable, fmt.Sprintf("fork %q", ref.GetName()), func(ctx context.Context) error {
		answer, err := c.node.GetFork(ctx, &tinepb.GetForkRequest{Fork: ref})
		info = forkInfo(answer.GetFork())
		return err
	})
	return info, err
}

// Name is the fork's name, as far as this handle knows.
func (f *Fork) Name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.name
}

// ID is the fork's number, which is never given to another fork.
func (f *Fork) ID() uint64 { return f.id }

func (f *Fork) ref() *tinepb.Ref { return &tinepb.Ref{Name: f.Name(), Id: f.id} }

func (f *Fork) source() *tinepb.Source {
	return &tinepb.Source{Of: &tinepb.Source_Fork{Fork: f.ref()}}
}

// Info describes the fork.
func (f *Fork) Info(ctx context.Context) (engine.ForkInfo, error) { return f.c.getFork(ctx, f.ref()) }

// Set gives key a value.
func (f *Fork) Set(ctx context.Context, key, value []byte, opts ...engine.WriteOption) error {
	b := f.c.NewBatch()
	b.Set(f, key, value)
	return b.Commit(ctx, opts...)
}

// Delete takes key's value away. The key need not exist.
func (f *Fork) Delete(ctx context.Context, key []byte, opts ...engine.WriteOption) error {
	b := f.c.NewBatch()
	b.Delete(f, key)
	return b.Commit(ctx, opts...)
}

// DeleteRange takes the value of every key in [lo, hi) away; a nil bound is open.
func (f *Fork) DeleteRange(ctx context.Context, lo, hi []byte, opts ...engine.WriteOption) error {
	b := f.c.NewBatch()
	b.DeleteRange(f, lo, hi)
	return b.Commit(ctx, opts...)
}

// Snapshot puts a name on what f is now.
func (f *Fork) Snapshot(ctx context.Context, name string, opts ...engine.WriteOption) (n *Snapshot, err error) {
	err = f.c.do(ctx, once, "snapshot", func(ctx context.Context) error {
		answer, err := f.c.node.CreateSnapshot(ctx, &tinepb.CreateSnapshotRequest{Fork: f.ref(), Name: name, NoSync: unsynced(opts)})
		if err == nil {
			n = f.c.newSnapshot(name, answer.GetSnapshot().GetId())
		}
		return err
	})
	return n, err
}

// Rename gives the fork another name.
func (f *Fork) Rename(ctx context.Context, name string, opts ...engine.WriteOption) error {
	return f.c.do(ctx, once, "rename", func(ctx context.Context) error {
		_, err := f.c.node.RenameFork(ctx, &tinepb.RenameForkRequest{Fork: f.ref(), Name: name, NoSync: unsynced(opts)})
		if err == nil {
			f.mu.Lock()
			f.name = name
			f.mu.Unlock()
		}
		return err
	})
}

// Reset makes f what another fork, or a snapshot, is now.
func (f *Fork) Reset(ctx context.Context, to Source, opts ...engine.WriteOption) error {
	return f.c.do(ctx, once, "reset", func(ctx context.Context) error {
		_, err := f.c.node.ResetFork(ctx, &tinepb.ResetForkRequest{Fork: f.ref(), To: to.source(), NoSync: unsynced(opts)})
		return err
	})
}

// Drop discards the fork.
func (f *Fork) Drop(ctx context.Context, opts ...engine.WriteOption) error {
	return f.c.DropForks(ctx, []*Fork{f}, opts...)
}

// DropSubtree drops f, the forks that were made from it, and those made from these, and
// so on. It tells how many.
func (f *Fork) DropSubtree(ctx context.Context, opts ...engine.WriteOption) (int, error) {
	return f.c.drop(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Subtree{Subtree: f.ref()}, NoSync: unsynced(opts)})
}
