package sstable

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

// tablesOf makes n tables of the same rows, with ids and files 1 to n.
func tablesOf(t *testing.T, n int, rows []iterator.Row) (*memFS, []Meta) {
	fsys := newMemFS()
	metas := make([]Meta, n)
	for i := range metas {
		content, m := buildTableOf(t, ids.TableID(i+1), rows, 0, WriterOptions{BlockBytes: 300})
		m.File = ids.FileNum(i + 1)
		fsys.put(m.File, content)
		metas[i] = m
	}
	return fsys, metas
}

func TestReadersAreKeptWithinTheirBound(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := tablesOf(t, 20, rows)
	cache := NewCache(1 << 20)
	tables := NewTables(fsys, "db", cache, 4)
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	one := tables.ReaderStats().Bytes
	require.Equal(t, r.memoryBytes(), one)
	tables.LimitReaders(5*one + one/2)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range 100 {
				r, err := tables.Reader(&metas[rng.IntN(len(metas))])
				if err == nil {
					err = readAll(r, rows)
				}
				if err != nil {
					t.Error(err)
				}
				if s := tables.ReaderStats(); s.Bytes > 5*one+one/2 || s.Readers > 5 {
					t.Errorf("%d bytes in %d readers", s.Bytes, s.Readers)
				}
				if rng.IntN(10) == 0 {
					tables.Forget(&metas[rng.IntN(len(metas))])
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, tables.ReaderStats().Evicted)
	require.Len(t, tables.mu.open, tables.ReaderStats().Readers)
	for i := range metas {
		tables.Forget(&metas[i])
	}
	require.Equal(t, ReaderStats{Evicted: tables.ReaderStats().Evicted}, tables.ReaderStats())
	require.Zero(t, cache.Stats().Blocks, "blocks go with their reader")
	require.Nil(t, tables.mu.kept.hand)
	require.NoError(t, tables.Close())
}

// What was used since the hand came by is spared, whether by asking for the reader or
// by reading with one that is held.
func TestReadersInUseAreKept(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := tablesOf(t, 12, rows)
	tables := NewTables(fsys, "db", NewCache(1<<20), 4)
	ask := func(i int) *Reader {
		r, err := tables.Reader(&metas[i])
		require.NoError(t, err)
		return r
	}
	asked, held := ask(0), ask(1)
	tables.LimitReaders(4*tables.ReaderStats().Bytes/2 + 100)
	for i := 2; i < len(metas); i++ {
		ask(0)
		require.NoError(t, readAll(held, rows))
		r := ask(i)
		r.used.Store(false) // it was asked for once
		require.Same(t, asked, ask(0), "after %d others", i-1)
		require.Same(t, held, tables.mu.open[2].r)
	}
	require.Equal(t, 4, tables.ReaderStats().Readers)
	require.EqualValues(t, 8, tables.ReaderStats().Evicted)
}

// Nobody waits for a reader in use, and who has it goes on.
func TestAReaderThatIsNoLongerKeptGoesOn(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := tablesOf(t, 2, rows)
	tables := NewTables(fsys, "db", NewCache(1<<20), 4)
	tables.LimitReaders(1)
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	it := r.NewIter(nil)
	require.True(t, it.First())
	require.Equal(t, 1, tables.ReaderStats().Readers, "the last one is kept, whatever it takes")
	other, err := tables.Reader(&metas[1])
	require.NoError(t, err)
	require.Equal(t, ReaderStats{Readers: 1, Bytes: other.memoryBytes(), Evicted: 1}, tables.ReaderStats())
	seen := 0
	for ok := true; ok; ok = it.Next() {
		seen++
	}
	require.NoError(t, it.Close())
	require.Equal(t, len(rows), seen)
	require.NoError(t, readAll(r, rows))
	again, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	require.NotSame(t, r, again)
	tables.LimitReaders(0)
	require.NoError(t, readAll(again, rows))
	require.NoError(t, tables.Close())
	require.Zero(t, tables.ReaderStats().Readers)
}
