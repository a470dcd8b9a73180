package engine_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Each batch gives all keys one value, in two forks. Whoever opens an iterator
// meanwhile sees one value under all keys of its fork, and a fork that is made
// meanwhile holds one value for good.
func TestAReaderSeesABatchWholeOrNotAtAll(t *testing.T) {
	const batches, keys = 1500, 60
	s := open(t, "/db", &engine.Options{FS: crashfs.New(), MemtableBytes: 256 << 10})
	left := fork(t, s, engine.MainFork)
	right, err := left.Fork("right")
	require.NoError(t, err)

	var done atomic.Bool
	var scans atomic.Int64
	var readers sync.WaitGroup
	for n, f := range []*engine.Fork{left, right, left} {
		readers.Go(func() {
			for i := 0; !done.Load(); i++ {
				from := f
				if n == 2 {
					child, err := f.Fork(fmt.Sprint("child", i), engine.NoSync)
					if err != nil {
						t.Error(err)
						return
					}
					from = child
				}
				if err := oneValue(from, keys); err != nil {
					t.Error(err)
					return
				}
				scans.Add(1)
				if n == 2 {
					if err := from.Drop(engine.NoSync); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range batches {
		b := s.NewBatch()
		for k := range keys {
			key, value := fmt.Appendf(nil, "k%02d", k), fmt.Append(nil, i)
			b.Set(left, key, value)
			b.Set(right, key, value)
		}
		require.NoError(t, b.Commit(engine.NoSync))
	}
	done.Store(true)
	readers.Wait()
	require.Positive(t, scans.Load())
	require.NoError(t, oneValue(left, keys))
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
}

// oneValue fails if not all keys, or none, are there, or if their values differ.
func oneValue(f *engine.Fork, keys int) error {
	rows, failed := f.Scan(engine.Range{})
	n, first := 0, ""
	for key, value := range rows {
		if n == 0 {
			first = string(value)
		} else if string(value) != first {
			return fmt.Errorf("%s has %q, the first key has %q", key, value, first)
		}
		n++
	}
	if err := failed(); err != nil {
		return err
	}
	if n != 0 && n != keys {
		return fmt.Errorf("%d keys of %d", n, keys)
	}
	return nil
}
