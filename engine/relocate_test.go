package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// A pack is one file that holds the tables of main and of packForks forks, of which
// the last packKept stay.
const (
	packForks = 12
	packKept  = 3
	packRows  = 8
)

func packOptions(fs vfs.FS) *engine.Options {
	return &engine.Options{FS: fs, Manual: true, SegmentBytes: 16 << 10, TableBytes: 64 << 10, BlockBytes: 512}
}

// packValue does not compress.
func packValue(fork string, i int) []byte {
	var seed uint64
	for _, c := range []byte(fork) {
		seed = seed*131 + uint64(c)
	}
	r := rand.New(rand.NewPCG(uint64(i), seed))
	out := make([]byte, 100)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func packName(n int) string { return fmt.Sprintf("fork-%02d", n) }

// kept are the forks that stay.
func kept() []string {
	names := []string{engine.MainFork}
	for n := packForks - packKept; n < packForks; n++ {
		names = append(names, packName(n))
	}
	return names
}

// openPack makes a store with a pack, and drops the forks that do not stay. One that
// stays has deleted a row of main.
func openPack(t *testing.T, o *engine.Options) *engine.Store {
	s := open(t, "/db", o)
	write := func(f *engine.Fork) {
		for i := range packRows {
			require.NoError(t, f.Set(fmt.Appendf(nil, "%s/%d", f.Name(), i), packValue(f.Name(), i), engine.NoSync))
		}
	}
	base := fork(t, s, engine.MainFork)
	write(base)
	for n := range packForks {
		f, err := base.Fork(packName(n), engine.NoSync)
		require.NoError(t, err)
		write(f)
	}
	require.NoError(t, s.Flush())
	require.Equal(t, 1, s.Stats().Files)
	require.NoError(t, fork(t, s, packName(packForks-1)).Delete([]byte("main/3")))
	require.NoError(t, s.Flush())
	require.Equal(t, 1, s.Stats().Vectors, "the delete has left a mark")
	for n := range packForks - packKept {
		require.NoError(t, fork(t, s, packName(n)).Drop(engine.NoSync))
	}
	require.NoError(t, s.Sync())
	return s
}

// checkPack compares what the forks that stay hold.
func checkPack(s *engine.Store, names []string) error {
	for _, name := range names {
		f, err := s.Fork(name)
		if err != nil {
			return err
		}
		for _, from := range []string{engine.MainFork, name} {
			for i := range packRows {
				got, err := f.Get(fmt.Appendf(nil, "%s/%d", from, i))
				deleted := name == packName(packForks-1) && from == engine.MainFork && i == 3
				switch {
				case deleted && err == nil:
					return fmt.Errorf("fork %s: a deleted row is back", name)
				case !deleted && err != nil:
					return fmt.Errorf("fork %s: %w", name, err)
				case !deleted && !bytes.Equal(got, packValue(from, i)):
					return fmt.Errorf("fork %s: row %d of %s is another", name, i, from)
				}
			}
		}
	}
	return nil
}

func bytesOnDisk(t *testing.T, disk *crashfs.FS) (total uint64) {
	for name := range tableFiles(disk) {
		data, err := disk.ReadFile(name)
		require.NoError(t, err)
		total += uint64(len(data))
	}
	return total
}

func TestTheSpaceOfDroppedForksComesBackAndNothingIsRewritten(t *testing.T) {
	disk := crashfs.New()
	s := openPack(t, packOptions(disk))
	before := s.Stats()
	it, err := fork(t, s, engine.MainFork).NewIter(engine.Range{})
	require.NoError(t, err)
	require.True(t, it.First())
	files := tableFiles(disk)

	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
	after := s.Stats()
	require.Equal(t, before.BytesMerged, after.BytesMerged, "rows are not read")
	require.EqualValues(t, packKept+1, after.TablesRelocated)
	require.Equal(t, after.TableBytes, after.BytesRelocated)
	require.Equal(t, after.TableBytes, bytesOnDisk(t, disk), "also while an iterator is open from before")
	for name := range tableFiles(disk) {
		require.False(t, files[name], "%s is still there", name)
	}
	rows := 1
	for it.Next() {
		rows++
	}
	require.NoError(t, it.Close())
	require.Equal(t, packRows, rows)
	require.NoError(t, checkPack(s, kept()))
	require.Equal(t, 1, s.Stats().Vectors)

	require.NoError(t, s.Compact())
	require.Equal(t, after.TablesRelocated, s.Stats().TablesRelocated, "at rest nothing is moved")
	require.NoError(t, s.Close())
	report, err := engine.Check("/db", engine.CheckOptions{FS: disk, Level: engine.CheckDeep})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	s = open(t, "/db", packOptions(disk))
	require.NoError(t, checkPack(s, kept()))
	require.NoError(t, s.Verify())
}

func TestADamagedTableStaysWhereItIsAndTheOthersAreMoved(t *testing.T) {
	disk := crashfs.New()
	s := openPack(t, packOptions(disk))
	var name string
	for name = range tableFiles(disk) {
	}
	data, err := disk.ReadFile(name)
	require.NoError(t, err)
	broken := packName(packForks - 2)
	at := bytes.Index(data, packValue(broken, 4))
	require.Positive(t, at)
	data[at+7] ^= 1
	require.NoError(t, s.Close())
	require.NoError(t, disk.WriteFile(name, data))

	s = open(t, "/db", packOptions(disk))
	err = s.Compact()
	require.ErrorIs(t, err, engine.ErrCorrupt)
	require.ErrorContains(t, err, broken)
	require.NoError(t, s.Compact(), "it is said once")
	require.NoError(t, s.Verify())
	require.EqualValues(t, packKept, s.Stats().TablesRelocated)
	require.Equal(t, 2, s.Stats().Files)
	require.NoError(t, checkPack(s, []string{engine.MainFork, packName(packForks - 1), packName(packForks - 3)}))
	require.ErrorIs(t, checkPack(s, []string{broken}), engine.ErrCorrupt)
	require.NoError(t, fork(t, s, broken).Drop())
	require.NoError(t, s.Compact())
	require.Equal(t, s.Stats().TableBytes, bytesOnDisk(t, disk), "the file goes with the fork")
}

// Power is lost, or the process killed, at every call that a compaction makes while
// it moves tables and unlinks their old file.
func TestARelocationSurvivesACrashAtEveryCall(t *testing.T) {
	disk := crashfs.New()
	base := openPack(t, packOptions(disk))
	require.NoError(t, base.Close())
	moved, movedBeforeTheEnd := 0, 0
	for k := 1; ; k++ {
		image := disk.AfterKill()
		s, err := engine.Open("/db", packOptions(image))
		require.NoError(t, err)
		image.KillAt(k)
		_ = s.Compact()
		relocated := s.Stats().TablesRelocated
		_ = s.Close()
		done := !image.Killed()
		for i, crashed := range []*crashfs.FS{image.AfterKill(), image.PowerLossStrict(), image.PowerLossAll(), image.PowerLoss(rand.New(rand.NewPCG(uint64(k), 1)))} {
			again, err := engine.Open("/db", packOptions(crashed))
			require.NoError(t, err, "call %d, crash %d", k, i)
			require.NoError(t, checkPack(again, kept()), "call %d, crash %d", k, i)
			require.NoError(t, again.Verify())
			require.NoError(t, again.Compact())
			require.Equal(t, again.Stats().TableBytes, bytesOnDisk(t, crashed))
			require.NoError(t, checkPack(again, kept()), "call %d, crash %d", k, i)
			require.NoError(t, again.Close())
			report, err := engine.Check("/db", engine.CheckOptions{FS: crashed, Level: engine.CheckFull})
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			if relocated > 0 && again.Stats().TablesRelocated == 0 {
				moved++
			} else if relocated > 0 {
				movedBeforeTheEnd++ // and the crash took it back
			}
		}
		if done {
			break
		}
	}
	require.Positive(t, moved)
	require.Positive(t, movedBeforeTheEnd)
}

func TestARelocationThatFailsLosesNothingAndIsTriedAgain(t *testing.T) {
	failed := 0
	for nth := 1; ; nth++ {
		disk := crashfs.New()
		faults := faultfs.New(disk)
		o := packOptions(disk)
		o.FS = faults
		s := openPack(t, o)
		faults.Inject(faultfs.Rule{Match: isTable, Nth: nth, Err: syscall.ENOSPC})
		err := s.Compact()
		if faults.Injected() == 0 {
			require.NoError(t, err)
			break
		}
		failed++
		faults.Clear()
		require.NoError(t, checkPack(s, kept()))
		require.NoError(t, s.Compact())
		require.NoError(t, s.Verify())
		require.NoError(t, checkPack(s, kept()))
		require.NoError(t, s.Close())
		s = open(t, "/db", o) // a table that could not be read is let be until then
		require.NoError(t, s.Compact())
		require.Equal(t, s.Stats().TableBytes, bytesOnDisk(t, disk))
		require.NoError(t, s.Close())
	}
	require.Greater(t, failed, 5)
}

// Readers, iterators and jobs go on while forks come and go by packs.
func TestTablesMoveUnderReadersAndJobs(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 8
	}
	o := packOptions(crashfs.New())
	o.Manual, o.CacheBytes, o.MaxOpenFiles = false, 1, 2
	s := openPack(t, o)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for !stop.Load() {
				if err := checkPack(s, kept()[g:]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			f, err := s.Fork(packName(packForks - 1))
			if err != nil {
				t.Error(err)
				return
			}
			rows := 0
			scan, failed := f.Scan(engine.Range{})
			for range scan {
				rows++
			}
			if err := failed(); err != nil {
				t.Error(err)
				return
			}
			if want := 2*packRows - 1; rows != want {
				t.Errorf("a scan has %d rows, want %d", rows, want)
				return
			}
		}
	})
	main := fork(t, s, engine.MainFork)
	for round := range rounds {
		for n := range packForks {
			f, err := main.Fork(fmt.Sprintf("pack-%d-%d", round, n), engine.NoSync)
			require.NoError(t, err)
			for i := range packRows {
				require.NoError(t, f.Set(fmt.Appendf(nil, "x%d", i), packValue(strings.Repeat("x", n+1), i), engine.NoSync))
			}
		}
		require.NoError(t, s.Flush())
		for n := range packForks {
			if n != round%packForks {
				require.NoError(t, fork(t, s, fmt.Sprintf("pack-%d-%d", round, n)).Drop(engine.NoSync))
			}
		}
		if round%3 == 2 {
			require.NoError(t, s.Compact())
		}
	}
	stop.Store(true)
	wg.Wait()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	require.NoError(t, checkPack(s, kept()))
	require.Greater(t, s.Stats().TablesRelocated, uint64(rounds))
	for round := range rounds {
		n := round % packForks
		f := fork(t, s, fmt.Sprintf("pack-%d-%d", round, n))
		for i := range packRows {
			got, err := f.Get(fmt.Appendf(nil, "x%d", i))
			require.NoError(t, err)
			require.Equal(t, packValue(strings.Repeat("x", n+1), i), got)
		}
	}
}
