package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// embedded is a store that this process has opened.
type embedded struct {
	*engine.Store
	ctx context.Context
	all bool // a node's own forks too
}

var _ target = (*embedded)(nil)

// smallSegmentBytes is the log segment of a verb that writes little: each process
// begins a segment of its own.
const smallSegmentBytes = 256 << 10

// openStore opens the store that --data names.
func (a *app) openStore(how access) (target, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	options := &engine.Options{ReadOnly: how == reading, MustExist: how != creating && how != importing}
	if how != importing {
		options.SegmentBytes = smallSegmentBytes
	}
	store, err := engine.Open(dir, options)
	if err != nil {
		return nil, err
	}
	return &embedded{store, a.ctx, a.all}, nil
}

func (e *embedded) hidden(name string) bool { return !e.all && strings.HasPrefix(name, systemPrefix) }

func (e *embedded) Fork(name string) (forkspace, error) {
	if e.hidden(name) {
		return nil, fmt.Errorf("fork %q: %w: it is a node's own, and seen with --all only", name, engine.ErrForkNotFound)
	}
	f, err := e.Store.Fork(name)
	if err != nil {
		return nil, err
	}
	return e.fork(f), nil
}

func (e *embedded) fork(f *engine.Fork) forkspace {
	return embeddedFork{embeddedSpace{e, f}, tree.Into(e.Store, f), f}
}

func (e *embedded) Snapshot(name string) (keyspace, error) {
	n, err := e.Store.Snapshot(name)
	if err != nil {
		return nil, err
	}
	return embeddedSpace{e, n}, nil
}

// ListForks asks for more than a page where it may hold forks that are not shown: those
// stand together.
func (e *embedded) ListForks(o engine.ListOptions) ([]engine.ForkInfo, error) {
	limit := o.Limit
	if limit > 0 && !e.all {
		o.Limit += len(e.Store.ListForks(engine.ListOptions{Prefix: systemPrefix}))
	}
	forks := slices.DeleteFunc(e.Store.ListForks(o), func(f engine.ForkInfo) bool { return e.hidden(f.Name) })
	if limit > 0 {
		forks = forks[:min(limit, len(forks))]
	}
	return forks, nil
}

func (e *embedded) Snapshots() ([]engine.SnapshotInfo, error) { return e.Store.Snapshots(), nil }

func (e *embedded) WouldDrop(what selection) (*doomed, error) { return listDoomed(e, what) }

func (e *embedded) DropForks(d *doomed) (dropped int, err error) {
	forks := make([]*engine.Fork, len(d.forks))
	for i, f := range d.forks {
		if forks[i], err = e.Store.Fork(f.Name); err != nil {
			return 0, err
		}
	}
	for some := range slices.Chunk(forks, engine.MaxDropMany) {
		if err := e.Store.DropForks(some); err != nil {
			return dropped, err
		}
		dropped += len(some)
	}
	return dropped, nil
}

func (e *embedded) LeavesNone(without int) (bool, error) {
	forks, err := e.ListForks(engine.ListOptions{Limit: without + 1})
	return len(forks) <= without, err
}

func (e *embedded) DropSnapshot(name string) error {
	n, err := e.Store.Snapshot(name)
	if err != nil {
		return err
	}
	return n.Drop()
}

func (e *embedded) Stats() (engine.Stats, error) { return e.Store.Stats(), nil }

// Check is not there: a check of a directory reads it without opening the store.
func (e *embedded) Check(engine.CheckLevel) (*engine.CheckReport, error) {
	return nil, errors.ErrUnsupported
}

func (e *embedded) Backup(to engine.BackupSink, o engine.BackupOptions) (*engine.BackupReport, error) {
	return e.Store.Backup(e.ctx, to, o)
}

func (e *embedded) DrawTree(w io.Writer) error { return e.Store.DrawTree(w) }

// embeddedSpace is a fork or a snapshot of it.
type embeddedSpace struct {
	e    *embedded
	from interface {
		engine.Source
		Get(key []byte) ([]byte, error)
		NewIter(engine.Range) (*engine.Iterator, error)
		ForkMany(names []string, opts ...engine.WriteOption) ([]*engine.Fork, error)
	}
}

func (s embeddedSpace) Get(key []byte) ([]byte, error) { return s.from.Get(key) }

func (s embeddedSpace) Rows(r engine.Range) (tree.Rows, error) { return tree.From(s.from).Rows(r) }

func (s embeddedSpace) Scan(r engine.Range, _ bool, _ int) (scanRows, error) {
	it, err := s.from.NewIter(r)
	if err != nil {
		return nil, err
	}
	return it, nil
}

func (s embeddedSpace) ForkMany(names []string) ([]forkspace, error) {
	for _, name := range names {
		if s.e.hidden(name) {
			return nil, fmt.Errorf("fork %q: %w: such names are a node's own", name, engine.ErrInvalidName)
		}
	}
	made, err := s.from.ForkMany(names)
	forks := make([]forkspace, len(made))
	for i, f := range made {
		forks[i] = s.e.fork(f)
	}
	return forks, err
}

// embeddedFork is a fork of it.
type embeddedFork struct {
	embeddedSpace
	tree.Target
	f *engine.Fork
}

func (f embeddedFork) Rows(r engine.Range) (tree.Rows, error) { return f.Target.Rows(r) }
func (f embeddedFork) ID() uint64                             { return f.f.ID() }
func (f embeddedFork) Name() string                           { return f.f.Name() }
func (f embeddedFork) Info() (engine.ForkInfo, error)         { return f.f.Info() }

func (f embeddedFork) Write(fill func(tree.Batch)) error {
	b := durable{f.e.NewBatch(), f.f}
	fill(b)
	return b.Commit()
}

func (f embeddedFork) DeleteRange(r engine.Range) error { return f.f.DeleteRange(r.Lower, r.Upper) }

func (f embeddedFork) Rename(name string) error {
	if f.e.hidden(name) {
		return fmt.Errorf("fork %q: %w: such names are a node's own", name, engine.ErrInvalidName)
	}
	return f.f.Rename(name)
}

func (f embeddedFork) Reset(to keyspace) error {
	switch to := to.(type) {
	case embeddedFork:
		return f.f.Reset(to.f)
	case embeddedSpace:
		return f.f.Reset(to.from)
	}
	return errors.ErrUnsupported
}

func (f embeddedFork) Snapshot(name string) (uint64, error) {
	n, err := f.f.Snapshot(name)
	if err != nil {
		return 0, err
	}
	return n.ID(), nil
}

// durable is a batch of the engine that is committed durably.
type durable struct {
	*engine.Batch
	f *engine.Fork
}

func (b durable) Set(key, value []byte) { b.Batch.Set(b.f, key, value) }
func (b durable) Delete(key []byte)     { b.Batch.Delete(b.f, key) }
func (b durable) Commit() error         { return b.Batch.Commit() }

func (e *embedded) Writes() writes { return embeddedWrites{e.Store.NewBatch()} }

type embeddedWrites struct{ *engine.Batch }

func (b embeddedWrites) Set(f forkspace, key, value []byte) {
	b.Batch.Set(f.(embeddedFork).f, key, value)
}
func (b embeddedWrites) Delete(f forkspace, key []byte) { b.Batch.Delete(f.(embeddedFork).f, key) }
func (b embeddedWrites) DeleteRange(f forkspace, r engine.Range) {
	b.Batch.DeleteRange(f.(embeddedFork).f, r.Lower, r.Upper)
}
func (b embeddedWrites) Commit() error { return b.Batch.Commit() }
