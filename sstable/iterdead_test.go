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

// alive gives the rows that are not dead, and their numbers.
func (m marks) alive(rows []iterator.Row) (live []iterator.Row, ordinals []uint64) {
	for i, row := range rows {
		if !m[i] {
			live, ordinals = append(live, row), append(ordinals, uint64(i))
		}
	}
	return live, ordinals
}

// blockHasLife tells for each block whether a row of it is alive.
func (m marks) blockHasLife(r *Reader) []bool {
	has := make([]bool, len(r.index.entries))
	for i, e := range r.index.entries {
		for n := range r.index.rowsOf(i, r.meta.Rows) {
			has[i] = has[i] || !m[e.ordinal+n]
		}
	}
	return has
}

// cachedBlocks tells which blocks were read, if the cache is large and was empty.
func cachedBlocks(r *Reader) []bool {
	cached := make([]bool, len(r.blocks.slots))
	for i := range cached {
		cached[i] = r.blocks.slots[i].Load() != nil
	}
	return cached
}

// Dead rows are not there: any walk is that over a slice without them, and blocks
// of dead rows only are never read.
func TestIterStepsOverDeadRows(t *testing.T) {
	for _, shape := range markShapes {
		for _, blockBytes := range []int{1, 200, 2000} {
			for _, n := range []int{1, 2, 40, 700} {
				t.Run(fmt.Sprintf("%s of %d in blocks of %d", shape.name, n, blockBytes), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(n), uint64(blockBytes)))
					rows := itertest.Rows(n, 7)
					m := randomMarks(rng, n, shape.make)
					content, meta := buildTable(t, rows, 10, WriterOptions{BlockBytes: blockBytes})
					r := mustOpen(t, content, &meta, 64<<20)
					dead := NewDead(m.vector())
					walkLive(t, rng, r, dead, rows, m)
					for i, read := range cachedBlocks(r) {
						require.False(t, read && !m.blockHasLife(r)[i], "block %d has dead rows only and was read", i)
					}
					requireLiveGets(t, r, dead, rows, m)
				})
			}
		}
	}
}

// walkLive makes random moves and compares each with the slice of live rows.
func walkLive(t *testing.T, rng *rand.Rand, r *Reader, dead *Dead, rows []iterator.Row, m marks) {
	t.Helper()
	live, ordinals := m.alive(rows)
	it := r.NewIter(dead)
	defer it.Close()
	at := -1
	for range unlessShort(1500) {
		row := rng.IntN(len(rows))
		key := append(bytes.Clone(rows[row].Key), []byte("\x00")[:rng.IntN(2)]...)
		if rng.IntN(4) == 0 && it.Valid() {
			key = it.Key() // which the seek may not spoil while it needs it
		}
		var ok bool
		switch n := rng.IntN(14); {
		case n == 0:
			ok, at = it.First(), 0
		case n == 1:
			ok, at = it.Last(), len(live)-1
		case n == 2:
			ordinal := rng.IntN(len(rows) + 1)
			at, _ = slices.BinarySearch(ordinals, uint64(ordinal))
			if ok = it.SeekOrdinal(uint64(ordinal)); rng.IntN(2) == 0 {
				ok = it.StandAt(uint64(ordinal))
			}
		case n < 5:
			at, _ = search(live, key)
			ok = it.SeekGE(key)
		case n < 7:
			at, _ = search(live, key)
			at--
			ok = it.SeekLT(key)
		case at < 0:
			ok = rng.IntN(2) == 0 && it.Next() || it.Prev()
		case n < 10 || n == 13 && row%2 == 0:
			at++
			ok = it.Next()
		default:
			at--
			ok = it.Prev()
		}
		if at >= len(live) {
			at = -1
		}
		require.Equal(t, at >= 0, ok)
		require.Equal(t, ok, it.Valid())
		if ok {
			require.Equal(t, ordinals[at], it.Ordinal())
			require.True(t, bytes.Equal(live[at].Key, it.Key()))
			require.True(t, bytes.Equal(live[at].Value, it.Value()))
			require.Equal(t, live[at].Kind, it.Kind())
		}
	}
	require.NoError(t, it.Error())
}

func requireLiveGets(t *testing.T, r *Reader, dead *Dead, rows []iterator.Row, m marks) {
	t.Helper()
	for i, row := range rows {
		out, kind, found, err := r.Get([]byte("dst "), row.Key, dead)
		require.NoError(t, err)
		require.Equal(t, !m[i], found)
		if found {
			require.Equal(t, row.Kind, kind)
			require.Equal(t, "dst "+string(row.Value), string(out))
		} else {
			require.Equal(t, "dst ", string(out))
		}
	}
}

func TestIterWithDeadRowsConforms(t *testing.T) {
	rows := itertest.Rows(unlessShort(300), 3)
	content, meta := buildTable(t, rows, 0, WriterOptions{BlockBytes: 300})
	r := mustOpen(t, content, &meta, 2000)
	for _, shape := range markShapes {
		t.Run(shape.name, func(t *testing.T) {
			m := randomMarks(rand.New(rand.NewPCG(1, 1)), len(rows), shape.make)
			live, _ := m.alive(rows)
			if len(live) == 0 {
				live = nil
			}
			dead := NewDead(m.vector())
			itertest.Run(t, live, func() iterator.Iterator { return r.NewIter(dead) })
			itertest.Run(t, live, func() iterator.Iterator { return r.NewUncachedIter(dead) })
		})
	}
}

// A scan reads each block that has a live row once, and no other; both ways.
func TestScanReadsOnlyBlocksWithLiveRows(t *testing.T) {
	rows := sequentialRows(1000)
	content, meta := buildTable(t, rows, 0, WriterOptions{BlockBytes: 700})
	for _, shape := range markShapes {
		t.Run(shape.name, func(t *testing.T) {
			m := randomMarks(rand.New(rand.NewPCG(5, 5)), len(rows), shape.make)
			live, _ := m.alive(rows)
			fsys := newMemFS()
			fsys.put(1, content)
			r, err := NewTables(fsys, "db", NewCache(1), 4).Reader(&meta)
			require.NoError(t, err)
			reads := 0
			fsys.onRead = func() { reads++ }
			want := 0
			for _, has := range m.blockHasLife(r) {
				if has {
					want++
				}
			}
			it := r.NewIter(NewDead(m.vector()))
			n := 0
			for ok := it.First(); ok; ok = it.Next() {
				n++
			}
			require.Equal(t, []int{len(live), want}, []int{n, reads}, "rows, blocks forward")
			n, reads = 0, 0
			it = r.NewIter(NewDead(m.vector()))
			for ok := it.Last(); ok; ok = it.Prev() {
				n++
			}
			require.Equal(t, []int{len(live), want}, []int{n, reads}, "rows, blocks backward")
			require.NoError(t, it.Close())
		})
	}
}

// Where a stretch of dead blocks begins at the sought key, a seek costs one block.
func TestSeekIntoDeadBlocksReadsOneBlock(t *testing.T) {
	rows := sequentialRows(1000)
	content, meta := buildTable(t, rows, 0, WriterOptions{BlockBytes: 700})
	fsys := newMemFS()
	fsys.put(1, content)
	r, err := NewTables(fsys, "db", NewCache(1), 4).Reader(&meta)
	require.NoError(t, err)
	first, end := r.index.entries[20].ordinal, r.index.entries[100].ordinal
	m := make(marks, len(rows))
	m.fill(int(first), int(end))
	it := r.NewIter(NewDead(m.vector()))
	reads := 0
	fsys.onRead = func() { reads++ }
	for i := first; i < end; i += 11 {
		reads = 0
		it.block = nil
		require.True(t, it.SeekGE(rows[i].Key))
		require.Equal(t, end, it.Ordinal())
		require.Equal(t, 1, reads)
		reads = 0
		require.True(t, it.SeekLT(rows[i].Key))
		require.Equal(t, first-1, it.Ordinal())
		require.Equal(t, 1, reads)
	}
	require.True(t, it.SeekOrdinal(first+3))
	require.Equal(t, end, it.Ordinal())
}

// An error of a block that must be read is no end, and one of a block that need
// not be is none at all.
func TestIterWithDeadRowsReportsDamage(t *testing.T) {
	rows := sequentialRows(200)
	content, meta := buildTable(t, rows, 0, WriterOptions{BlockBytes: 700})
	bad := mustOpen(t, content, &meta, 1).index.entries[5]
	content[bad.offset]++
	r := mustOpen(t, content, &meta, 1)
	m := make(marks, len(rows))
	m[bad.ordinal] = true
	it := r.NewIter(NewDead(m.vector()))
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	require.Equal(t, int(bad.ordinal), n)
	requireCorrupt(t, &meta, it.Close())

	m.fill(int(bad.ordinal), int(r.index.entries[6].ordinal))
	live, _ := m.alive(rows)
	it = r.NewIter(NewDead(m.vector()))
	n = 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	require.NoError(t, it.Close())
	require.Len(t, live, n)
}

func TestStepsOverDeadRowsDoNotAllocate(t *testing.T) {
	rows := sequentialRows(2000)
	content, meta := buildTable(t, rows, 0, WriterOptions{})
	r := mustOpen(t, content, &meta, 64<<20)
	m := make(marks, len(rows))
	m.each(rand.New(rand.NewPCG(1, 1)), 0.4)
	dead := NewDead(m.vector())
	it := r.NewIter(dead)
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
		_, _, _, _ = r.Get(dst, row.Key, dead)
	}))
}

func BenchmarkNextOverDead(b *testing.B) {
	for _, share := range []float64{0.0001, 0.01, 0.1, 0.5} {
		b.Run(fmt.Sprint(share), func(b *testing.B) {
			r := benchReader(b)
			m := make(marks, benchRows)
			m.each(rand.New(rand.NewPCG(1, 1)), share)
			it := r.NewIter(NewDead(m.vector()))
			n := 0
			b.ResetTimer()
			for b.Loop() {
				if !it.Next() {
					it.First()
				}
				n += len(it.Key()) + len(it.Value())
			}
		})
	}
}
