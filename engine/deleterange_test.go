package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// memoryOf is what a fork's memtable says at every LSN up to the last.
func memoryOf(f *Fork, last ids.LSN) (said []string) {
	m, _ := f.inTree().Mem.(*memtable.Memtable)
	if m == nil {
		return nil
	}
	for at := range last + 1 {
		text := ""
		it := m.NewIter(at)
		for ok := it.First(); ok; ok = it.Next() {
			text += fmt.Sprintf("%q %d %q ", it.Key(), it.Kind(), it.Value())
		}
		for _, span := range m.Spans(at) {
			text += fmt.Sprintf("%q to %q (open %v) ", span.Lo, span.Hi, span.Hi == nil)
		}
		said = append(said, text)
	}
	return append(said, fmt.Sprint(m.Bytes()))
}

// rangeStore opens a store that does nothing by itself, and gives a way to see what
// a restart makes of its log.
func rangeStore(t *testing.T) (*Store, *Fork, func(f *Fork)) {
	fs := crashfs.New()
	s, err := Open("/db", &Options{FS: fs, Manual: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	return s, f, func(f *Fork) {
		t.Helper()
		require.NoError(t, s.Sync())
		require.NoError(t, s.Verify())
		again, err := Open("/db", &Options{FS: fs.PowerLossAll(), Manual: true})
		require.NoError(t, err)
		defer again.Close()
		replayed, err := again.Fork(f.Name())
		require.NoError(t, err)
		last := s.mu.lastLSN
		require.Equal(t, memoryOf(f, last), memoryOf(replayed, last), "replay made another memtable")
		require.NoError(t, again.Verify())
	}
}

func rowsOf(t *testing.T, f *Fork) (keys []string) {
	rows, failed := f.Scan(Range{})
	for key := range rows {
		keys = append(keys, string(key))
	}
	require.NoError(t, failed())
	return keys
}

func TestARangeDeleteCountsWhereItStandsInItsBatch(t *testing.T) {
	s, f, replays := rangeStore(t)
	k := func(key string) []byte { return []byte(key) }
	for _, c := range []struct {
		name string
		fill func(b *Batch)
		want []string
	}{
		{"what is set before it is gone", func(b *Batch) { b.Set(f, k("b"), nil); b.DeleteRange(f, k("a"), k("c")) }, nil},
		{"what is set behind it stays", func(b *Batch) { b.DeleteRange(f, k("a"), k("c")); b.Set(f, k("b"), nil) }, []string{"b"}},
		{"set, deleted, and set again", func(b *Batch) {
			b.Set(f, k("b"), nil)
			b.DeleteRange(f, k("a"), k("c"))
			b.Set(f, k("b"), nil)
		}, []string{"b"}},
		{"two of them around a set", func(b *Batch) {
			b.DeleteRange(f, k("a"), k("c"))
			b.Set(f, k("b"), nil)
			b.DeleteRange(f, k("b"), k("d"))
		}, nil},
		{"the first key is in it, the end is not", func(b *Batch) {
			for _, key := range []string{"a", "b", "c", "d"} {
				b.Set(f, k(key), nil)
			}
			b.DeleteRange(f, k("b"), k("d"))
		}, []string{"a", "d"}},
		{"open below", func(b *Batch) { b.Set(f, k("a"), nil); b.Set(f, k("c"), nil); b.DeleteRange(f, nil, k("c")) }, []string{"c"}},
		{"open above", func(b *Batch) { b.Set(f, k("a"), nil); b.Set(f, k("c"), nil); b.DeleteRange(f, k("b"), nil) }, []string{"a"}},
		{"an empty bound below is an open one", func(b *Batch) { b.Set(f, k("a"), nil); b.DeleteRange(f, []byte{}, k("b")) }, nil},
		{"an empty bound above is before every key", func(b *Batch) { b.Set(f, k("a"), nil); b.DeleteRange(f, nil, []byte{}) }, []string{"a"}},
		{"an empty range", func(b *Batch) { b.Set(f, k("a"), nil); b.DeleteRange(f, k("a"), k("a")) }, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := s.NewBatch()
			c.fill(b)
			require.NoError(t, b.Commit(NoSync))
			require.Equal(t, c.want, rowsOf(t, f))
			replays(f)
			require.NoError(t, f.DeleteRange(nil, nil, NoSync))
			require.Empty(t, rowsOf(t, f))
		})
	}
}

func TestABatchOfRangeDeletesOverForks(t *testing.T) {
	s, f, replays := rangeStore(t)
	other, err := f.Fork("other")
	require.NoError(t, err)
	b := s.NewBatch()
	for _, fork := range []*Fork{f, other} {
		b.Set(fork, []byte("a"), nil)
		b.Set(fork, []byte("b"), nil)
	}
	b.DeleteRange(f, nil, []byte("b"))
	b.DeleteRange(other, []byte("b"), nil)
	require.Equal(t, 6, b.Len())
	require.Equal(t, 6*opOverhead+6, b.Bytes())
	require.NoError(t, b.Commit())
	require.Zero(t, b.parts[:1][0].ranges, "an emptied batch has no range deletes")
	require.Equal(t, []string{"b"}, rowsOf(t, f))
	require.Equal(t, []string{"a"}, rowsOf(t, other))
	replays(f)
	replays(other)
}

// A memtable that holds nothing but a range is there: it is frozen, and it counts.
func TestARangeDeleteAloneMakesAMemtable(t *testing.T) {
	s, f, replays := rangeStore(t)
	require.NoError(t, f.DeleteRange([]byte("a"), nil, NoSync))
	m := f.inTree().Mem.(*memtable.Memtable)
	require.Zero(t, m.Len())
	require.True(t, m.HasRanges())
	require.NoError(t, s.Verify(), "its bytes are counted")
	replays(f)
	child, err := f.Fork("child")
	require.NoError(t, err)
	require.Same(t, m, child.inTree().Top.Mem)
	require.Nil(t, f.inTree().Mem)
}

// TestManyRowsAreFrozenBeforeARangeDelete looks where the rows are: a range delete
// writes no more than so many tombstones.
func TestManyRowsAreFrozenBeforeARangeDelete(t *testing.T) {
	key := func(i int) []byte { return fmt.Appendf(nil, "k%05d", i) }
	for _, c := range []struct {
		name   string
		rows   int
		lo, hi int
		frozen bool
	}{
		{"as many rows as it may", rangeDeleteRows, 0, rangeDeleteRows, false},
		{"one more", rangeDeleteRows + 1, 0, rangeDeleteRows + 1, true},
		{"many rows, few of them in the range", 5 * rangeDeleteRows, 100, 200, false},
		{"many rows, just enough in the range", 5 * rangeDeleteRows, 100, 101 + rangeDeleteRows, true},
		{"many rows, as many in the range as may be", 5 * rangeDeleteRows, 100, 100 + rangeDeleteRows, false},
		{"an empty range over many rows", 5 * rangeDeleteRows, 100, 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f, replays := rangeStore(t)
			b := s.NewBatch()
			for i := range c.rows {
				b.Set(f, key(i), nil)
			}
			require.NoError(t, b.Commit(NoSync))
			rows := f.inTree().Mem.(*memtable.Memtable)
			other, err := f.Fork("other", NoSync)
			require.NoError(t, err)
			require.NoError(t, f.Reset(other, NoSync)) // the rows are in a node now
			require.NoError(t, f.DeleteRange(key(c.lo), key(c.hi), NoSync))
			require.Same(t, rows, f.inTree().Top.Mem, "rows of nodes are no reason")

			b = s.NewBatch()
			for i := range c.rows {
				b.Set(f, key(i), nil)
			}
			require.NoError(t, b.Commit(NoSync))
			before := f.inTree().Mem.(*memtable.Memtable)
			b = s.NewBatch()
			b.Set(other, key(0), nil)
			b.DeleteRange(f, key(c.lo), key(c.hi))
			require.NoError(t, b.Commit(NoSync))
			if c.frozen {
				require.Same(t, before, f.inTree().Top.Mem)
				require.Equal(t, 0, f.inTree().Mem.(*memtable.Memtable).Len(), "no tombstone")
			} else {
				require.Same(t, before, f.inTree().Mem)
			}
			require.NotNil(t, other.inTree().Mem, "only the fork with the range is frozen")
			replays(f)
		})
	}
}

// TestReplayMakesTheSameMemtables does random batches to two forks.
func TestReplayMakesTheSameMemtables(t *testing.T) {
	for seed := range uint64(10) {
		s, f, replays := rangeStore(t)
		other, err := f.Fork("other")
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(seed, 0))
		ranges := uint32(0)
		for range 40 {
			b := s.NewBatch()
			for range 1 + rng.IntN(8) {
				fork := []*Fork{f, other}[rng.IntN(2)]
				at := rng.IntN(30)
				switch rng.IntN(4) {
				case 0:
					b.DeleteRange(fork, []byte{byte(at)}, []byte{byte(at + rng.IntN(20))})
				case 1:
					b.Delete(fork, []byte{byte(at)})
				default:
					b.Set(fork, []byte{byte(at)}, fmt.Append(nil, rng.Uint32()))
				}
			}
			for _, p := range b.parts {
				ranges += p.ranges
			}
			require.NoError(t, b.Commit(NoSync))
		}
		require.Positive(t, ranges)
		replays(f)
		replays(other)
	}
}

func TestTheKindOfARangeDeleteIsNoRow(t *testing.T) {
	require.NotEqual(t, iterator.Set, iterator.RangeDelete)
	require.Panics(t, func() { memtable.New().Add(1, []byte("k"), iterator.RangeDelete, nil) })
}
