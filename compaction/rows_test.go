package compaction

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/sstable"
)

const dir = "store"

// newFS makes an empty store directory that a power loss does not take away.
func newFS(t testing.TB) *crashfs.FS {
	fsys := crashfs.New()
	require.NoError(t, fsys.MkdirAll(dir))
	require.NoError(t, fsys.SyncDir("."))
	return fsys
}

// numbered gives options whose files and tables are numbered from 1.
func numbered(tableBytes, fileBytes uint64, blockBytes int) OutputOptions {
	var file ids.FileNum
	var table ids.TableID
	return OutputOptions{
		TableBytes: tableBytes, FileBytes: fileBytes, BlockBytes: blockBytes,
		NextFile:  func() ids.FileNum { file++; return file },
		NextTable: func() ids.TableID { table++; return table },
	}
}

func set(key, value string) iterator.Row {
	return iterator.Row{Key: []byte(key), Kind: iterator.Set, Value: []byte(value)}
}

func tombstone(key string) iterator.Row {
	return iterator.Row{Key: []byte(key), Kind: iterator.Tombstone}
}

func iterators(inputs ...[]iterator.Row) []iterator.Iterator {
	var its []iterator.Iterator
	for _, rows := range inputs {
		its = append(its, iterator.NewSlice(rows))
	}
	return its
}

// readRun gives the rows of a run, after it has verified each table and that the
// run is sorted and disjoint.
func readRun(t *testing.T, fsys vfs.FS, metas []sstable.Meta) []iterator.Row {
	tables := sstable.NewTables(fsys, dir, sstable.NewCache(1), 4)
	var rows []iterator.Row
	for i := range metas {
		m := &metas[i]
		if i > 0 {
			require.Negative(t, bytes.Compare(metas[i-1].Largest, m.Smallest), "tables overlap")
		}
		r, err := tables.Reader(m)
		require.NoError(t, err)
		require.NoError(t, r.Verify())
		it := r.NewIter(nil)
		for ok := it.First(); ok; ok = it.Next() {
			row := iterator.Row{Key: bytes.Clone(it.Key()), Kind: it.Kind()}
			if len(it.Value()) > 0 {
				row.Value = bytes.Clone(it.Value())
			}
			rows = append(rows, row)
		}
		require.NoError(t, it.Close())
	}
	require.NoError(t, tables.Close())
	return rows
}
