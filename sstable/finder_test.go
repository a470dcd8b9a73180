package sstable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// finderTable is a table with a cache that holds nothing, or all, and a count of
// the blocks that are read.
func finderTable(t *testing.T, n int, cacheBytes int64) (r *Reader, reads *int, content []byte, meta Meta) {
	content, meta = buildTable(t, sequentialRows(n), 10, WriterOptions{BlockBytes: 700})
	fsys := newMemFS()
	fsys.put(meta.File, content)
	r, err := NewTables(fsys, "db", NewCache(cacheBytes), 4).Reader(&meta)
	require.NoError(t, err)
	reads = new(int)
	fsys.onRead = func() { *reads++ }
	return r, reads, content, meta
}

func TestFinderReadsEachBlockOnceForSortedKeys(t *testing.T) {
	r, reads, _, meta := finderTable(t, 1000, 64<<20)
	rows := sequentialRows(1000)
	f := r.NewFinder()
	budget := int64(1 << 40)
	for i, row := range rows {
		ordinal, kind, found, err := f.Find(row.Key, &budget)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, uint64(i), ordinal)
		require.Equal(t, row.Kind, kind)
	}
	require.Equal(t, len(r.index.entries), *reads)
	require.Equal(t, int64(1<<40)-int64(r.properties.DataBytes), budget, "what the blocks take on disk is taken off")
	require.NotContains(t, cachedBlocks(r), true, "the cache is left as it is")
	require.Equal(t, meta.Rows, uint64(len(rows)))
}

func TestFinderAsksTheFilterForNothing(t *testing.T) {
	r, reads, _, _ := finderTable(t, 1000, 1)
	f := r.NewFinder()
	var passed [][]byte
	none := int64(0)
	for i := range 5000 {
		key := fmt.Appendf(nil, "user%012d absent", i%2000)
		key = append(key, byte(i/2000))
		_, _, found, err := f.Find(key, &none)
		require.False(t, found)
		if r.MayContain(key) {
			require.ErrorIs(t, err, ErrBudget, "a false positive is not known to be absent")
			passed = append(passed, key)
		} else {
			require.NoError(t, err)
		}
	}
	require.NotEmpty(t, passed)
	_, _, found, err := f.Find([]byte("zzz"), &none)
	require.NoError(t, err)
	require.False(t, found)
	require.Zero(t, *reads)

	plenty := int64(1 << 40)
	for _, key := range passed {
		_, _, found, err := f.Find(key, &plenty)
		require.NoError(t, err)
		require.False(t, found)
	}
	require.NotZero(t, *reads)
}

func TestFinderStopsAtItsBudget(t *testing.T) {
	rows := sequentialRows(1000)
	r, reads, _, _ := finderTable(t, 1000, 1)
	rng := rand.New(rand.NewPCG(3, 3))
	f := r.NewFinder()
	budget := int64(5000)
	spent, refused := int64(0), 0
	last := -1
	for range 200 {
		i := rng.IntN(len(rows))
		number := r.index.seekOrdinal(uint64(i))
		before, readsBefore := budget, *reads
		ordinal, _, found, err := f.Find(rows[i].Key, &budget)
		switch {
		case number == last:
			require.NoError(t, err, "the last block costs nothing, also with no budget left")
			require.Equal(t, []any{before, readsBefore}, []any{budget, *reads})
		case before > 0:
			require.NoError(t, err)
			require.Equal(t, before-int64(r.index.entries[number].storedBytes), budget)
			require.Equal(t, readsBefore+1, *reads)
			last = number
			spent += before - budget
		default:
			require.ErrorIs(t, err, ErrBudget)
			require.False(t, found)
			require.Equal(t, []any{before, readsBefore}, []any{budget, *reads})
			refused++
			continue
		}
		require.True(t, found)
		require.Equal(t, uint64(i), ordinal)
	}
	require.NotZero(t, refused)
	require.GreaterOrEqual(t, spent, int64(5000))
	require.Equal(t, 5000-spent, budget)
}

func TestFinderTakesCachedBlocksForNothing(t *testing.T) {
	rows := sequentialRows(1000)
	r, reads, _, _ := finderTable(t, 1000, 64<<20)
	it := r.NewIter(nil)
	for ok := it.First(); ok; ok = it.Next() {
	}
	*reads = 0
	before := r.blocks.cache.Stats()
	f := r.NewFinder()
	budget := int64(-3)
	for i := len(rows) - 1; i >= 0; i -= 3 {
		ordinal, _, found, err := f.Find(rows[i].Key, &budget)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, uint64(i), ordinal)
	}
	require.Zero(t, *reads)
	require.Equal(t, int64(-3), budget)
	require.Equal(t, before, r.blocks.cache.Stats(), "its looks do not count")
}

func TestFinderReportsDamageAndGoesOn(t *testing.T) {
	content, meta := buildTable(t, sequentialRows(100), 0, WriterOptions{BlockBytes: 700})
	bad := mustOpen(t, content, &meta, 1).index.entries[3]
	content[bad.offset]++
	f := mustOpen(t, content, &meta, 1).NewFinder()
	budget := int64(1 << 30)
	for range 2 {
		for range 2 { // the second time the block before is still at hand
			_, _, _, err := f.Find(benchKey(int(bad.ordinal)), &budget)
			requireCorrupt(t, &meta, err)
		}
		ordinal, _, found, err := f.Find(benchKey(0), &budget)
		require.NoError(t, err)
		require.True(t, found)
		require.Zero(t, ordinal)
	}
}

func TestOrdinalGE(t *testing.T) {
	for _, shape := range keyShapes {
		for _, blockBytes := range []int{1, 64, 600} {
			t.Run(fmt.Sprintf("%s in blocks of %d", shape.name, blockBytes), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(blockBytes), 4))
				rows := randomRows(rng, 1+rng.IntN(300), shape.make)
				content, meta := buildTable(t, rows, 10, WriterOptions{BlockBytes: blockBytes})
				fsys := newMemFS()
				fsys.put(ids.FileNum(meta.File), content)
				r, err := NewTables(fsys, "db", NewCache(1<<20), 4).Reader(&meta)
				require.NoError(t, err)
				reads := 0
				fsys.onRead = func() { reads++ }
				for i := range 600 {
					key := shape.make(rng)
					if i < len(rows) {
						key = append(bytes.Clone(rows[i].Key), []byte("\x00")[:rng.IntN(2)]...)
					}
					reads = 0
					got, err := r.OrdinalGE(key)
					require.NoError(t, err)
					want, _ := search(rows, key)
					require.Equal(t, uint64(want), got, "key %q", key)
					require.LessOrEqual(t, reads, 1)
					if want == 0 || want == len(rows) {
						require.Zero(t, reads, "an end of the table is known without reading")
					}
				}
				require.NotContains(t, cachedBlocks(r), true)
			})
		}
	}
}

func TestOrdinalGEReportsDamage(t *testing.T) {
	content, meta := buildTable(t, sequentialRows(100), 0, WriterOptions{BlockBytes: 700})
	bad := mustOpen(t, content, &meta, 1).index.entries[3]
	content[bad.offset]++
	_, err := mustOpen(t, content, &meta, 1).OrdinalGE(benchKey(int(bad.ordinal)))
	requireCorrupt(t, &meta, err)
}
