package engine

import (
	"errors"
	"fmt"
	"iter"

	"github.com/tinedb/tine/internal/ids"
)

// Get returns the value of key as a copy that belongs to the caller, or
// ErrNotFound.
func (r *viewer) Get(key []byte) ([]byte, error) {
	return r.AppendGet(nil, key)
}

// AppendGet appends the value of key to dst and returns the extended slice; it
// allocates only if dst is too short. On an error, ErrNotFound among them, dst is
// returned as it was.
func (r *viewer) AppendGet(dst, key []byte) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return dst, err
	}
	v, err := r.acquire()
	if err != nil {
		return dst, fmt.Errorf("get: %w", err)
	}
	out, found, err := v.get(dst, key, ids.LSN(r.s.visible.Load()))
	v.release()
	if err != nil {
		return dst, fmt.Errorf("get: %w", r.s.readError(err))
	}
	if !found {
		return dst, ErrNotFound
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}

// readError gives ErrClosed for whatever goes wrong under a reader while the
// store is being closed.
func (s *Store) readError(err error) error {
	if err != nil && s.closed.Load() && !errors.Is(err, ErrCorrupt) {
		return ErrClosed
	}
	return err
}

// Scan walks the rows of a range in key order, for use with range. The slices it
// yields are good until the next row. rows can be ranged over once; after the
// loop err tells whether it ended because of an error.
//
//	rows, err := fork.Scan(engine.Range{})
//	for key, value := range rows { … }
//	if err() != nil { … }
func (r *viewer) Scan(rng Range) (rows iter.Seq2[[]byte, []byte], err func() error) {
	return scan(r.NewIter, rng)
}

func scan(open func(Range) (*Iterator, error), rng Range) (rows iter.Seq2[[]byte, []byte], err func() error) {
	var failed error
	return func(yield func(key, value []byte) bool) {
		it, err := open(rng)
		if err != nil {
			failed = err
			return
		}
		defer func() { failed = it.Close() }()
		for ok := it.First(); ok; ok = it.Next() {
			if !yield(it.Key(), it.Value()) {
				return
			}
		}
	}, func() error { return failed }
}
