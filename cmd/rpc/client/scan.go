package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// reader is what forks and snapshots have in common: they can be read and forked.
type reader struct {
	c  *Client
	id uint64
	of Source // whose reader it is
}

// Get returns the value of key, or engine.ErrNotFound.
func (r *reader) Get(ctx context.Context, key []byte) ([]byte, error) {
	values, err := r.GetMany(ctx, [][]byte{key})
	if err != nil {
		return nil, err
	}
	if values[0] == nil {
		return nil, engine.ErrNotFound
	}
	return values[0], nil
}

// GetMany returns the values of keys, in their order, nil where there is none.
func (r *reader) GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error) {
	err = r.c.do(ctx, repeatable, "get", func(ctx context.Context) error {
		answer, err := r.c.node.Get(ctx, &tinepb.GetRequest{Source: r.of.source(), Keys: keys})
		if err != nil {
			return err
		}
		if len(answer.GetValues()) != len(keys) {
			return fmt.Errorf("the node gave %d values for %d keys", len(answer.GetValues()), len(keys))
		}
		values = make([][]byte, len(keys))
		for i, v := range answer.GetValues() {
			if v.GetFound() {
				values[i] = append([]byte{}, v.GetValue()...)
			}
		}
		return nil
	})
	return values, err
}

// Scan walks the rows of a range in key order, for use with range. The slices it yields
// are good until the next row. rows can be ranged over once; after the loop err tells
// whether it ended because of an error.
func (r *reader) Scan(ctx context.Context, rng engine.Range, opts ...ScanOption) (rows iter.Seq2[[]byte, []byte], err func() error) {
	var failed error
	rows = func(yield func([]byte, []byte) bool) {
		it, err := r.NewIter(ctx, rng, opts...)
		if err != nil {
			failed = err
			return
		}
		for ok := it.First(); ok && yield(it.Key(), it.Value()); ok = it.Next() {
		}
		failed = it.Close()
	}
	return rows, func() error { return failed }
}

// Fork makes a fork of what it is called on, as that is now.
func (r *reader) Fork(ctx context.Context, name string, opts ...engine.WriteOption) (*Fork, error) {
	forks, err := r.ForkMany(ctx, []string{name}, opts...)
	if err != nil {
		return nil, err
	}
	return forks[0], nil
}

// ForkMany makes a fork under each of the names, all at one cut and all or none. The
// handles come in the order of the names.
func (r *reader) ForkMany(ctx context.Context, names []string, opts ...engine.WriteOption) (forks []*Fork, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	err = r.c.do(ctx, once, "fork", func(ctx context.Context) error {
		answer, err := r.c.node.CreateForks(ctx, &tinepb.CreateForksRequest{From: r.of.source(), Names: names, NoSync: unsynced(opts)})
		if err != nil {
			return err
		}
		if len(answer.GetForks()) != len(names) {
			return fmt.Errorf("the node names %d of %d new forks", len(answer.GetForks()), len(names))
		}
		forks = make([]*Fork, len(names))
		for i, ref := range answer.GetForks() {
			forks[i] = r.c.newFork(ref.GetName(), ref.GetId())
		}
		return nil
	})
	return forks, err
}
