package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

// conforming gives a fork's iterator the internal shape, so that the suite of all
// iterators runs on it.
type conforming struct {
	*engine.Iterator
	row *iterator.Row
}

func (c *conforming) Kind() iterator.Kind    { return iterator.Set }
func (c *conforming) Into(row *iterator.Row) { c.row = row }
func (c *conforming) First() bool            { return c.moved(c.Iterator.First()) }
func (c *conforming) Last() bool             { return c.moved(c.Iterator.Last()) }
func (c *conforming) SeekGE(key []byte) bool { return c.moved(c.Iterator.SeekGE(key)) }
func (c *conforming) SeekLT(key []byte) bool { return c.moved(c.Iterator.SeekLT(key)) }
func (c *conforming) Next() bool             { return c.moved(c.Iterator.Next()) }
func (c *conforming) Prev() bool             { return c.moved(c.Iterator.Prev()) }

func (c *conforming) moved(ok bool) bool {
	if ok && c.row != nil {
		*c.row = iterator.Row{Key: c.Key(), Kind: iterator.Set, Value: c.Value()}
	}
	return ok
}

// The rows of a fork are spread over every kind of layer: tables of the base,
// tables of its own, frozen memory, and its own memtable, with deleted rows between
// them.
func TestForkIteratorsConform(t *testing.T) {
	s := open(t, t.TempDir(), &engine.Options{Manual: true, TableBytes: 2 << 10, BlockBytes: 256})
	f := fork(t, s, engine.MainFork)
	rows := itertest.Rows(200, 1)
	for i := range rows {
		rows[i].Kind = iterator.Set
	}
	for stage := range 4 {
		for i, r := range rows {
			if len(r.Key) == 0 {
				continue
			}
			gone := append([]byte(nil), r.Key...)
			gone = append(gone, 0xfe, byte(stage))
			switch {
			case i%4 == stage:
				require.NoError(t, f.Set(r.Key, r.Value, engine.NoSync))
				require.NoError(t, f.Set(gone, []byte("deleted later"), engine.NoSync))
			case i%4 > stage:
				require.NoError(t, f.Set(r.Key, []byte("overwritten later"), engine.NoSync))
			default:
				gone[len(gone)-1] = byte(stage - 1)
				require.NoError(t, f.Delete(gone, engine.NoSync))
			}
		}
		switch stage {
		case 0, 1:
			require.NoError(t, s.Flush())
		case 2:
			var err error
			f, err = f.Fork("child")
			require.NoError(t, err)
		}
	}
	for _, r := range rows {
		for stage := range 4 {
			require.NoError(t, f.Delete(append(append([]byte(nil), r.Key...), 0xfe, byte(stage)), engine.NoSync))
		}
	}
	if len(rows[0].Key) == 0 {
		rows = rows[1:]
	}
	itertest.Run(t, rows, func() iterator.Iterator {
		it, err := f.NewIter(engine.Range{})
		require.NoError(t, err)
		return &conforming{Iterator: it}
	})
	lo, hi := len(rows)/4, 3*len(rows)/4
	itertest.Run(t, rows[lo:hi], func() iterator.Iterator {
		it, err := f.NewIter(engine.Range{Lower: rows[lo].Key, Upper: rows[hi].Key})
		require.NoError(t, err)
		return &conforming{Iterator: it}
	})
}

func TestAnIteratorOutlivesItsForkAndSeesNothingLater(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, &engine.Options{Manual: true})
	base := fork(t, s, engine.MainFork)
	f, err := base.Fork("short-lived")
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, f.Set(fmt.Appendf(nil, "k%03d", i), []byte("then"), engine.NoSync))
	}
	require.NoError(t, s.Flush())
	require.NoError(t, f.Set([]byte("k100"), []byte("then"), engine.NoSync))
	it, err := f.NewIter(engine.Range{})
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("k050"), []byte("later"), engine.NoSync))
	require.NoError(t, f.Delete([]byte("k051"), engine.NoSync))
	require.NoError(t, f.Set([]byte("k999"), []byte("later"), engine.NoSync))
	require.NoError(t, f.Drop())
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
	require.Equal(t, 1, s.Stats().Files, "the iterator keeps the file that it reads")
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		require.Equal(t, fmt.Sprintf("k%03d", n), string(it.Key()))
		require.Equal(t, "then", string(it.Value()))
		n++
	}
	require.Equal(t, 101, n)
	require.True(t, it.SeekGE([]byte("k070")))
	require.True(t, it.SeekLT(it.Key()), "a key that the iterator gave can be sought")
	require.Equal(t, "k069", string(it.Key()))
	require.NoError(t, it.Close())
	require.NoError(t, s.Settle())
	require.Zero(t, s.Stats().Files, "and then it goes")
	require.NoError(t, s.Verify())
}

func TestIteratorsAndHandlesEndWithTheStore(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	f := fork(t, s, engine.MainFork)
	for i := range 100 {
		require.NoError(t, f.Set(fmt.Appendf(nil, "k%03d", i), nil, engine.NoSync))
	}
	require.NoError(t, s.Flush())
	snap, err := f.Snapshot("s")
	require.NoError(t, err)
	it, err := f.NewIter(engine.Range{})
	require.NoError(t, err)
	require.True(t, it.First())
	require.NoError(t, s.Close())
	require.False(t, it.Next())
	require.ErrorIs(t, it.Error(), engine.ErrClosed)
	require.ErrorIs(t, it.Close(), engine.ErrClosed)
	rows, scanErr := f.Scan(engine.Range{})
	for range rows {
		t.Fatal("a closed store gives rows")
	}
	b := s.NewBatch()
	b.Set(f, []byte("k"), nil)
	for _, err := range []error{
		scanErr(), second(f.Get([]byte("k"))), f.Set([]byte("k"), nil), f.Delete([]byte("k")), second(f.Fork("x")),
		second(f.Snapshot("x")), f.Rename("x"), f.Drop(), f.Reset(snap), second(f.NewIter(engine.Range{})),
		second(snap.Get([]byte("k"))), second(snap.Fork("x")), snap.Drop(), b.Commit(), s.NewBatch().Commit(),
		s.Sync(), s.Flush(), s.Compact(), s.Settle(), s.Verify(), second(s.Fork("main")), second(s.Snapshot("s")),
	} {
		require.ErrorIs(t, err, engine.ErrClosed)
	}
	require.NoError(t, s.Close(), "closing twice is allowed")
}
