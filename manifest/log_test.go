package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

func newDisk(t *testing.T) *crashfs.FS {
	disk := crashfs.New()
	require.NoError(t, disk.MkdirAll(testDir))
	require.NoError(t, disk.SyncDir("."))
	return disk
}

// appendSome appends n transactions of the workload.
func appendSome(l *Log, w *workload, n int) Position {
	for range n {
		l.Append(w.next())
	}
	return w.last
}

func requireLoads(t *testing.T, fsys vfs.FS, want *State) Info {
	t.Helper()
	state, info, err := Load(fsys, testDir)
	require.NoError(t, err)
	require.Equal(t, fingerprint(want), fingerprint(state))
	return info
}

func TestLoadGivesWhatWasAppended(t *testing.T) {
	disk, work := newDisk(t), newWorkload(1)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(7), WaitDurable: wal.sync})
	require.NoError(t, err)
	require.Equal(t, ids.FileNum(7), log.FileNum())
	requireLoads(t, disk, work.model)

	p := appendSome(log, work, 20)
	require.Equal(t, Position(20), p)
	require.Equal(t, p, log.Last())
	require.Zero(t, log.Durable())
	require.NoError(t, log.Sync(p-5))
	require.Equal(t, p, log.Durable(), "a sync takes all that is pending")
	require.Equal(t, work.model.Counters, log.Counters())
	log.View(func(s *State) { require.Equal(t, fingerprint(work.model), fingerprint(s)) })

	info := requireLoads(t, disk.PowerLossStrict(), work.model)
	require.Equal(t, Info{File: 7, Name: "MANIFEST-000007", Bytes: info.Bytes, BaseBytes: info.BaseBytes, Transactions: 20, Forgotten: info.Forgotten, TornOffset: -1}, info)
	require.NoError(t, log.Close())
	require.NoError(t, log.Close())
	require.ErrorIs(t, log.Rewrite(), ErrClosed)
	require.NoError(t, log.Sync(p), "what is durable stays durable")
	require.ErrorIs(t, log.Sync(appendSome(log, work, 1)), ErrClosed)
	noOpenFiles(t, disk)
}

func TestEmptyTransactionTakesNoPlace(t *testing.T) {
	disk, work := newDisk(t), newWorkload(1)
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	require.Zero(t, log.Append(&Transaction{}, 5))
	calls := disk.Mutations()
	require.NoError(t, log.Sync(0))
	require.Equal(t, calls, disk.Mutations())
	require.NoError(t, log.Close())
}

// TestWriteAheadLogIsDurableBeforeAnyByte records the order of calls.
func TestWriteAheadLogIsDurableBeforeAnyByte(t *testing.T) {
	var events []string
	disk, work := newDisk(t), newWorkload(1)
	fsys := watchFS{FS: disk, before: func(op, name string) { events = append(events, op) }}
	log, err := Create(fsys, testDir, clone(work.model), Options{
		NextFile:    fileNumbers(1),
		WaitDurable: func(lsn ids.LSN) error { events = append(events, fmt.Sprint("log ", lsn)); return nil },
	})
	require.NoError(t, err)
	events = nil
	fork := func(id ids.ForkID, need ids.LSN) {
		log.Append(&Transaction{PutForks: []Fork{{ID: id, Name: fmt.Sprint(id), Memtable: ids.NodeID(id + 1)}}}, need)
	}
	fork(10, 30)
	fork(20, 50)
	fork(30, 40)
	require.NoError(t, log.Sync(2))
	require.Equal(t, []string{"log 50", "write", "sync", "write"}, events, "log, group, sync, mark")
	require.NoError(t, log.Close())
}

func TestNoStore(t *testing.T) {
	disk := newDisk(t)
	_, _, err := Load(disk, testDir)
	require.ErrorIs(t, err, ErrNoStore)
	_, _, err = Load(disk, "elsewhere")
	require.ErrorIs(t, err, ErrNoStore)

	require.NoError(t, disk.WriteFile(testDir+"/000031.sst", []byte("table")))
	_, _, err = Load(disk, testDir)
	require.ErrorIs(t, err, errs.ErrCorrupt, "tables without CURRENT are no empty directory")
	require.NotErrorIs(t, err, ErrNoStore)

	faulty := faultfs.New(newDisk(t))
	faulty.Inject(faultfs.Rule{Op: faultfs.OpOpen})
	_, _, err = Load(faulty, testDir)
	require.ErrorIs(t, err, syscall.EIO, "a disk that cannot be read is no empty directory")
	require.NotErrorIs(t, err, ErrNoStore)
}

func TestCreateSkipsNumbersThatAreTakenAndRemovesOldManifests(t *testing.T) {
	disk, work := newDisk(t), newWorkload(1)
	require.NoError(t, disk.WriteFile(testDir+"/MANIFEST-000005", []byte("left by a crash")))
	require.NoError(t, disk.WriteFile(testDir+"/MANIFEST-000003", []byte("left by a crash")))
	require.NoError(t, disk.WriteFile(testDir+"/CURRENT.tmp", []byte("left by a crash")))
	require.NoError(t, disk.WriteFile(testDir+"/MANIFEST-5", []byte("not ours")))
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(5)})
	require.NoError(t, err)
	require.Equal(t, ids.FileNum(6), log.FileNum())
	require.NoError(t, log.Close())
	require.Equal(t, []string{"store/CURRENT", "store/MANIFEST-000006", "store/MANIFEST-5"}, disk.Names())
	requireLoads(t, disk, work.model)
}

func TestCreateRefusesStateThatDoesNotHold(t *testing.T) {
	disk, work := newDisk(t), newWorkload(1)
	state := clone(work.model)
	state.NextID = 0
	_, err := Create(disk, testDir, state, Options{NextFile: fileNumbers(1)})
	require.ErrorContains(t, err, "next id is 0")
	require.Empty(t, disk.Names())
}

func TestAppendAssertsThatCountersRise(t *testing.T) {
	work := newWorkload(1)
	log, err := Create(newDisk(t), testDir, clone(work.model), Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	lower := log.Counters()
	lower.NextID--
	require.PanicsWithValue(t, invariant.Violation("manifest: counters fall from {Applied:0 Trimmed:0 NextID:1000 NextLSN:1000} to {Applied:0 Trimmed:0 NextID:999 NextLSN:1000}"),
		func() { log.Append(&Transaction{Counters: &lower}, 0) })
	require.NoError(t, log.Close())
}

func TestAppendAssertsThatItCanBeReadBack(t *testing.T) {
	work := newWorkload(1)
	log, err := Create(newDisk(t), testDir, clone(work.model), Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	require.Panics(t, func() {
		log.Append(&Transaction{PutForks: []Fork{{ID: 9, Name: strings.Repeat("x", 129), Memtable: 10}}}, 0)
	})
	require.NoError(t, log.Close())
}

// TestAppendAssertsThatMarksFit, and that a bug leaves log and state as they were.
func TestAppendAssertsThatMarksFit(t *testing.T) {
	disk := newDisk(t)
	log, err := Create(disk, testDir, soundState(), Options{NextFile: fileNumbers(21)})
	require.NoError(t, err)
	require.PanicsWithValue(t, invariant.Violation("manifest: node 10 marks rows of table 32 as if it had 6 rows instead of 5"), func() {
		log.Append(&Transaction{AddMarks: []Marks{{10, 31, vectorOf(5, 1)}, {10, 32, vectorOf(6, 1)}}, DropForks: []ids.ForkID{2}}, 0)
	})
	require.PanicsWithValue(t, invariant.Violation("manifest: put: marks of node 0 on table 32"), func() {
		log.Append(&Transaction{AddMarks: []Marks{{0, 32, vectorOf(5, 1)}}}, 0)
	})
	require.PanicsWithValue(t, invariant.Violation("manifest: drop of the marks of node 10 on table 0"), func() {
		log.Append(&Transaction{DropMarks: []MarksKey{{10, 0}}}, 0)
	})
	require.Zero(t, log.Last())
	log.View(func(s *State) { require.Equal(t, fingerprint(soundState()), fingerprint(s)) })
	require.NoError(t, log.Close())
	requireLoads(t, disk, soundState())
}

// TestFailurePoisonsTheLog lets each kind of call under Sync fail once. All that
// was not durable fails, nothing is tried again, and the next Load finds a
// prefix.
func TestFailurePoisonsTheLog(t *testing.T) {
	manifests := func(name string) bool { return strings.HasPrefix(path.Base(name), "MANIFEST-") }
	for _, c := range []struct {
		name string
		rule faultfs.Rule
	}{
		{"a write fails", faultfs.Rule{Op: faultfs.OpWrite, Match: manifests}},
		{"a write is short", faultfs.Rule{Op: faultfs.OpWrite, Match: manifests, ShortWrite: true}},
		{"the disk is full", faultfs.Rule{Op: faultfs.OpWrite, Match: manifests, Err: syscall.ENOSPC, ShortWrite: true}},
		{"a sync fails", faultfs.Rule{Op: faultfs.OpSync, Match: manifests}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, work := newDisk(t), newWorkload(2)
			faulty := faultfs.New(disk)
			var wal fakeWAL
			var failures []error
			log, err := Create(faulty, testDir, clone(work.model), Options{
				NextFile: fileNumbers(1), WaitDurable: wal.sync, OnFailure: func(err error) { failures = append(failures, err) },
			})
			require.NoError(t, err)
			durable := appendSome(log, work, 3)
			require.NoError(t, log.Sync(durable))

			lost := appendSome(log, work, 2)
			faulty.Inject(c.rule)
			err = log.Sync(lost)
			require.ErrorIs(t, err, ErrPoisoned)
			require.False(t, errs.IsNoSpace(err), "a full disk here is no clean refusal: %v", err)
			require.Equal(t, 1, faulty.Injected())
			calls := disk.Mutations()

			require.NoError(t, log.Sync(durable), "what is durable stays durable")
			require.ErrorIs(t, log.Sync(appendSome(log, work, 1)), ErrPoisoned)
			require.Empty(t, log.mu.pending, "what can never be written is not kept")
			require.ErrorIs(t, log.Rewrite(), ErrPoisoned)
			require.ErrorIs(t, log.Err(), ErrPoisoned)
			require.False(t, log.NeedsRewrite())
			require.Equal(t, durable, log.Durable())
			require.ErrorIs(t, log.Close(), ErrPoisoned)
			require.Equal(t, calls, disk.Mutations(), "nothing is written or synced again")
			require.Len(t, failures, 1)
			noOpenFiles(t, disk)

			for _, image := range []*crashfs.FS{disk.PowerLossStrict(), disk.PowerLossAll()} {
				state, _, err := Load(image, testDir)
				require.NoError(t, err)
				require.Contains(t, work.states, fingerprint(state))
				require.GreaterOrEqual(t, work.states[fingerprint(state)], durable)
			}
		})
	}
}

func TestFailedMarkPoisonsOnlyWhatComesLater(t *testing.T) {
	disk, work := newDisk(t), newWorkload(2)
	faulty := faultfs.New(disk)
	var wal fakeWAL
	log, err := Create(faulty, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync})
	require.NoError(t, err)
	faulty.Inject(faultfs.Rule{Op: faultfs.OpWrite, Nth: 2})
	p := appendSome(log, work, 1)
	require.NoError(t, log.Sync(p), "the group is durable, whatever became of the mark")
	require.ErrorIs(t, log.Err(), ErrPoisoned)
	require.ErrorIs(t, log.Close(), ErrPoisoned)
	requireLoads(t, disk.PowerLossStrict(), work.model)
}

func TestFailedWriteAheadLogKeepsTheManifestBehind(t *testing.T) {
	disk, work := newDisk(t), newWorkload(2)
	before := clone(work.model)
	broken := errors.New("log is broken")
	failures := 0
	log, err := Create(disk, testDir, clone(work.model), Options{
		NextFile: fileNumbers(1), WaitDurable: func(ids.LSN) error { return broken }, OnFailure: func(error) { failures++ },
	})
	require.NoError(t, err)
	err = log.Sync(appendSome(log, work, 1))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, ErrPoisoned)
	require.ErrorIs(t, log.Close(), ErrPoisoned)
	require.Equal(t, 1, failures)
	requireLoads(t, disk.PowerLossAll(), before)
}

// TestGroupCommit lets many wait at once, and rewrites run beside them.
func TestGroupCommit(t *testing.T) {
	disk := newDisk(t)
	var wal fakeWAL
	work := newWorkload(4)
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync, RewriteBytes: 4096})
	require.NoError(t, err)
	var tree sync.Mutex // the engine's: append is serial
	var wg sync.WaitGroup
	rewrites := 0
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				tree.Lock()
				p := log.Append(work.next())
				tree.Unlock()
				if i%3 == 0 {
					if err := log.Sync(p); err != nil {
						t.Error(err)
						return
					}
					if log.Durable() < p {
						t.Error("synced, but not durable")
						return
					}
				}
			}
		}()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for log.Last() < 200 {
			if log.NeedsRewrite() {
				if err := log.Rewrite(); err != nil {
					t.Error(err)
					return
				}
				rewrites++
			}
		}
	}()
	wg.Wait()
	require.NoError(t, log.Close())
	require.Equal(t, Position(200), log.Durable())
	requireLoads(t, disk.PowerLossStrict(), work.model)
	require.Len(t, disk.Names(), 2)
	require.Positive(t, rewrites)
	noOpenFiles(t, disk)
}

// readUsed reads a file without the zeros that are held ready behind its end.
func readUsed(t *testing.T, disk *crashfs.FS, name string) []byte {
	content, err := disk.ReadFile(name)
	require.NoError(t, err)
	n := len(content)
	for n > 0 && content[n-1] == 0 {
		n--
	}
	return content[:min((n+7)/8*8, len(content))]
}

// From when the space held ready has begun to be used up, HoldSpace says so, while Sync
// goes on; and it says so no more when there is space again.
func TestHoldSpaceSaysThatTheSpaceHeldReadyIsBeingUsedUp(t *testing.T) {
	for _, how := range []string{"HoldSpace itself", "Sync", "Rewrite"} {
		t.Run(how, func(t *testing.T) {
			disk, work := newDisk(t), newWorkload(9)
			var wal fakeWAL
			log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(2), WaitDurable: wal.sync})
			require.NoError(t, err)
			require.NoError(t, log.HoldSpace())
			disk.SetCapacity(1)
			for n := 0; log.HoldSpace() == nil; n++ {
				require.Less(t, n, 10_000)
				require.NoError(t, log.Sync(appendSome(log, work, 1)))
			}
			require.ErrorIs(t, log.HoldSpace(), errs.ErrNoSpace)
			require.NoError(t, log.Err())
			require.NoError(t, log.Sync(appendSome(log, work, 1)), "there is something left for those who free space")
			disk.SetCapacity(1 << 30)
			switch how {
			case "Sync":
				require.NoError(t, log.Sync(appendSome(log, work, 1)))
				disk.SetCapacity(1)
			case "Rewrite":
				require.NoError(t, log.Rewrite())
				disk.SetCapacity(1)
			}
			require.NoError(t, log.HoldSpace())
			require.NoError(t, log.Close())
			requireLoads(t, disk.PowerLossStrict(), work.model)
		})
	}
}

// On a full disk a file without space held ready is better than none, but it is known.
func TestHoldSpaceKnowsOfAFileThatWasMadeWithoutSpare(t *testing.T) {
	for how, begin := range map[string]func(*Log, *crashfs.FS, Options) (*Log, error){
		"by a rewrite": func(log *Log, _ *crashfs.FS, _ Options) (*Log, error) { return log, log.Rewrite() },
		"by an open": func(log *Log, disk *crashfs.FS, opts Options) (*Log, error) {
			if err := log.Close(); err != nil {
				return nil, err
			}
			state, _, err := Load(disk, testDir)
			if err != nil {
				return nil, err
			}
			return Create(disk, testDir, state, opts)
		},
	} {
		t.Run(how, func(t *testing.T) {
			disk, work := newDisk(t), newWorkload(9)
			var wal fakeWAL
			opts := Options{NextFile: fileNumbers(2), WaitDurable: wal.sync}
			log, err := Create(disk, testDir, clone(work.model), opts)
			require.NoError(t, err)
			require.NoError(t, log.Sync(appendSome(log, work, 1)))
			used := int64(0)
			for _, name := range disk.Names() {
				n, err := disk.Size(name)
				require.NoError(t, err)
				used += n
			}
			disk.SetCapacity(used + defaultSlackBytes/2)
			log, err = begin(log, disk, opts)
			require.NoError(t, err)
			disk.SetCapacity(1)
			require.ErrorIs(t, log.HoldSpace(), errs.ErrNoSpace)
			disk.SetCapacity(0)
			require.NoError(t, log.HoldSpace())
			require.NoError(t, log.Close())
		})
	}
}

// TestAFullDiskIsNoFailure: the space held ready lets some transactions through;
// then they are refused, nothing is poisoned, and they are written when there is
// space again.
func TestAFullDiskIsNoFailure(t *testing.T) {
	disk, work := newDisk(t), newWorkload(9)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(2), WaitDurable: wal.sync})
	require.NoError(t, err)
	disk.SetCapacity(1)
	through := 0
	for err = nil; err == nil; through++ {
		require.Less(t, through, 10_000)
		err = log.Sync(appendSome(log, work, 1))
	}
	require.Greater(t, through, 5)
	require.ErrorIs(t, err, errs.ErrNoSpace)
	require.NoError(t, log.Err())
	require.ErrorIs(t, log.Sync(log.Last()), errs.ErrNoSpace)
	disk.SetCapacity(1 << 30)
	require.NoError(t, log.Sync(log.Last()))
	require.NoError(t, log.Close())
	requireLoads(t, disk.PowerLossStrict(), work.model)
}
