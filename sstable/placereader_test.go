package sstable

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator/itertest"
)

func TestAPlaceKnowsTheReaderWhileItIsKept(t *testing.T) {
	fsys, metas := tablesOf(t, 1, itertest.Rows(60, 1))
	tables := NewTables(fsys, "db", NewCache(1<<20), 4)
	p := NewPlace(metas[0])
	first, err := tables.ReaderAt(p)
	require.NoError(t, err)
	require.Same(t, first, p.reader.Load())
	again, err := tables.ReaderAt(p)
	require.NoError(t, err)
	require.Same(t, first, again)

	tables.Forget(&metas[0])
	second, err := tables.ReaderAt(p)
	require.NoError(t, err)
	require.NotSame(t, first, second, "nobody keeps the first any more")

	require.NoError(t, tables.Close())
	_, err = tables.ReaderAt(p)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestAReaderThatFallsOutIsNotFoundByItsPlace(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := tablesOf(t, 3, rows)
	tables := NewTables(fsys, "db", NewCache(1<<20), 4)
	tables.LimitReaders(1) // one at a time
	places := make([]*Place, len(metas))
	for i := range places {
		places[i] = NewPlace(metas[i])
	}
	for round := range 3 {
		for i, p := range places {
			r, err := tables.ReaderAt(p)
			require.NoError(t, err)
			require.Equal(t, metas[i].ID, r.meta.ID)
			require.NoError(t, readAll(r, rows))
			for j, other := range places {
				require.Equal(t, j == i, other.reader.Load() != nil, "round %d: after table %d, table %d", round, i, j)
			}
		}
	}
	require.Equal(t, uint64(3*3-1), tables.ReaderStats().Evicted)
}

func TestALookupWithTheHashOfTheKeyIsALookup(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := tablesOf(t, 1, rows)
	r, err := NewTables(fsys, "db", NewCache(1<<20), 4).Reader(&metas[0])
	require.NoError(t, err)
	for _, row := range rows {
		got, kind, found, err := r.GetHashed([]byte("before "), row.Key, KeyHash(row.Key), nil)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, row.Kind, kind)
		require.Equal(t, "before "+string(row.Value), string(got))
		_, _, found, err = r.GetHashed(nil, append(row.Key, 'x'), KeyHash(append(row.Key, 'x')), nil)
		require.NoError(t, err)
		require.False(t, found)
	}
}
