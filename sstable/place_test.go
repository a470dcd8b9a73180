package sstable

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

func TestWhoeverHoldsATableReadsTheCopyOnceItIsMoved(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 2, rows)
	cache := NewCache(1 << 20)
	tables := NewTables(fsys, "db", cache, 4)
	p := NewPlace(metas[0])
	r, err := tables.ReaderAt(p)
	require.NoError(t, err)
	it := r.NewUncachedIter(nil)
	require.True(t, it.First())

	p.Move(metas[1])
	tables.ForgetFile(metas[0].File)
	fsys.remove(metas[0].File)
	n := 1
	for it.Next() {
		n++
	}
	require.NoError(t, it.Close(), "an iterator from before the move")
	require.Equal(t, len(rows), n)
	require.NoError(t, readAll(r, rows), "a reader from before the move")
	again, err := tables.ReaderAt(p)
	require.NoError(t, err)
	require.Same(t, r, again, "filter and index are not read again")
	blocks := cache.Stats().Blocks
	require.Positive(t, blocks)
	tables.Forget(&metas[1])
	require.Zero(t, cache.Stats().Blocks)
}

func TestAMoveDuringAReadIsFollowed(t *testing.T) {
	rows := itertest.Rows(60, 1)
	for _, opened := range []bool{false, true} {
		fsys, metas := storeOf(t, 2, rows)
		tables := NewTables(fsys, "db", NewCache(1), 1)
		p := NewPlace(metas[0])
		if opened {
			_, err := tables.ReaderAt(p)
			require.NoError(t, err)
			tables.ForgetFile(metas[0].File)
		}
		// The file goes and the table is moved after the reader has asked where it is.
		var once sync.Once
		fsys.onOpen = func() {
			once.Do(func() {
				p.Move(metas[1])
				fsys.remove(metas[0].File)
			})
		}
		r, err := tables.ReaderAt(p)
		require.NoError(t, err)
		require.NoError(t, readAll(r, rows), "opened before: %v", opened)
	}
}

func TestDamageIsBlamedOnTheFileWhereTheTableLies(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 2, rows)
	tables := NewTables(fsys, "db", NewCache(1), 4)
	p := NewPlace(metas[0])
	r, err := tables.ReaderAt(p)
	require.NoError(t, err)
	p.Move(metas[1])
	fsys.flip(metas[1].File, 40)
	_, _, _, err = r.Get(nil, rows[0].Key, nil) // byte 40 is in the first block
	var ce *errs.CorruptError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, ids.TableFileName(metas[1].File), ce.File)
}

func TestOnlyTheSameTableIsMoved(t *testing.T) {
	_, metas := storeOf(t, 2, itertest.Rows(60, 1))
	for name, change := range map[string]func(*Meta){
		"another table":     func(m *Meta) { m.ID++ },
		"another length":    func(m *Meta) { m.Length++ },
		"another row count": func(m *Meta) { m.Rows++ },
		"the same file":     func(m *Meta) { m.File = metas[0].File },
	} {
		to := metas[1]
		change(&to)
		require.Panics(t, func() { NewPlace(metas[0]).Move(to) }, name)
	}
	p := NewPlace(metas[0])
	p.Move(metas[1])
	require.Equal(t, metas[1], *p.Meta())
	require.Panics(t, func() { p.Set(metas[0]) })
}

func TestWholeGivesTheBytesOfAnUndamagedTableOnly(t *testing.T) {
	var rows []iterator.Row
	for _, n := range []int{1, 60} {
		rows = itertest.Rows(n, 1)
		content, m := buildTable(t, rows, 100, WriterOptions{BlockBytes: 300})
		fsys := newMemFS()
		fsys.put(m.File, content)
		tables := NewTables(fsys, "db", NewCache(1), 1)
		whole, err := tables.Whole(&m, nil)
		require.NoError(t, err)
		require.Equal(t, content[m.Offset:m.Offset+m.Length], whole)
		again, err := tables.Whole(&m, whole)
		require.NoError(t, err)
		require.Same(t, &whole[0], &again[0], "the buffer is used again")

		for at := m.Offset; at < m.Offset+m.Length; at++ {
			fsys.flip(m.File, int64(at))
			_, err := tables.Whole(&m, nil)
			require.ErrorIs(t, err, errs.ErrCorrupt, "at %d", at)
			fsys.flip(m.File, int64(at))
		}
		other := m
		other.ID++
		_, err = tables.Whole(&other, nil)
		require.ErrorIs(t, err, errs.ErrCorrupt, "another table")
		tables.ForgetFile(m.File)
		fsys.put(m.File, content[:len(content)-1])
		_, err = tables.Whole(&m, nil)
		require.ErrorIs(t, err, errs.ErrCorrupt, "the file is short")
		tables.ForgetFile(m.File)
		fsys.remove(m.File)
		_, err = tables.Whole(&m, nil)
		require.ErrorIs(t, err, errs.ErrCorrupt, "the file is missing")
	}
}
