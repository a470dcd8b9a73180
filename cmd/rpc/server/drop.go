package server

import (
	"context"
	"errors"
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

// dropBytes is what the engine and the call take for each fork that may be dropped, about,
// if its name is long.
const dropBytes = 160 + engine.MaxNameBytes

// dropNamed drops forks that are named one by one.
func (c *call) dropNamed(refs []*tinepb.Ref, m *tinepb.DropForksRequest) (*tinepb.DropForksResponse, error) {
	if len(refs) > engine.MaxDropMany {
		return nil, tooMany(len(refs))
	}
	if err := c.charge(int64(len(refs)) * dropBytes); err != nil {
		return nil, err
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
	if m.GetDryRun() {
		answer := new(tinepb.DropForksResponse)
		for _, f := range forks {
			if err := c.wouldDrop(answer, f, true); err != nil {
				return nil, err
			}
		}
		return answer, nil
	}
	return &tinepb.DropForksResponse{Dropped: uint64(len(forks))}, c.s.keeper.drop(len(forks), func() error {
		return c.s.store.DropForks(forks, writeOptions(m.GetNoSync())...)
	})
}

// wouldDrop adds a fork to what a dry run tells. Who may drop a fork need not be one who
// may know about it: then it is only counted, or what the caller has named is repeated.
func (c *call) wouldDrop(answer *tinepb.DropForksResponse, f *engine.Fork, named bool) error {
	name := f.Name()
	switch {
	case c.shown(name) != "":
		info, err := f.Info()
		if err != nil {
			return err
		}
		answer.Forks = append(answer.Forks, c.forkInfo(info))
	case named:
		answer.Forks = append(answer.Forks, &tinepb.ForkInfo{Name: name, Id: f.ID()})
	}
	answer.Dropped++
	return c.charge(infoBytes)
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
	answer := new(tinepb.DropForksResponse)
	look := func() (int, error) {
		n := 0
		for o := (engine.ListOptions{Prefix: prefix, Limit: listStep}); ; {
			some := c.s.store.ListForks(o)
			for i := range some {
				f := &some[i]
				o.After = f.Name
				if n++; m.GetDryRun() && c.shown(f.Name) != "" {
					answer.Forks = append(answer.Forks, c.forkInfo(*f))
					if err := c.charge(infoBytes); err != nil {
						return 0, err
					}
				}
			}
			if n > engine.MaxDropMany {
				return 0, tooMany(n)
			}
			if err := c.charge(int64(len(some)) * dropBytes); err != nil {
				return 0, err
			}
			if err := c.ended(); err != nil || len(some) < listStep {
				return n, err
			}
		}
	}
	if m.GetDryRun() {
		n, err := look()
		answer.Dropped = uint64(n)
		return answer, err
	}
	return c.dropAlone(look, func() (int, error) {
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
	all := c.principal.MayAll(VerbFork, "")
	var forks []*engine.Fork
	answer := new(tinepb.DropForksResponse)
	look := func() (n int, err error) {
		for f, err := range root.Subtree() {
			if err == nil {
				err = c.charge(dropBytes)
			}
			if n++; err == nil && n%listStep == 0 {
				err = c.ended()
			}
			if err == nil {
				err = c.mayDrop(ref, f)
			}
			switch {
			case err != nil:
			case m.GetDryRun():
				if err = c.wouldDrop(answer, f, f.ID() == root.ID()); errors.Is(err, engine.ErrForkNotFound) {
					err = nil // it has gone since
				}
			case !all:
				forks = append(forks, f)
				err = c.chargeFork(f.Name())
			}
			if err != nil {
				return 0, err
			}
		}
		return n, nil
	}
	if m.GetDryRun() {
		_, err := look()
		return answer, err
	}
	return c.dropAlone(look, func() (int, error) {
		if all {
			return root.DropSubtree(writeOptions(m.GetNoSync())...)
		}
		return len(forks), c.s.store.DropForks(forks, writeOptions(m.GetNoSync())...)
	})
}

// mayDrop asks for one fork of those that were made from another.
func (c *call) mayDrop(root *tinepb.Ref, f *engine.Fork) error {
	if c.allow(f.Name(), VerbFork) != nil { // whose error would name it
		return fmt.Errorf("%w: %s may not %s all that was made from %s", wire.ErrDenied, c.principal.Name(), VerbFork, root.GetName())
	}
	return nil
}

// dropAlone drops what look has found, with no other drop at the same time.
func (c *call) dropAlone(look, run func() (int, error)) (*tinepb.DropForksResponse, error) {
	n, err := c.s.keeper.dropAlone(look, run)
	if err != nil {
		return nil, err
	}
	return &tinepb.DropForksResponse{Dropped: uint64(n)}, nil
}
