package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

func small(fs *crashfs.FS) *engine.Options {
	return &engine.Options{FS: fs, Manual: true, SegmentBytes: 16 << 10, TableBytes: 8 << 10, BlockBytes: 512}
}

func TestAFailedSyncStopsWritesButNotReads(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Match: func(name string) bool { return strings.HasSuffix(name, ".wal") }, Err: syscall.EIO})
	err := f.Set([]byte("b"), []byte("2"))
	require.ErrorIs(t, err, engine.ErrIndeterminate)
	require.ErrorIs(t, err, engine.ErrPoisoned)
	require.ErrorIs(t, err, syscall.EIO)
	for _, err := range []error{
		f.Set([]byte("c"), nil), second(f.Fork("x")), f.Drop(), s.Sync(), s.Flush(), second(f.Snapshot("s")),
	} {
		require.ErrorIs(t, err, engine.ErrPoisoned)
	}
	v, err := f.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v))
	require.ErrorIs(t, s.Close(), engine.ErrPoisoned)

	// What was acknowledged is there; what was not may be.
	s = open(t, "/db", small(disk.PowerLossStrict()))
	f = fork(t, s, engine.MainFork)
	v, err = f.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v))
	require.NoError(t, f.Set([]byte("c"), []byte("3")))
}

func TestAFullDiskRefusesWritesUntilThereIsSpace(t *testing.T) {
	disk := crashfs.New()
	disk.SetCapacity(1 << 20)
	o := small(disk)
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	junk, err := f.Fork("junk")
	require.NoError(t, err)
	want := map[string]string{}
	var full error
	for i := 0; full == nil && i < 10_000; i++ {
		k, v := fmt.Sprintf("k%05d", i), fmt.Sprintf("%0100d", i)
		b := s.NewBatch()
		b.Set(f, []byte(k), []byte(v))
		b.Set(junk, []byte(k), []byte(strings.Repeat(v, 10)))
		if full = b.Commit(); full == nil {
			want[k] = v
		}
	}
	require.ErrorIs(t, full, engine.ErrNoSpace)
	require.NotErrorIs(t, full, engine.ErrPoisoned)
	require.NoError(t, same(f, want), "reads go on")
	require.NoError(t, junk.Drop(), "a drop still finds room in the log")
	disk.SetCapacity(2 << 20) // somebody removes something
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, f.Set([]byte("again"), []byte("x")), "service resumes")
	want["again"] = "x"
	require.NoError(t, same(f, want))
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}

func TestAFlushThatFindsTheDiskFullLosesNothing(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := small(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	want := map[string]string{}
	for i := range 500 {
		k, v := fmt.Sprintf("k%05d", i), fmt.Sprintf("%0100d", i)
		require.NoError(t, f.Set([]byte(k), []byte(v)))
		want[k] = v
	}
	for _, op := range []faultfs.Op{faultfs.OpCreate, faultfs.OpWrite, faultfs.OpSync} {
		faults.Inject(faultfs.Rule{Op: op, Match: isTable, Err: syscall.ENOSPC, Sticky: true})
		require.ErrorIs(t, s.Flush(), engine.ErrNoSpace)
		require.NoError(t, same(f, want))
		faults.Clear()
		require.NoError(t, s.Verify(), "the failed output is gone")
	}
	require.NoError(t, s.Flush())
	require.NoError(t, same(f, want))
	require.NoError(t, s.Close())
	s = open(t, "/db", small(disk.PowerLossStrict()))
	require.NoError(t, same(fork(t, s, engine.MainFork), want))
}

func TestAnOpenThatFindsTheDiskFullSaysSo(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.OpMkdir, faultfs.OpLock, faultfs.OpCreate, faultfs.OpPreallocate} {
		faults := faultfs.New(crashfs.New())
		faults.Inject(faultfs.Rule{Op: op, Err: syscall.ENOSPC, Sticky: true})
		_, err := engine.Open("/db", &engine.Options{FS: faults})
		require.ErrorIs(t, err, engine.ErrNoSpace, op.String())
		faults.Clear()
		require.NoError(t, open(t, "/db", &engine.Options{FS: faults}).Close())
	}
}

func TestADamagedTableHitsOnlyTheForksAboveIt(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	base := fork(t, s, engine.MainFork)
	require.NoError(t, base.Set([]byte("a"), []byte("base")))
	hit, err := base.Fork("hit")
	require.NoError(t, err)
	_, err = base.Fork("safe")
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	before := tableFiles(disk)
	require.NoError(t, hit.Set([]byte("b"), []byte("hit")))
	require.NoError(t, s.Flush())
	_, err = hit.Fork("below")
	require.NoError(t, err)
	_, err = hit.Snapshot("snap")
	require.NoError(t, err)
	require.NoError(t, s.Close())

	var file string
	for name := range tableFiles(disk) {
		if !before[name] {
			file = name
		}
	}
	require.NotEmpty(t, file)
	data, err := disk.ReadFile(file)
	require.NoError(t, err)
	data[20] ^= 0x40 // a byte of the first block
	require.NoError(t, disk.WriteFile(file, data))

	report, err := engine.Check("/db", engine.CheckOptions{FS: disk})
	require.NoError(t, err)
	require.False(t, report.OK())
	require.Len(t, report.Problems, 1)
	require.Equal(t, []string{"below", "hit", "@snap"}, report.Problems[0].Forks)

	s = open(t, "/db", small(disk))
	_, err = fork(t, s, "hit").Get([]byte("b"))
	var ce *engine.CorruptError
	require.ErrorAs(t, err, &ce)
	require.True(t, strings.HasSuffix(file, ce.File), "%s names %s", file, ce.File)
	require.GreaterOrEqual(t, ce.Offset, int64(0))
	require.Equal(t, []string{"below", "hit", "@snap"}, ce.Forks)
	require.ErrorIs(t, err, engine.ErrCorrupt)
	it, err := fork(t, s, "hit").NewIter(engine.Range{})
	require.NoError(t, err)
	for it.First(); it.Valid(); it.Next() {
	}
	require.ErrorIs(t, it.Close(), engine.ErrCorrupt, "a scan does not end early in silence")

	for _, name := range []string{engine.MainFork, "safe"} {
		v, err := fork(t, s, name).Get([]byte("a"))
		require.NoError(t, err)
		require.Equal(t, "base", string(v))
	}
}

func tableFiles(disk *crashfs.FS) map[string]bool {
	out := map[string]bool{}
	for _, name := range disk.Names() {
		if strings.HasSuffix(name, ".sst") {
			out[name] = true
		}
	}
	return out
}

func TestAnInterruptedCreationIsBegunAgain(t *testing.T) {
	for n := 1; ; n++ {
		disk := crashfs.New()
		disk.KillAt(n)
		s, err := engine.Open("/db", small(disk))
		if err == nil {
			_ = s.Close() // the kill comes later, here
			require.Greater(t, n, 5, "creation must take several steps to mean anything")
			return
		}
		require.True(t, errors.Is(err, crashfs.ErrKilled), "%v", err)
		for _, image := range []*crashfs.FS{disk.AfterKill(), disk.PowerLossStrict()} {
			s := open(t, "/db", small(image))
			require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("k"), []byte("v")))
			require.NoError(t, s.Close())
		}
	}
}
