package client

import (
	"context"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// ListForks describes forks, by name, those that the caller may read. It asks for pages
// until it has as many as are wanted, so a list of several pages is not of one moment.
func (c *Client) ListForks(ctx context.Context, o engine.ListOptions) ([]engine.ForkInfo, error) {
	out := []engine.ForkInfo{}
	m := &tinepb.ListForksRequest{Prefix: o.Prefix, After: o.After}
	for {
		if o.Limit > 0 {
			m.Limit = uint32(o.Limit - len(out))
		}
		var answer *tinepb.ListForksResponse
		err := c.do(ctx, repeatable, "list forks", func(ctx context.Context) (err error) {
			answer, err = c.node.ListForks(ctx, m)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, f := range answer.GetForks() {
			out = append(out, forkInfo(f))
		}
		if answer.GetNext() == "" || o.Limit > 0 && len(out) >= o.Limit {
			return out, nil
		}
		m.After = answer.GetNext()
	}
}

// Forks describes all forks, by name. See ListForks.
func (c *Client) Forks(ctx context.Context) ([]engine.ForkInfo, error) {
	return c.ListForks(ctx, engine.ListOptions{})
}

// Snapshots describes all snapshots that the caller may read, by name.
func (c *Client) Snapshots(ctx context.Context) ([]engine.SnapshotInfo, error) {
	out := []engine.SnapshotInfo{}
	m := &tinepb.ListSnapshotsRequest{}
	for {
		var answer *tinepb.ListSnapshotsResponse
		err := c.do(ctx, repeatable, "list snapshots", func(ctx context.Context) (err error) {
			answer, err = c.node.ListSnapshots(ctx, m)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, n := range answer.GetSnapshots() {
			out = append(out, snapshotInfo(n))
		}
		if answer.GetNext() == "" {
			return out, nil
		}
		m.After = answer.GetNext()
	}
}

// DropForks drops all of the forks or none.
func (c *Client) DropForks(ctx context.Context, forks []*Fork, opts ...engine.WriteOption) error {
	if len(forks) == 0 {
		return nil
	}
	refs := make([]*tinepb.Ref, len(forks))
	for i, f := range forks {
		refs[i] = f.ref()
	}
	_, err := c.drop(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Forks{Forks: &tinepb.Refs{Refs: refs}}, NoSync: unsynced(opts)})
	return err
}

// DropPrefix drops the forks whose names begin with prefix, which is not empty: all
// that there are at one moment, or none. It tells how many.
func (c *Client) DropPrefix(ctx context.Context, prefix string, opts ...engine.WriteOption) (int, error) {
	return c.drop(ctx, &tinepb.DropForksRequest{What: &tinepb.DropForksRequest_Prefix{Prefix: prefix}, NoSync: unsynced(opts)})
}

// Doomed says what to drop: Forks, or those whose names begin with Prefix, or Subtree with
// what was made from it.
type Doomed struct {
	Forks   []*Fork
	Prefix  string
	Subtree *Fork
}

// WouldDrop tells how many forks a drop would take, and describes those that the caller
// may read. Of those that it names, which the caller may not read, there are name and
// number. It needs the rights of the drop, and changes nothing.
func (c *Client) WouldDrop(ctx context.Context, what Doomed) (forks []engine.ForkInfo, count int, err error) {
	m := &tinepb.DropForksRequest{DryRun: true}
	switch {
	case what.Subtree != nil:
		m.What = &tinepb.DropForksRequest_Subtree{Subtree: what.Subtree.ref()}
	case what.Prefix != "":
		m.What = &tinepb.DropForksRequest_Prefix{Prefix: what.Prefix}
	default:
		refs := new(tinepb.Refs)
		for _, f := range what.Forks {
			refs.Refs = append(refs.Refs, f.ref())
		}
		m.What = &tinepb.DropForksRequest_Forks{Forks: refs}
	}
	err = c.do(ctx, repeatable, "drop forks", func(ctx context.Context) error {
		answer, err := c.node.DropForks(ctx, m)
		count, forks = int(answer.GetDropped()), nil
		for _, f := range answer.GetForks() {
			forks = append(forks, forkInfo(f))
		}
		return err
	})
	return forks, count, err
}

func (c *Client) drop(ctx context.Context, m *tinepb.DropForksRequest) (dropped int, err error) {
	err = c.do(ctx, once, "drop forks", func(ctx context.Context) error {
		answer, err := c.node.DropForks(ctx, m)
		dropped = int(answer.GetDropped())
		return err
	})
	return dropped, err
}

func forkInfo(f *tinepb.ForkInfo) engine.ForkInfo {
	return engine.ForkInfo{
		ID: f.GetId(), Name: f.GetName(), ParentID: f.GetParentId(), Parent: f.GetParent(),
		Created: time.Unix(0, f.GetCreatedUnixNano()), Depth: int(f.GetDepth()),
		MemtableBytes: f.GetMemtableBytes(), TableSizes: tableSizes(f.GetTables()),
	}
}

func snapshotInfo(n *tinepb.SnapshotInfo) engine.SnapshotInfo {
	return engine.SnapshotInfo{
		ID: n.GetId(), Name: n.GetName(), ForkID: n.GetForkId(), Fork: n.GetFork(),
		Created: time.Unix(0, n.GetCreatedUnixNano()), Depth: int(n.GetDepth()), TableSizes: tableSizes(n.GetTables()),
	}
}

func tableSizes(t *tinepb.TableSizes) engine.TableSizes {
	return engine.TableSizes{ReferencedBytes: t.GetReferencedBytes(), ExclusiveBytes: t.GetExclusiveBytes(), FreedBytes: t.GetFreedBytes()}
}
