package sstable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

// Every kind of key set, block size and cache must answer like a sorted slice.
func TestTableAnswersLikeASortedSlice(t *testing.T) {
	for _, shape := range keyShapes {
		for _, blockBytes := range []int{1, 64, 600, 16384} {
			for _, cacheBytes := range []int64{1, 3000, 64 << 20} {
				name := fmt.Sprintf("%s in blocks of %d with a cache of %d", shape.name, blockBytes, cacheBytes)
				t.Run(name, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(blockBytes), uint64(cacheBytes)))
					rows := randomRows(rng, 1+rng.IntN(400), shape.make)
					content, m := buildTable(t, rows, 1000, WriterOptions{BlockBytes: blockBytes})
					r := mustOpen(t, content, &m, cacheBytes)
					require.NoError(t, r.Verify())
					requireCounts(t, r, rows)
					if blockBytes == 1 {
						require.Equal(t, uint64(len(rows)), r.Properties().Blocks)
					}
					requireGets(t, rng, r, rows, shape.make)
					requireSeeks(t, rng, r, rows, shape.make)
				})
			}
		}
	}
}

func requireCounts(t *testing.T, r *Reader, rows []iterator.Row) {
	t.Helper()
	var tombstones, keyBytes, valueBytes int
	for _, row := range rows {
		keyBytes += len(row.Key)
		valueBytes += len(row.Value)
		if row.Kind == iterator.Tombstone {
			tombstones++
		}
	}
	p := r.Properties()
	require.Equal(t, []int{len(rows), tombstones, keyBytes, valueBytes},
		[]int{int(p.Rows), int(p.Tombstones), int(p.KeyBytes), int(p.ValueBytes)})
	require.True(t, bytes.Equal(rows[0].Key, p.Smallest))
	require.True(t, bytes.Equal(rows[len(rows)-1].Key, p.Largest))
}

func requireGets(t *testing.T, rng *rand.Rand, r *Reader, rows []iterator.Row, makeKey func(*rand.Rand) []byte) {
	t.Helper()
	for i, row := range rows {
		require.True(t, r.MayContain(row.Key))
		found, ok, err := r.Find(row.Key)
		require.NoError(t, err)
		require.True(t, ok, "key %q", row.Key)
		require.Equal(t, uint64(i), found.Ordinal)
		out, kind, ok, err := r.Get([]byte("before "), row.Key, nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, row.Kind, kind)
		require.Equal(t, "before "+string(row.Value), string(out))
	}
	for range 300 {
		key := makeKey(rng)
		_, there := search(rows, key)
		out, _, ok, err := r.Get([]byte("dst"), key, nil)
		require.NoError(t, err)
		require.Equal(t, there, ok, "key %q", key)
		if !there {
			require.Equal(t, "dst", string(out))
		}
	}
}

func requireSeeks(t *testing.T, rng *rand.Rand, r *Reader, rows []iterator.Row, makeKey func(*rand.Rand) []byte) {
	t.Helper()
	it := r.NewIter(nil)
	defer it.Close()
	at := -1
	for range 600 {
		var ok bool
		switch n := rng.IntN(10); {
		case n == 0:
			ok, at = it.First(), 0
		case n == 1:
			ok, at = it.Last(), len(rows)-1
		case n == 2 || n == 9:
			at = rng.IntN(len(rows) + 1)
			if ok = it.SeekOrdinal(uint64(at)); n%2 == 0 {
				at = max(min(at+rng.IntN(9)-4, len(rows)), 0) // most often in the same block
				ok = it.StandAt(uint64(at))
			}
		case n < 5:
			key := makeKey(rng)
			at, _ = search(rows, key)
			ok = it.SeekGE(key)
		case n < 7:
			key := makeKey(rng)
			at, _ = search(rows, key)
			at--
			ok = it.SeekLT(key)
		case at < 0:
			ok = it.Next()
		case n == 7:
			at++
			ok = it.Next()
		default:
			at--
			ok = it.Prev()
		}
		if at >= len(rows) {
			at = -1
		}
		require.Equal(t, at >= 0, ok)
		require.Equal(t, ok, it.Valid())
		if ok {
			require.True(t, bytes.Equal(rows[at].Key, it.Key()))
			require.True(t, bytes.Equal(rows[at].Value, it.Value()))
			require.Equal(t, rows[at].Kind, it.Kind())
			require.Equal(t, uint64(at), it.Ordinal())
		}
	}
	require.NoError(t, it.Error())
}

func search(rows []iterator.Row, key []byte) (int, bool) {
	return slices.BinarySearchFunc(rows, key, func(row iterator.Row, key []byte) int { return bytes.Compare(row.Key, key) })
}

func TestIterConforms(t *testing.T) {
	for _, c := range []struct {
		name       string
		rows       []iterator.Row
		blockBytes int
		cacheBytes int64
	}{
		{"one row", itertest.Rows(1, 1), 0, 1 << 20},
		{"one row a block, nothing cached", itertest.Rows(90, 2), 1, 1},
		{"small blocks, a small cache", itertest.Rows(300, 3), 300, 2000},
		{"blocks of the usual size", itertest.Rows(2000, 4), 0, 64 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			content, m := buildTable(t, c.rows, 0, WriterOptions{BlockBytes: c.blockBytes})
			r := mustOpen(t, content, &m, c.cacheBytes)
			itertest.Run(t, c.rows, func() iterator.Iterator { return r.NewIter(nil) })
		})
	}
}

// The key given to a seek may be the iterator's own.
func TestSeekTakesTheIteratorsOwnKey(t *testing.T) {
	rows := itertest.Rows(200, 5)
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 200})
	it := mustOpen(t, content, &m, 1<<20).NewIter(nil)
	at := len(rows) - 1
	for ok := it.Last(); ok; ok = it.SeekLT(it.Key()) {
		require.Equal(t, string(rows[at].Key), string(it.Key()))
		require.True(t, it.SeekGE(it.Key()))
		require.Equal(t, string(rows[at].Key), string(it.Key()))
		at--
	}
	require.Equal(t, -1, at)
}

// A row larger than a block, and one of the largest size allowed.
func TestRowsLargerThanABlock(t *testing.T) {
	huge := make([]byte, MaxValueBytes)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := 0; i < len(huge); i += 97 {
		huge[i] = byte(rng.Uint32())
	}
	rows := []iterator.Row{
		{Key: []byte("a"), Kind: iterator.Set, Value: []byte("small")},
		{Key: []byte("b"), Kind: iterator.Set, Value: bytes.Repeat([]byte("x"), 100_000)},
		{Key: bytes.Repeat([]byte("c"), MaxKeyBytes), Kind: iterator.Set, Value: huge},
		{Key: []byte("d"), Kind: iterator.Tombstone},
		{Key: bytes.Repeat([]byte("e"), MaxKeyBytes), Kind: iterator.Set},
		{Key: []byte("f"), Kind: iterator.Set, Value: []byte("small")},
	}
	content, m := buildTable(t, rows, 17, WriterOptions{})
	r := mustOpen(t, content, &m, 1<<20)
	require.NoError(t, r.Verify())
	it := r.NewIter(nil)
	for i := range rows {
		require.True(t, it.SeekOrdinal(uint64(i)))
		require.True(t, bytes.Equal(rows[i].Value, it.Value()))
		value, _, found, err := r.Get(nil, rows[i].Key, nil)
		require.NoError(t, err)
		require.True(t, found)
		require.True(t, bytes.Equal(rows[i].Value, value))
	}
	require.LessOrEqual(t, r.blocks.cache.Stats().Bytes, int64(1<<20))
}

func TestMovingAndGettingDoNotAllocate(t *testing.T) {
	rows := sequentialRows(2000)
	content, m := buildTable(t, rows, 0, WriterOptions{})
	r := mustOpen(t, content, &m, 64<<20)
	it := r.NewIter(nil)
	for it.First(); it.Valid(); it.Next() {
	}
	dst := make([]byte, 0, 200)
	i := 0
	require.Zero(t, testing.AllocsPerRun(500, func() {
		row := rows[i%len(rows)]
		i += 37
		it.SeekGE(row.Key)
		it.Next()
		it.SeekLT(row.Key)
		it.Prev()
		if _, _, found, err := r.Get(dst, row.Key, nil); !found || err != nil {
			panic("row is missing")
		}
	}))
}
