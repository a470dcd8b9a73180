package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

func TestAFailedWriteOrFsyncPoisonsTheLogForGood(t *testing.T) {
	for _, c := range []struct {
		name string
		op   faultfs.Op
	}{{"the write fails", faultfs.OpWrite}, {"the fsync fails", faultfs.OpSync}} {
		t.Run(c.name, func(t *testing.T) {
			mem := newDir(t)
			fs := faultfs.New(mem)
			var files numbers
			var failures []error
			opts := quiet(&files, 64<<10)
			opts.OnFailure = func(err error) { failures = append(failures, err) }
			l, err := Start(fs, testDir, nil, 1, opts)
			require.NoError(t, err)
			put(t, l, 1, 100)
			require.NoError(t, l.Sync(1))
			put(t, l, 2, 100)
			require.NoError(t, l.Reserve(100, false)) // for record 3, promised before the failure

			fs.Inject(faultfs.Rule{Op: c.op}) // once: the next call would succeed
			err = l.Sync(2)
			require.ErrorIs(t, err, ErrPoisoned)
			require.ErrorIs(t, err, ErrIndeterminate)
			require.ErrorIs(t, err, syscall.EIO)
			require.Len(t, failures, 1)
			require.ErrorIs(t, failures[0], ErrPoisoned)

			mutations := mem.Mutations()
			for range 2 {
				require.ErrorIs(t, l.Sync(2), ErrIndeterminate)
				require.ErrorIs(t, l.Write(2), ErrIndeterminate)
			}
			l.Append(3, KindDrop, recordPayload(3, 100))
			for _, err := range []error{l.Sync(3), l.Write(3)} {
				require.ErrorIs(t, err, ErrPoisoned)
				require.NotErrorIs(t, err, ErrIndeterminate, "record 3 was never handed to the operating system")
			}
			require.ErrorIs(t, l.Reserve(100, true), ErrPoisoned)
			_, err = l.Trim(2)
			require.ErrorIs(t, err, ErrPoisoned)
			require.NoError(t, l.Sync(1), "record 1 was durable before and stays so")
			require.ErrorIs(t, l.Err(), ErrPoisoned)
			require.EqualValues(t, 1, l.Durable())
			require.ErrorIs(t, l.Close(), ErrPoisoned)
			require.Equal(t, mutations, mem.Mutations(), "a poisoned log must leave the disk alone")
			require.Len(t, failures, 1)
			require.Zero(t, mem.OpenFiles())

			lsns, _, err := replayed(mem.PowerLossStrict(), 1)
			require.NoError(t, err)
			require.Equal(t, upTo(1), lsns)
		})
	}
}

func TestAFailingFsyncFailsAllWhoWaitForIt(t *testing.T) {
	g := newGate()
	var fail sync.Once
	broken := errors.New("broken disk")
	fs := &hookFS{FS: newDir(t)}
	fs.onSync = func(name string) error {
		if g.shut.Load() {
			_ = g.pass(name)
			err := error(nil)
			fail.Do(func() { err = broken })
			return err
		}
		return nil
	}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	g.shut.Store(true)
	var wait sync.WaitGroup
	put(t, l, 1, 100)
	wait.Go(func() { require.ErrorIs(t, l.Sync(1), ErrIndeterminate) })
	<-g.entered
	put(t, l, 2, 100)
	require.NoError(t, l.Write(2))
	put(t, l, 3, 100)
	wait.Go(func() { require.ErrorIs(t, l.Sync(2), ErrIndeterminate) })
	wait.Go(func() {
		err := l.Sync(3)
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, ErrIndeterminate)
	})
	eventually(func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.syncers == 2 })
	close(g.release)
	wait.Wait()
	require.EqualValues(t, 0, l.Durable())
	require.ErrorIs(t, l.Write(2), ErrPoisoned, "what was acknowledged as written cannot be confirmed again")
	require.ErrorIs(t, l.Close(), broken)
}

// A rotation that comes while an fsync runs must wait for it: if that one fails,
// the rotation's own would succeed and hide it.
func TestARotationDoesNotFsyncBesideAnotherFsync(t *testing.T) {
	g := newGate()
	var syncs atomic.Int64
	broken := errors.New("broken disk")
	fs := &hookFS{FS: newDir(t)}
	fs.onSync = func(name string) error {
		if g.shut.Load() && syncs.Add(1) == 1 {
			_ = g.pass(name)
			return broken
		}
		return nil
	}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	for range 3 { // all segments are made before
		require.NoError(t, l.Reserve(2000, false))
	}
	g.shut.Store(true)
	l.Append(1, KindDrop, recordPayload(1, 2000))
	done := make(chan error)
	go func() { done <- l.Sync(1) }()
	<-g.entered
	l.Append(2, KindDrop, recordPayload(2, 2000))
	go func() { done <- l.Write(2) }()
	eventually(func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.writing.Load() })
	for range 1000 {
		runtime.Gosched()
	}
	close(g.release)
	require.ErrorIs(t, <-done, ErrIndeterminate)
	require.ErrorIs(t, <-done, ErrIndeterminate)
	require.EqualValues(t, 1, syncs.Load())
	require.EqualValues(t, 0, l.Durable())
	require.ErrorIs(t, l.Close(), broken)
}

func TestAnFsyncThatEndsAfterAFailureConfirmsNothing(t *testing.T) {
	g := newGate()
	broken := errors.New("broken disk")
	fs := &hookFS{FS: newDir(t), onSync: g.pass}
	fs.onWrite = func(string, int64, []byte) error {
		if g.shut.Load() && len(g.entered) == 0 && g.waiting.Load() {
			return broken
		}
		return nil
	}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	g.shut.Store(true)
	put(t, l, 1, 100)
	done := make(chan error)
	go func() { done <- l.Sync(1) }()
	<-g.entered
	g.waiting.Store(true)
	put(t, l, 2, 100)
	require.ErrorIs(t, l.Write(2), broken)
	close(g.release)
	require.ErrorIs(t, <-done, ErrIndeterminate)
	require.EqualValues(t, 0, l.Durable())
	require.ErrorIs(t, l.Close(), ErrPoisoned)
}

// Whatever call fails, once or for good: nothing that failed is called a
// success, nothing acknowledged is lost, and what the next process recovers
// survives a power loss after it, although the pages of a failed fsync are
// clean and its own fsyncs write nothing.
func TestEveryFailingCallIsSurvived(t *testing.T) {
	injections, poisoned, refused := 0, 0, 0
	for _, op := range []faultfs.Op{faultfs.OpWrite, faultfs.OpSync, faultfs.OpSyncDir, faultfs.OpCreate, faultfs.OpPreallocate, faultfs.OpRemove, faultfs.OpOpen, faultfs.OpRead, faultfs.OpList, faultfs.OpSize} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			for _, sticky := range []bool{false, true} {
				for nth := 1; ; nth++ {
					mem := newDir(t)
					fs := faultfs.New(mem)
					fs.Inject(faultfs.Rule{Op: op, Nth: nth, Sticky: sticky, Err: cause, ShortWrite: nth%2 == 0})
					s := &script{fs: fs}
					err := s.run(7, 3, 40)
					if fs.Injected() == 0 {
						require.NoError(t, err)
						break // fewer calls than nth
					}
					injections++
					what := fmt.Sprintf("%v %d fails with %v, sticky %v", op, nth, cause, sticky)
					if err == nil { // removing a file that nothing leads to, or making the second spare
						require.Contains(t, []faultfs.Op{faultfs.OpRemove, faultfs.OpCreate, faultfs.OpPreallocate, faultfs.OpSync}, op, what)
					} else {
						require.ErrorIs(t, err, cause, what)
					}
					if errors.Is(err, ErrPoisoned) {
						poisoned++
					}
					if errors.Is(err, errs.ErrNoSpace) {
						refused++
						require.Equal(t, syscall.ENOSPC, cause, what)
					}
					require.Zero(t, mem.OpenFiles(), what)
					floor := max(s.synced, s.written)
					last, err := verdict(mem.AfterKill(), s, floor)
					require.NoError(t, err, what)
					next := mem.AfterKill()
					_, err = recoverImage(next, s)
					require.NoError(t, err, what)
					for _, image := range []*crashfs.FS{next.PowerLossStrict(), next.PowerLoss(rand.New(rand.NewPCG(uint64(nth), 4)))} {
						after, err := verdict(image, s, floor)
						require.NoError(t, err, "%s, then recovery and a power loss", what)
						require.Equal(t, last, after, what)
					}
				}
			}
		}
	}
	t.Logf("%d injections, %d poisoned the log, %d refused", injections, poisoned, refused)
	require.NotZero(t, poisoned)
	require.NotZero(t, refused)
}

func TestAFailedFsyncOfTheDirectoryPoisons(t *testing.T) {
	mem := newDir(t)
	fs := faultfs.New(mem)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	fs.Inject(faultfs.Rule{Op: faultfs.OpSyncDir})
	for lsn := ids.LSN(1); err == nil; lsn++ {
		if err = l.Reserve(1000, false); err == nil {
			l.Append(lsn, KindDrop, recordPayload(lsn, 1000))
		}
	}
	require.ErrorIs(t, err, ErrPoisoned, "names of other files may have been part of what failed")
	require.ErrorIs(t, l.Close(), ErrPoisoned)
}
