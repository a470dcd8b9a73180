package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// DropForks drops what the request selects.
func (s *Server) DropForks(ctx context.Context, m *tinepb.DropForksRequest) (*tinepb.DropForksResponse, error) {
	c := callOf(ctx)
	c.changed = !m.GetDryRun()
	began := time.Now()
	defer func() { c.engine += time.Since(began) }()
	switch x := m.GetWhat().(type) {
	case *tinepb.DropForksRequest_Forks:
		return c.dropNamed(x.Forks.GetRefs(), m)
	case *tinepb.DropForksRequest_Prefix:
		return c.dropPrefix(x.Prefix, m)
	case *tinepb.DropForksRequest_Subtree:
		return c.dropSubtree(x.Subtree, m)
	}
	return nil, fmt.Errorf("%w: it does not say what to drop", wire.ErrBadRequest)
}

// dropNamed drops forks that are named one by one.
func (c *call) dropNamed(refs []*tinepb.Ref, m *tinepb.DropForksRequest) (*tinepb.DropForksResponse, error) {
	if len(refs) > engine.MaxDropMany {
		return nil, tooMany(len(refs))
	}
	var forks []*engine.Fork
	seen := make(map[uint64]bool, len(refs))
	for _, ref := range refs {
		f, err := c.fork(ref, VerbFork)
		if err != nil {
			return nil, err
		}
		if !seen[f.ID()] {
			seen[f.ID()] = true
			forks = append(forks, f)
		}
	}
	answer := &tinepb.DropForksResponse{Dropped: uint64(len(forks))}
	if m.GetDryRun() {
		for _, f := range forks {
			info, err := f.Info()
			if err != nil {
				return nil, err
			}
			answer.Forks = append(answer.Forks, c.forkInfo(info))
		}
		return answer, nil
	}
	return answer, c.s.keeper.drop(len(forks), func() error {
		return c.s.store.DropForks(forks, writeOptions(m.GetNoSync())...)
	})
}

func tooMany(n int) error {
	return fmt.Errorf("%d forks at once, at most %d are allowed: %w", n, engine.MaxDropMany, engine.ErrLimit)
}

// dropPrefix drops the forks whose names begin so. The caller must be one who may drop
// any fork of such a name: those that there are, and those that are made meanwhile.
func (c *call) dropPrefix(prefix string, m *tinepb.DropForksRequest) (*tinepb.DropForksResponse, error) {
	if err := engine.CheckName(prefix); err != nil {
		return nil, err
	}
	if strings.HasPrefix(prefix, SystemPrefix) || strings.HasPrefix(SystemPrefix, prefix) {
		return nil, fmt.Errorf("%w: names that begin with %s are the node's own", wire.ErrDenied, SystemPrefix)
	}
	if !c.principal.MayAll(VerbFork, prefix) {
		return nil, fmt.Errorf("%w: %s may not %s all of %s*", wire.ErrDenied, c.principal.Name(), VerbFork, prefix)
	}
	selected := func() ([]engine.ForkInfo, error) {
		forks := c.s.store.ListForks(engine.ListOptions{Prefix: prefix, Limit: engine.MaxDropMany + 1})
		if len(forks) > engine.MaxDropMany {
			return nil, tooMany(len(forks))
		}
		return forks, nil
	}
	if m.GetDryRun() {
		return c.dryRun(selected())
	}
	return c.dropSelected(selected, func() (int, error) {
		return c.s.store.DropPrefix(prefix, writeOptions(m.GetNoSync())...)
	})
}

// dropSubtree drops a fork and what was made from it. A caller who may drop any fork
// gets the engine's promise: all that there are at one moment. For another, each is
// asked for, and those are dropped that there were then; one that is made meanwhile
// stays.
func (c *call) dropSubtree(ref *tinepb.Ref, m *tinepb.DropForksRequest) (*tinepb.DropForksResponse, error) {
	root, err := c.fork(ref, VerbFork)
	if err != nil {
		return nil, err
	}
	selected := func() ([]engine.ForkInfo, error) {
		forks, err := c.subtree(root.ID())
		if err != nil {
			return nil, err
		}
		for _, f := range forks {
			if c.allow(f.Name, VerbFork) != nil { // whose error would name it
				return nil, fmt.Errorf("%w: %s may not %s all that was made from %s", wire.ErrDenied, c.principal.Name(), VerbFork, ref.GetName())
			}
		}
		return forks, nil
	}
	if m.GetDryRun() {
		return c.dryRun(selected())
	}
	return c.dropSelected(selected, func() (int, error) {
		if c.principal.MayAll(VerbFork, "") {
			return root.DropSubtree(writeOptions(m.GetNoSync())...)
		}
		forks, err := selected()
		if err != nil {
			return 0, err
		}
		handles := make([]*engine.Fork, len(forks))
		for i, f := range forks {
			if handles[i], err = c.findFork(&tinepb.Ref{Name: f.Name, Id: f.ID}); err != nil {
				return 0, err
			}
		}
		return len(handles), c.s.store.DropForks(handles, writeOptions(m.GetNoSync())...)
	})
}

// dropSelected drops what was selected, with no other drop at the same time.
func (c *call) dropSelected(selected func() ([]engine.ForkInfo, error), run func() (int, error)) (*tinepb.DropForksResponse, error) {
	n, err := c.s.keeper.dropAlone(func() (int, error) {
		forks, err := selected()
		return len(forks), err
	}, run)
	if err != nil {
		return nil, err
	}
	return &tinepb.DropForksResponse{Dropped: uint64(n)}, nil
}

func (c *call) dryRun(forks []engine.ForkInfo, err error) (*tinepb.DropForksResponse, error) {
	if err != nil {
		return nil, err
	}
	answer := &tinepb.DropForksResponse{Dropped: uint64(len(forks))}
	for _, f := range forks {
		answer.Forks = append(answer.Forks, c.forkInfo(f))
	}
	return answer, nil
}

// subtree finds a fork and what was made from it, the fork first. A fork has a larger
// id than the one it was made from. It costs O(forks), a step at a time.
func (c *call) subtree(root uint64) ([]engine.ForkInfo, error) {
	var all []engine.ForkInfo
	for after := ""; ; after = all[len(all)-1].Name {
		step := c.s.store.ListForks(engine.ListOptions{After: after, Limit: listStep})
		all = append(all, step...)
		if len(step) < listStep {
			break
		}
		if err := c.ended(); err != nil {
			return nil, err
		}
	}
	children := make(map[uint64][]int)
	var out []engine.ForkInfo
	for i, f := range all {
		if f.ID == root {
			out = append(out, f)
		} else if f.Parent != "" {
			children[f.ParentID] = append(children[f.ParentID], i)
		}
	}
	for i := 0; i < len(out); i++ {
		for _, child := range children[out[i].ID] {
			out = append(out, all[child])
		}
	}
	if len(out) > engine.MaxDropMany {
		return nil, tooMany(len(out))
	}
	return out, nil
}
