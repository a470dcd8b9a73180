package server

import (
	"fmt"
	"strings"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// snapshotMark stands before a snapshot's name where permissions are asked for.
const snapshotMark = "@"

// reader is a fork or a snapshot.
type reader interface {
	ID() uint64
	Get(key []byte) ([]byte, error)
	NewIter(engine.Range) (*engine.Iterator, error)
	ForkMany(names []string, opts ...engine.WriteOption) ([]*engine.Fork, error)
	engine.Source
}

// allow tells whether the caller may do something to a fork of that name, or, with a
// mark before it, a snapshot. It looks only at the name, so that who may not see a
// fork does not learn whether it is there.
func (c *call) allow(name string, verbs ...Verb) error {
	plain := strings.TrimPrefix(name, snapshotMark)
	if err := engine.CheckName(plain); err != nil {
		return err
	}
	if strings.HasPrefix(plain, SystemPrefix) {
		return fmt.Errorf("%w: names that begin with %s are the node's own", wire.ErrDenied, SystemPrefix)
	}
	for _, verb := range verbs {
		if !c.principal.May(verb, name) {
			return fmt.Errorf("%w: %s may not %s %s", wire.ErrDenied, c.principal.Name(), verb, name)
		}
	}
	return nil
}

// findFork gives the fork that a reference means, for as long as it has that name:
// renamed meanwhile, it is not what the caller named, nor was asked permission for. The
// caller's permission has been asked for.
func (c *call) findFork(ref *tinepb.Ref) (*engine.Fork, error) {
	f, err := c.s.store.ForkWhileNamed(ref.GetName())
	if err != nil {
		return nil, err
	}
	if ref.GetId() != 0 && ref.GetId() != f.ID() {
		return nil, fmt.Errorf("fork %s has id %d, not %d: %w", ref.GetName(), f.ID(), ref.GetId(), engine.ErrForkNotFound)
	}
	return f, c.chargeFork(ref.GetName())
}

// fork is allow and findFork.
func (c *call) fork(ref *tinepb.Ref, verbs ...Verb) (*engine.Fork, error) {
	if err := c.allow(ref.GetName(), verbs...); err != nil {
		return nil, err
	}
	return c.findFork(ref)
}

// snapshot gives the snapshot that a reference means, if the caller may do that to it,
// for as long as it has that name.
func (c *call) snapshot(ref *tinepb.Ref, verbs ...Verb) (*engine.Snapshot, error) {
	if err := c.allow(snapshotMark+ref.GetName(), verbs...); err != nil {
		return nil, err
	}
	n, err := c.s.store.SnapshotWhileNamed(ref.GetName())
	if err != nil {
		return nil, err
	}
	if ref.GetId() != 0 && ref.GetId() != n.ID() {
		return nil, fmt.Errorf("snapshot %s has id %d, not %d: %w", ref.GetName(), n.ID(), ref.GetId(), engine.ErrSnapshotNotFound)
	}
	return n, c.chargeFork(snapshotMark + ref.GetName())
}

// source gives what is to be read, forked, or reset to.
func (c *call) source(of *tinepb.Source) (reader, error) {
	switch x := of.GetOf().(type) {
	case *tinepb.Source_Fork:
		f, err := c.fork(x.Fork, VerbRead)
		if err != nil {
			return nil, err
		}
		return f, nil
	case *tinepb.Source_Snapshot:
		n, err := c.snapshot(x.Snapshot, VerbRead)
		if err != nil {
			return nil, err
		}
		return n, nil
	}
	return nil, fmt.Errorf("%w: it names neither a fork nor a snapshot", wire.ErrBadRequest)
}

// writeOptions turns the request's word into the engine's.
func writeOptions(noSync bool) []engine.WriteOption {
	if noSync {
		return []engine.WriteOption{engine.NoSync}
	}
	return nil
}
