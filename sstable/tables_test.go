package sstable

import (
	"errors"
	"io/fs"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
	"github.com/tinedb/tine/internal/vfs"
)

// storeOf makes n tables of the same rows in files of their own, 1 to n.
func storeOf(t *testing.T, n int, rows []iterator.Row) (*memFS, []Meta) {
	fsys := newMemFS()
	metas := make([]Meta, n)
	for i := range metas {
		content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 300})
		m.File = ids.FileNum(i + 1)
		fsys.put(m.File, content)
		metas[i] = m
	}
	return fsys, metas
}

func TestTablesKeepFewFilesOpen(t *testing.T) {
	rows := itertest.Rows(60, 1)
	for _, maxOpen := range []int{0, 1, 3} {
		fsys, metas := storeOf(t, 8, rows)
		tables := NewTables(fsys, "db", NewCache(1), maxOpen)
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for i := range 16 {
					r, err := tables.Reader(&metas[(g+i)%len(metas)])
					if err == nil {
						err = readAll(r, rows)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, fsys.mostOpen, max(maxOpen, 1))
		require.Positive(t, fsys.openNow())
		require.NoError(t, tables.Close())
		require.Zero(t, fsys.openNow())
	}
}

func TestLeastRecentlyUsedFileIsClosed(t *testing.T) {
	rows := itertest.Rows(10, 1)
	fsys, metas := storeOf(t, 3, rows)
	tables := NewTables(fsys, "db", NewCache(1), 2)
	for _, i := range []int{0, 1, 0, 2} {
		r, err := tables.Reader(&metas[i])
		require.NoError(t, err)
		require.NoError(t, readAll(r, rows))
	}
	isOpen := func(i int) int { return fsys.open[path.Join("db", ids.TableFileName(metas[i].File))] }
	require.Equal(t, []int{1, 0, 1}, []int{isOpen(0), isOpen(1), isOpen(2)})
}

func TestEachTableIsOpenedOnce(t *testing.T) {
	fsys, metas := storeOf(t, 1, itertest.Rows(60, 1))
	var reads atomic.Int64
	fsys.onRead = func() { reads.Add(1) }
	tables := NewTables(fsys, "db", NewCache(1<<20), 4)
	readers := make([]*Reader, 8)
	var wg sync.WaitGroup
	for g := range readers {
		wg.Go(func() { readers[g], _ = tables.Reader(&metas[0]) })
	}
	wg.Wait()
	for _, r := range readers {
		require.Same(t, readers[0], r)
	}
	require.Equal(t, int64(1), reads.Load(), "a small table is opened by one read")
}

func TestForgetDropsReaderAndBlocks(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 1, rows)
	cache := NewCache(1 << 20)
	tables := NewTables(fsys, "db", cache, 4)
	tables.Forget(&metas[0]) // of a table that is not open: nothing
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	require.NoError(t, readAll(r, rows))
	require.Positive(t, cache.Stats().Blocks)
	it := r.NewIter(nil)
	require.True(t, it.First())

	tables.Forget(&metas[0])
	require.Zero(t, cache.Stats().Blocks)
	for ok := true; ok; ok = it.Next() {
	}
	require.NoError(t, it.Close(), "an iterator that is held goes on")
	require.NoError(t, readAll(r, rows))
	require.Zero(t, cache.Stats().Blocks, "but fills the cache no more")

	again, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	require.NotSame(t, r, again)

	require.Equal(t, 1, fsys.openNow())
	tables.ForgetFile(1)
	require.Zero(t, fsys.openNow())
	tables.ForgetFile(1)
}

func TestForgetWhileTheTableIsBeingOpened(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 1, rows)
	cache := NewCache(1 << 20)
	tables := NewTables(fsys, "db", cache, 4)
	inRead, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.onRead = func() {
		once.Do(func() {
			close(inRead)
			<-goOn
		})
	}
	got := make(chan *Reader)
	go func() {
		r, err := tables.Reader(&metas[0])
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	<-inRead
	tables.Forget(&metas[0])
	close(goOn)
	r := <-got
	require.NoError(t, readAll(r, rows), "who asked before gets a reader that works")
	require.Zero(t, cache.Stats().Blocks, "and that caches nothing")
	require.Empty(t, tables.mu.open)
}

func TestClosedTables(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 3, rows)
	cache := NewCache(1 << 20)
	tables := NewTables(fsys, "db", cache, 4)
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	_, err = tables.Reader(&metas[1])
	require.NoError(t, err)
	require.NoError(t, readAll(r, rows))
	fsys.failClose = errors.New("close failed")
	require.ErrorIs(t, tables.Close(), fsys.failClose)
	require.Zero(t, fsys.openNow(), "all the same everything is closed")
	require.Zero(t, cache.Stats().Blocks)
	_, err = tables.Reader(&metas[0])
	require.ErrorIs(t, err, fs.ErrClosed)
	_, _, _, err = r.Get(nil, rows[0].Key, nil)
	require.ErrorIs(t, err, fs.ErrClosed)
	tables.Forget(&metas[0])
	tables.ForgetFile(1)
	require.NoError(t, tables.Close())
}

// Closing and forgetting wait for a read in flight.
func TestForgetFileWaitsForReads(t *testing.T) {
	rows := itertest.Rows(60, 1)
	fsys, metas := storeOf(t, 1, rows)
	tables := NewTables(fsys, "db", NewCache(1), 1)
	r, err := tables.Reader(&metas[0])
	require.NoError(t, err)
	inRead, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.onRead = func() {
		once.Do(func() {
			close(inRead)
			<-goOn
		})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		// memFile fails a read whose file has been closed.
		if _, _, _, err := r.Get(nil, rows[0].Key, nil); err != nil {
			t.Error(err)
		}
	})
	<-inRead
	var forgotten atomic.Bool
	wg.Go(func() {
		tables.ForgetFile(1)
		forgotten.Store(true)
	})
	waits := func() bool {
		tables.files.mu.Lock()
		defer tables.files.mu.Unlock()
		return tables.files.mu.waiting > 0
	}
	for !forgotten.Load() && !waits() {
		runtime.Gosched()
	}
	require.False(t, forgotten.Load())
	close(goOn)
	wg.Wait()
	require.Zero(t, fsys.openNow())
}

// The real file system, several readers and iterators, with the race detector.
func TestConcurrentReadersOnDisk(t *testing.T) {
	rows := itertest.Rows(400, 2)
	dir := t.TempDir()
	content, m := buildTable(t, rows, 100, WriterOptions{BlockBytes: 500})
	f, err := vfs.OS.Create(path.Join(dir, ids.TableFileName(m.File)))
	require.NoError(t, err)
	_, err = f.WriteAt(content, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, cacheBytes := range []int64{1, 5000, 1 << 20} {
		tables := NewTables(vfs.OS, dir, NewCache(cacheBytes), 1)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				r, err := tables.Reader(&m)
				if err == nil {
					err = readAll(r, rows)
				}
				if err == nil {
					err = r.Verify()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, tables.Close())
	}
}
