package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// Each test here stands for a bug that a review found.

func isLog(name string) bool   { return strings.HasSuffix(name, ".wal") }
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// powerLossInEveryOpen opens base once for each mutating call of an open, loses
// power there, and opens what is left.
func powerLossInEveryOpen(t *testing.T, base *crashfs.FS) {
	for k := 1; ; k++ {
		image := base.AfterKill()
		image.KillAt(k)
		if s, err := engine.Open("/db", small(image)); err == nil {
			_ = s.Close()
		}
		if !image.Killed() {
			require.Greater(t, k, 10)
			return
		}
		s, err := engine.Open("/db", small(image.PowerLossStrict()))
		require.NoError(t, err, "power lost at call %d of an open", k)
		v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
		require.NoError(t, err)
		require.Equal(t, "1", string(v))
		require.NoError(t, s.Close())
	}
}

// The manifest of an open must not hold what only an unproven tail of the log
// says: a sync that failed in an earlier process cannot be made good by a later one
// that succeeds.
func TestAnOpenAfterAFailedSyncSurvivesPowerLoss(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Match: isLog, Err: syscall.EIO})
	require.ErrorIs(t, f.Set([]byte("b"), []byte("2")), engine.ErrIndeterminate)
	_ = s.Close()
	powerLossInEveryOpen(t, disk.AfterKill())
}

func TestAnOpenAfterAnOpenThatCouldNotSyncSurvivesPowerLoss(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	require.NoError(t, f.Set([]byte("b"), []byte("2"), engine.NoSync))
	killed := disk.AfterKill()
	faults := faultfs.New(killed)
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Match: isLog, Err: syscall.EIO})
	o := small(disk)
	o.FS = faults
	_, err := engine.Open("/db", o)
	require.ErrorIs(t, err, syscall.EIO)
	powerLossInEveryOpen(t, killed)
}

// A failed sync of the directory is believed by nobody, whoever asked for it.
func TestAFailedSyncOfTheDirectoryStopsWrites(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	faults.Inject(faultfs.Rule{Op: faultfs.OpSyncDir, Err: syscall.EIO}) // once
	require.ErrorIs(t, s.Flush(), syscall.EIO)
	err := f.Set([]byte("b"), []byte("2"))
	require.ErrorIs(t, err, engine.ErrPoisoned)
	require.ErrorIs(t, s.Flush(), engine.ErrPoisoned)
	v, err := f.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v))
}

// One manifest transaction names the first and last key of every table in it.
func TestAFlushOfManyForksWithLongKeysFitsTheManifest(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", &engine.Options{FS: disk, Manual: true})
	f := fork(t, s, engine.MainFork)
	for i := range 600 {
		c, err := f.Fork(fmt.Sprintf("f%d", i), engine.NoSync)
		require.NoError(t, err)
		require.NoError(t, c.Set(fmt.Appendf(bytes.Repeat([]byte{'k'}, 65000), "%d", i), []byte("v"), engine.NoSync))
	}
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	s = open(t, "/db", &engine.Options{FS: disk, Manual: true})
	require.Equal(t, 601, s.Stats().Forks)
}

func TestRecoveredMemtablesAreCounted(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	for i := range 1000 {
		require.NoError(t, f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 100), engine.NoSync))
	}
	before := s.Stats().MemtableBytes
	require.NoError(t, s.Close())
	s = open(t, "/db", small(disk))
	require.InEpsilon(t, before, s.Stats().MemtableBytes, 0.1, "a tree that is built at once is a little smaller")
	require.NoError(t, s.Flush())
	require.Zero(t, s.Stats().MemtableBytes)
}

// Forks with frozen memory in a row are being consolidated while Flush runs.
func TestAFlushLeavesNothingInMemory(t *testing.T) {
	for range 5 {
		s := open(t, "/db", &engine.Options{FS: crashfs.New(), MemtableBytes: 1 << 30})
		f := fork(t, s, engine.MainFork)
		for g := range 8 {
			b := s.NewBatch()
			for i := range 5000 {
				b.Set(f, fmt.Appendf(nil, "%06d", i*8+g), []byte("v"))
			}
			require.NoError(t, b.Commit(engine.NoSync))
			_, err := f.Fork(fmt.Sprint(g), engine.NoSync)
			require.NoError(t, err)
		}
		require.NoError(t, s.Flush())
		require.Zero(t, s.Stats().MemoryNodes)
		require.NoError(t, s.Close())
	}
}

// Flush, Compact and Settle come back although others go on forking.
func TestWaitingEndsUnderTraffic(t *testing.T) {
	s := open(t, "/db", &engine.Options{FS: crashfs.New(), MemtableBytes: 256 << 10})
	base := fork(t, s, engine.MainFork)
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for w := range 3 {
		traffic.Add(1)
		go func() {
			defer traffic.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				f, err := base.Fork(fmt.Sprintf("w%d/%d", w, i), engine.NoSync)
				if err != nil || f.Set([]byte("k"), []byte("v"), engine.NoSync) != nil || i%16 != 0 && f.Drop(engine.NoSync) != nil {
					t.Error("traffic failed")
					return
				}
			}
		}()
	}
	require.NoError(t, s.Flush())
	require.NoError(t, s.Settle())
	require.NoError(t, s.Compact())
	close(stop)
	traffic.Wait()
}

// A file of which little is alive is emptied also if its dead tables died before the
// store was opened.
func TestSparseFilesAreEmptiedAfterAReopen(t *testing.T) {
	disk := crashfs.New()
	o := &engine.Options{FS: disk, Manual: true}
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	for g := range 50 {
		c, err := f.Fork(fmt.Sprint(g), engine.NoSync)
		require.NoError(t, err)
		for i := range 50 {
			require.NoError(t, c.Set(fmt.Append(nil, i), fmt.Append(nil, strings.Repeat(fmt.Sprint(i*g*7919), 20)), engine.NoSync))
		}
	}
	require.NoError(t, s.Flush())
	require.Equal(t, 1, s.Stats().Files, "the tables share a file")
	for g := range 49 {
		require.NoError(t, fork(t, s, fmt.Sprint(g)).Drop(engine.NoSync))
	}
	require.NoError(t, s.Close())
	s = open(t, "/db", o)
	require.NoError(t, s.Compact())
	var onDisk uint64
	for name := range tableFiles(disk) {
		data, err := disk.ReadFile(name)
		require.NoError(t, err)
		onDisk += uint64(len(data))
	}
	require.Equal(t, s.Stats().TableBytes, onDisk)
}

func TestAFailedTrimIsTriedAgain(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	for i := range 1000 {
		require.NoError(t, f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 100), engine.NoSync))
	}
	faults.Inject(faultfs.Rule{Op: faultfs.OpRemove, Match: isLog, Err: syscall.EIO})
	require.ErrorIs(t, s.Flush(), syscall.EIO)
	require.Greater(t, s.Stats().WALBytes, uint64(100<<10))
	require.NoError(t, s.Flush())
	require.Less(t, s.Stats().WALBytes, uint64(20<<10))
}

// A job that fails removes its files; if that fails too, they are removed later.
func TestFilesOfAFailedJobGoInTheEnd(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("a"), []byte("1")))
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Match: isTable, Err: syscall.EIO})
	faults.Inject(faultfs.Rule{Op: faultfs.OpRemove, Match: isTable, Err: syscall.EIO})
	require.ErrorIs(t, s.Flush(), syscall.EIO)
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
}

func TestAScanThatPanicsClosesItsIterator(t *testing.T) {
	s := open(t, "/db", small(crashfs.New()))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	require.Panics(t, func() {
		rows, _ := f.Scan(engine.Range{})
		for range rows {
			panic("the caller's")
		}
	})
	require.Zero(t, s.Stats().OpenIterators)
}

// countingFS counts the table files that are made.
type countingFS struct {
	vfs.FS
	mu   sync.Mutex
	made int
	fail error
}

func (c *countingFS) Create(name string) (vfs.File, error) {
	if isTable(name) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.made++
		if c.fail != nil {
			return nil, c.fail
		}
	}
	return c.FS.Create(name)
}

// A job that fails does not wake itself: it is tried again after a while, and a
// writer that would have to wait for it is told why.
func TestAFailingFlushIsNotTriedWithoutPause(t *testing.T) {
	count := &countingFS{FS: crashfs.New(), fail: syscall.EMFILE}
	s := open(t, "/db", &engine.Options{FS: count, MemtableBytes: 32 << 10, SegmentBytes: 64 << 10})
	f := fork(t, s, engine.MainFork)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 100_000)
		err = f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 100), engine.NoSync)
	}
	require.ErrorIs(t, err, syscall.EMFILE)
	for range 2000 {
		require.ErrorIs(t, f.Set([]byte("k"), nil, engine.NoSync), syscall.EMFILE)
	}
	count.mu.Lock()
	require.Less(t, count.made, 100)
	count.fail = nil
	count.mu.Unlock()
	require.NoError(t, s.Flush())
	require.NoError(t, f.Set([]byte("k"), nil, engine.NoSync))
}

// A tombstone above a table that cannot be read stays a row; the flush goes on, for
// this fork and for all others.
func TestAnUnreadableTableDoesNotKeepForksFromFlushing(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	for name := range tableFiles(disk) {
		data, err := disk.ReadFile(name)
		require.NoError(t, err)
		data[len(data)-1] ^= 1 // the footer
		require.NoError(t, disk.WriteFile(name, data))
	}
	s = open(t, "/db", small(disk))
	require.NoError(t, fork(t, s, engine.MainFork).Delete([]byte("a")))
	require.NoError(t, s.Flush())
	_, err := fork(t, s, engine.MainFork).Get([]byte("a"))
	require.ErrorIs(t, err, engine.ErrNotFound)
}
