package compaction

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
	"github.com/tinedb/tine/sstable"
)

// writeRun adds n rows as one run.
func writeRun(out *Output, name string, n, valueBytes int) ([]iterator.Row, []sstable.Meta, error) {
	var rows []iterator.Row
	for i := range n {
		row := set(fmt.Sprintf("%s%06d", name, i), strings.Repeat(name[:1], valueBytes))
		rows = append(rows, row)
		if err := out.Add(row.Key, row.Kind, row.Value); err != nil {
			return nil, nil, err
		}
	}
	run, err := out.EndRun()
	return rows, run, err
}

func TestARunIsCutIntoTablesAndTheseIntoFiles(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(2000, 5000, 256))
	rows, run, err := writeRun(out, "k", 500, 50)
	require.NoError(t, err)
	require.NoError(t, out.Sync())
	require.Equal(t, rows, readRun(t, fsys, run))
	var sizes int64
	for _, num := range out.Files() {
		size, err := fsys.Size(dir + "/" + ids.TableFileName(num))
		require.NoError(t, err)
		sizes += size
	}
	require.Equal(t, uint64(sizes), out.Bytes())

	require.Greater(t, len(run), 9, "tables of about 2000 bytes")
	perFile := map[ids.FileNum]int{}
	for _, m := range run {
		perFile[m.File]++
	}
	for _, m := range run[:len(run)-1] { // the last has what is left
		require.InDelta(t, 2000, m.Length, 700)
	}
	require.Equal(t, len(out.Files()), len(perFile))
	for _, num := range out.Files()[:len(out.Files())-1] {
		require.GreaterOrEqual(t, perFile[num], 2, "file %d", num)
		require.LessOrEqual(t, perFile[num], 4, "file %d", num)
	}
}

func TestManySmallRunsShareAFile(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(0, 0, 0))
	var runs [][]sstable.Meta
	var want [][]iterator.Row
	for i := range 20 {
		rows, run, err := writeRun(out, fmt.Sprintf("run%02d/", i), i%3, 5)
		require.NoError(t, err)
		require.Equal(t, i%3 == 0, run == nil, "a run without rows has no tables")
		runs, want = append(runs, run), append(want, rows)
	}
	require.NoError(t, out.Sync())
	require.Equal(t, []ids.FileNum{1}, out.Files())
	for i := range runs {
		require.Equal(t, want[i], readRun(t, fsys, runs[i]))
	}
	size, err := fsys.Size(dir + "/" + ids.TableFileName(1))
	require.NoError(t, err)
	require.Equal(t, uint64(size), out.Bytes())
}

func TestValuesLargerThanTheBufferAreWritten(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(0, 0, 0))
	value := make([]byte, 3*writeBytes/2)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(value) // so that it does not compress
	rows := []iterator.Row{set("a", "small"), set("b", string(value)), set("c", "small"), set("d", string(value))}
	for _, row := range rows {
		require.NoError(t, out.Add(row.Key, row.Kind, row.Value))
		require.LessOrEqual(t, cap(out.buf), 3*writeBytes/2-1, "it goes past the buffer")
	}
	run, err := out.EndRun()
	require.NoError(t, err)
	require.NoError(t, out.Sync())
	require.Equal(t, rows, readRun(t, fsys, run))
}

func TestWritesAreLarge(t *testing.T) {
	fsys := faultfs.New(newFS(t))
	out := NewOutput(fsys, dir, numbered(0, 0, 0))
	_, _, err := writeRun(out, "k", 30_000, 100)
	require.NoError(t, err)
	require.NoError(t, out.Sync())
	require.LessOrEqual(t, fsys.Calls(faultfs.OpWrite), int(out.Bytes()/(writeBytes/2))+1)
	require.Equal(t, 1, fsys.Calls(faultfs.OpSyncDir))
	require.Equal(t, len(out.Files()), fsys.Calls(faultfs.OpSync))
}

func TestAtMostOneFileIsOpenHoweverManyAreWritten(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(500, 500, 100))
	for i := range 2000 {
		row := set(fmt.Sprintf("%06d", i), "value")
		require.NoError(t, out.Add(row.Key, row.Kind, row.Value))
		require.LessOrEqual(t, fsys.OpenFiles(), 1)
	}
	require.Greater(t, len(out.Files()), 20)
	require.NoError(t, out.Discard())
	require.Empty(t, fsys.Names())
	require.Zero(t, fsys.OpenFiles())
	require.Zero(t, out.Bytes())
}

func TestWhatIsSyncedSurvivesPowerLoss(t *testing.T) {
	for seed := range uint64(50) {
		fsys := newFS(t)
		out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
		first, firstRun, err := writeRun(out, "a", 60, 40)
		require.NoError(t, err)
		second, secondRun, err := writeRun(out, "b", 70, 40)
		require.NoError(t, err)
		require.NoError(t, out.Sync())
		image := fsys.PowerLoss(rand.New(rand.NewPCG(seed, 0)))
		require.Equal(t, first, readRun(t, image, firstRun))
		require.Equal(t, second, readRun(t, image, secondRun))
		require.NoError(t, out.Sync(), "again is nothing")
		require.NoError(t, out.Close())
		require.NoError(t, out.Close())
		require.Zero(t, fsys.OpenFiles())
	}
}

func TestDiscardAfterSyncRemovesTheFiles(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
	_, _, err := writeRun(out, "a", 60, 40)
	require.NoError(t, err)
	require.NoError(t, out.Sync())
	require.NotEmpty(t, fsys.Names())
	require.NoError(t, out.Discard())
	require.Empty(t, fsys.Names())
	require.Empty(t, out.Files())
	require.NoError(t, out.Discard(), "again is nothing")
}

// job is what an engine does with an output: two runs, durable or not at all.
func job(out *Output) error {
	for _, name := range []string{"a", "b"} {
		if _, _, err := writeRun(out, name, 60, 40); err != nil {
			return err
		}
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return out.Close()
}

// Every call fails once, and once for good: the job fails, says so with the
// cause, goes on failing, and leaves nothing behind.
func TestEveryFailureSurfacesAndLeavesNothing(t *testing.T) {
	injected := 0
	for _, sticky := range []bool{false, true} {
		for nth := 1; ; nth++ {
			inner := newFS(t)
			fsys := faultfs.New(inner)
			fsys.Inject(faultfs.Rule{Nth: nth, Sticky: sticky})
			out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
			err := job(out)
			if fsys.Injected() == 0 {
				require.NoError(t, err)
				break
			}
			injected++
			require.ErrorIs(t, err, syscall.EIO)
			_, err = out.EndRun()
			require.ErrorIs(t, err, syscall.EIO, "the error is sticky")
			require.ErrorIs(t, out.Sync(), syscall.EIO, "a failed sync is not tried again")
			fsys.Clear()
			require.NoError(t, out.Discard())
			require.Empty(t, inner.Names())
			require.Zero(t, inner.OpenFiles())
		}
	}
	require.Greater(t, injected, 15)
}

func TestAFileThatCannotBeRemovedCanBeDiscardedAgain(t *testing.T) {
	inner := newFS(t)
	fsys := faultfs.New(inner)
	out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
	require.NoError(t, job(out))
	files := len(out.Files())
	require.Greater(t, files, 2)
	fsys.Inject(faultfs.Rule{Op: faultfs.OpRemove, Nth: 2})
	require.ErrorIs(t, out.Discard(), syscall.EIO)
	require.Equal(t, []ids.FileNum{2}, out.Files())
	require.Len(t, inner.Names(), 1)
	require.NoError(t, out.Discard())
	require.Empty(t, inner.Names())
}

func TestAFullDiskIsRecognisedAndGivesItsSpaceBack(t *testing.T) {
	fsys := newFS(t)
	for capacity := int64(100); ; capacity += 1000 {
		fsys.SetCapacity(capacity)
		out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
		err := job(out)
		if err == nil {
			require.Greater(t, capacity, int64(2000))
			break
		}
		require.True(t, errs.IsNoSpace(err), "%v", err)
		require.NoError(t, out.Discard())
		require.Empty(t, fsys.Names())
	}
}

// A process killed at any call leaves only files of the numbers it was given.
func TestAKillLeavesOnlyOrphansOfItsOwnNumbers(t *testing.T) {
	for nth := 1; ; nth++ {
		fsys := newFS(t)
		fsys.KillAt(nth)
		out := NewOutput(fsys, dir, numbered(1000, 2500, 200))
		if err := job(out); err == nil {
			require.Greater(t, nth, 8)
			return
		} else {
			require.ErrorIs(t, err, crashfs.ErrKilled)
		}
		known := map[string]bool{}
		for _, num := range append(out.Files(), ids.FileNum(len(out.Files())+1)) {
			known[dir+"/"+ids.TableFileName(num)] = true
		}
		for _, name := range fsys.AfterKill().Names() {
			require.True(t, known[name], name)
		}
	}
}

func TestARowThatATableRefusesEndsTheOutput(t *testing.T) {
	fsys := newFS(t)
	out := NewOutput(fsys, dir, numbered(0, 0, 0))
	require.NoError(t, out.Add([]byte("b"), iterator.Set, nil))
	require.ErrorContains(t, out.Add([]byte("a"), iterator.Set, nil), "does not come after")
	_, err := out.EndRun()
	require.ErrorContains(t, err, "does not come after")
	require.NoError(t, out.Discard())
	require.Empty(t, fsys.Names())
}

func TestMisuseOfAnOutputIsCaught(t *testing.T) {
	out := NewOutput(newFS(t), dir, numbered(0, 0, 0))
	require.NoError(t, out.Add([]byte("a"), iterator.Set, nil))
	requireViolation(t, "in the middle of a run", func() { _ = out.Sync() })
	_, err := out.EndRun()
	require.NoError(t, err)
	require.NoError(t, out.Sync())
	requireViolation(t, "that is synced", func() { _ = out.Add([]byte("b"), iterator.Set, nil) })
	requireViolation(t, "needs numbers", func() { NewOutput(newFS(t), dir, OutputOptions{}) })
}

func requireViolation(t *testing.T, text string, f func()) {
	defer func() {
		broken, _ := recover().(invariant.Violation)
		require.Contains(t, string(broken), text)
	}()
	f()
}

// discardFS takes writes and forgets them.
type discardFS struct{ vfs.FS }

type discardFile struct{ vfs.File }

func (discardFS) Create(string) (vfs.File, error)          { return discardFile{}, nil }
func (discardFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discardFile) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (discardFile) Sync() error                            { return nil }
func (discardFile) Close() error                           { return nil }
