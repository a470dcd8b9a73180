package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
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

// backUp copies a store into dir of fs.
func backUp(t *testing.T, s *engine.Store, fs vfs.FS, dir string, o engine.BackupOptions) *engine.BackupReport {
	t.Helper()
	to, err := engine.NewBackupDir(dir, &engine.Options{FS: fs})
	require.NoError(t, err)
	report, err := s.Backup(context.Background(), to, o)
	require.NoError(t, err)
	return report
}

// sound checks a store deeply and gives what its forks and snapshots hold.
func sound(t *testing.T, fs vfs.FS, dir string) map[string]engine.ContentHash {
	t.Helper()
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep, FS: fs})
	require.NoError(t, err)
	require.True(t, report.OK(), "%+v", report.Problems)
	require.Empty(t, report.Leaked)
	require.Empty(t, report.Stale)
	require.Empty(t, report.Foreign)
	require.False(t, report.TornLog || report.TornManifest)
	return hashes(report)
}

// mixedStore is a store that holds something of everything: tables that forks share,
// deletes in them, nodes in memory, memtables, range deletes, snapshots, a fork whose
// parent is gone.
func mixedStore(t *testing.T, o *engine.Options) *engine.Store {
	t.Helper()
	s := open(t, "/db", o)
	r := rand.New(rand.NewPCG(7, 7))
	write := func(f *engine.Fork, n int) {
		for range n {
			key := fmt.Appendf(nil, "key%03d", r.IntN(300))
			switch r.IntN(6) {
			case 0:
				require.NoError(t, f.Delete(key, engine.NoSync))
			default:
				require.NoError(t, f.Set(key, packValue(f.Name(), r.IntN(1000)), engine.NoSync))
			}
		}
	}
	main := fork(t, s, engine.MainFork)
	write(main, 400)
	require.NoError(t, s.Flush())
	forks := []*engine.Fork{main}
	for i := range 12 {
		child, err := forks[r.IntN(len(forks))].Fork(fmt.Sprintf("f%02d", i))
		require.NoError(t, err)
		forks = append(forks, child)
		write(child, 40)
		write(forks[r.IntN(len(forks))], 40)
		switch i {
		case 4, 8:
			require.NoError(t, s.Flush())
		case 5:
			_, err := child.Snapshot("middle")
			require.NoError(t, err)
		case 6:
			require.NoError(t, forks[2].Drop())
			forks = append(forks[:2], forks[3:]...)
		case 9:
			require.NoError(t, child.DeleteRange([]byte("key1"), []byte("key2")))
			_, err := child.Snapshot("late")
			require.NoError(t, err)
		}
	}
	require.NoError(t, forks[3].Reset(forks[5]))
	return s
}

func TestBackupHoldsWhatTheStoreHolds(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, s *engine.Store)
	}{
		{"rows in memory and in tables", func(*testing.T, *engine.Store) {}},
		{"all flushed", func(t *testing.T, s *engine.Store) { require.NoError(t, s.Flush()) }},
		{"all flushed and merged", func(t *testing.T, s *engine.Store) {
			require.NoError(t, s.Flush())
			require.NoError(t, s.Compact())
		}},
		{"forks made since the flush", func(t *testing.T, s *engine.Store) {
			require.NoError(t, s.Flush())
			_, err := fork(t, s, "f11").ForkMany([]string{"x", "y", "z"})
			require.NoError(t, err)
			require.NoError(t, fork(t, s, "x").Rename("renamed"))
			require.NoError(t, fork(t, s, "y").Drop())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crashfs.New()
			s := mixedStore(t, small(disk))
			c.prepare(t, s)
			last := s.Stats().LastLSN
			report := backUp(t, s, disk, "/backup", engine.BackupOptions{})
			require.Equal(t, last, report.LSN)
			require.Equal(t, s.Stats().Forks, report.Forks)
			require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("later"), nil))
			require.NoError(t, s.Verify())

			// What a read-only open is backed up to, and what that one is.
			ro := small(disk)
			ro.ReadOnly = true
			b := open(t, "/backup", ro)
			require.Equal(t, report.LSN, backUp(t, b, disk, "/copy", engine.BackupOptions{}).LSN)
			require.NoError(t, b.Close())

			require.NoError(t, fork(t, s, engine.MainFork).Delete([]byte("later")))
			require.NoError(t, s.Close())
			want := sound(t, disk, "/db")
			require.Greater(t, len(want), 10)
			require.Equal(t, want, sound(t, disk, "/backup"))
			require.Equal(t, want, sound(t, disk, "/copy"))

			// It is a store like any other, and stays one.
			b = open(t, "/backup", small(disk))
			require.NoError(t, fork(t, b, engine.MainFork).Set([]byte("new"), []byte("v")))
			_, err := fork(t, b, engine.MainFork).Fork("new")
			require.NoError(t, err)
			require.NoError(t, b.Flush())
			require.NoError(t, b.Compact())
			require.NoError(t, b.Verify())
			require.NoError(t, b.Close())
			got := sound(t, disk, "/backup")
			require.Equal(t, got[engine.MainFork].Hash, got["new"].Hash)
			for name, h := range want {
				if name != engine.MainFork {
					require.Equal(t, h, got[name])
				}
			}
		})
	}
}

func TestBackupOfANewStore(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	report := backUp(t, s, disk, "/a/b/backup", engine.BackupOptions{})
	require.Equal(t, 1, report.Forks)
	require.Zero(t, report.LSN)
	require.Len(t, sound(t, disk, "/a/b/backup"), 1)
	b := open(t, "/a/b/backup", small(disk))
	require.NoError(t, fork(t, b, engine.MainFork).Set([]byte("k"), []byte("v")))
	require.NoError(t, b.Close())
	require.NoError(t, s.Close())
}

// What is not asked for is not in the backup: no row of it, no name.
func TestBackupOfSomeForksHoldsNothingOfTheOthers(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	secret := []byte("a secret of another fork")
	other, err := fork(t, s, "f03").Fork("private-fork")
	require.NoError(t, err)
	batch := s.NewBatch()
	batch.Set(other, []byte("hidden"), secret)
	batch.Set(fork(t, s, "f07"), []byte("open"), []byte("of this one"))
	require.NoError(t, batch.Commit())
	flushed, err := fork(t, s, "f03").Fork("private-too")
	require.NoError(t, err)
	require.NoError(t, flushed.Set([]byte("hidden-too"), secret))

	f07 := fork(t, s, "f07")
	late, err := s.Snapshot("late")
	require.NoError(t, err)
	o := engine.BackupOptions{
		Forks:     []engine.Ref{{Name: "f07", ID: f07.ID()}, {Name: "f09"}, {Name: "f07"}},
		Snapshots: []engine.Ref{{Name: "late", ID: late.ID()}},
	}
	report := backUp(t, s, disk, "/memory", o)
	require.Equal(t, 2, report.Forks)
	require.Equal(t, 1, report.Snapshots)
	require.NoError(t, s.Flush())
	backUp(t, s, disk, "/tables", o)

	for _, o := range []engine.BackupOptions{
		{Forks: []engine.Ref{{Name: "nobody"}}},
		{Forks: []engine.Ref{{Name: "f07"}}, Snapshots: []engine.Ref{{Name: "nothing"}}},
		{Snapshots: []engine.Ref{{Name: "late"}}},
		{Forks: []engine.Ref{{Name: "f07", ID: fork(t, s, "f09").ID()}}},
		{Forks: []engine.Ref{{Name: "f09", ID: f07.ID()}}},
		{Forks: []engine.Ref{{Name: "f07"}}, Snapshots: []engine.Ref{{Name: "late", ID: f07.ID()}}},
	} {
		to, err := engine.NewBackupDir("/refused", &engine.Options{FS: disk})
		require.NoError(t, err)
		_, err = s.Backup(context.Background(), to, o)
		require.Error(t, err, "%+v", o)
		require.NoError(t, to.Abort())
	}
	require.NoError(t, s.Close())
	want := sound(t, disk, "/db")
	for _, dir := range []string{"/memory", "/tables"} {
		got := sound(t, disk, dir)
		require.Equal(t, map[string]engine.ContentHash{"f07": want["f07"], "f09": want["f09"], "@late": want["@late"]}, got)
		names, err := disk.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			content, err := disk.ReadFile(path.Join(dir, name))
			require.NoError(t, err)
			require.NotContains(t, string(content), "secret", name)
			require.NotContains(t, string(content), "private", name)
			require.NotContains(t, string(content), "hidden", name)
		}
	}
}

// The caller has looked at a fork and a snapshot, and others have their names by the time
// that the moment of the backup is chosen.
func TestABackupOfWhatHasAnotherNameNowIsRefused(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	main, f07 := fork(t, s, engine.MainFork), fork(t, s, "f07")
	late, err := s.Snapshot("late")
	require.NoError(t, err)
	refs := engine.BackupOptions{Forks: []engine.Ref{{Name: "f07", ID: f07.ID()}}, Snapshots: []engine.Ref{{Name: "late", ID: late.ID()}}}
	backUp(t, s, disk, "/before", refs)
	refused := func(want error) {
		to := backupDir(t, disk, "/refused")
		_, err := s.Backup(context.Background(), to, refs)
		require.ErrorIs(t, err, want)
		require.NoError(t, to.Abort())
	}
	require.NoError(t, f07.Rename("elsewhere"))
	refused(engine.ErrForkNotFound)
	_, err = main.Fork("f07")
	require.NoError(t, err)
	refused(engine.ErrForkNotFound)
	refs.Forks[0].Name = "elsewhere"
	backUp(t, s, disk, "/between", refs)
	require.NoError(t, late.Rename("later"))
	_, err = main.Snapshot("late")
	require.NoError(t, err)
	refused(engine.ErrSnapshotNotFound)
	refs.Snapshots[0].Name = "later"
	backUp(t, s, disk, "/after", refs)
	require.NoError(t, s.Close())
	require.Equal(t, sound(t, disk, "/before")["@late"], sound(t, disk, "/after")["@later"])
}

// hookSink calls a function before each file of a backup.
type hookSink struct {
	engine.BackupSink
	hook func(name string) error
}

func (h hookSink) Create(name string) (io.WriteCloser, error) {
	if err := h.hook(name); err != nil {
		return nil, err
	}
	return h.BackupSink.Create(name)
}

func backupDir(t *testing.T, fs vfs.FS, dir string) *engine.BackupDir {
	t.Helper()
	to, err := engine.NewBackupDir(dir, &engine.Options{FS: fs})
	require.NoError(t, err)
	return to
}

// Between any two of its files everything that the backup copies is dropped, flushed
// and merged away, and the log is trimmed.
func TestBackupKeepsWhatItCopies(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	require.NoError(t, s.Sync())
	before := disk.AfterKill()
	kept, removed := 0, s.Stats().FilesRemoved
	sink := hookSink{backupDir(t, disk, "/backup"), func(string) error {
		for _, info := range s.ListForks(engine.ListOptions{Prefix: "f", Limit: 6}) {
			require.NoError(t, fork(t, s, info.Name).Drop())
		}
		for _, n := range s.Snapshots() {
			snapshot, err := s.Snapshot(n.Name)
			require.NoError(t, err)
			require.NoError(t, snapshot.Drop())
		}
		require.NoError(t, fork(t, s, engine.MainFork).DeleteRange(nil, nil))
		require.NoError(t, s.Flush())
		require.NoError(t, s.Compact())
		require.NoError(t, s.Verify())
		kept++
		return nil
	}}
	_, err := s.Backup(context.Background(), sink, engine.BackupOptions{})
	require.NoError(t, err)
	require.Greater(t, kept, 3)
	require.Less(t, s.Stats().WALBytes, uint64(20<<10), "the log was trimmed")
	require.Equal(t, removed, s.Stats().FilesRemoved, "files stayed until the end")
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
	require.Greater(t, s.Stats().FilesRemoved, removed, "and are gone now")
	require.Zero(t, s.Stats().Files)
	require.NoError(t, s.Close())
	require.Equal(t, soundForks(t, before, "/db"), sound(t, disk, "/backup"))
}

// openHook calls a function before a file is opened for reading.
type openHook struct {
	*crashfs.FS
	hook func(name string)
}

func (h *openHook) Open(name string) (vfs.File, error) {
	if h.hook != nil {
		h.hook(name)
	}
	return h.FS.Open(name)
}

// before arms the hook: fn runs once, before the first file that match is opened.
func (h *openHook) before(match func(name string) bool, fn func()) {
	h.hook = func(name string) {
		if match(name) {
			h.hook = nil
			fn()
		}
	}
}

// The manifest that a backup reads may be newer than the cut that it has chosen: then it
// speaks of forks and nodes that the log has behind that cut.
func TestBackupWhoseManifestIsNewerThanItsCut(t *testing.T) {
	disk := &openHook{FS: crashfs.New()}
	o := small(disk.FS)
	o.FS = disk
	s := mixedStore(t, o)
	require.NoError(t, s.Flush())
	doomed, err := fork(t, s, engine.MainFork).Fork("doomed")
	require.NoError(t, err)
	require.NoError(t, doomed.Set([]byte("own"), nil))
	require.NoError(t, s.Flush())
	var want map[string]engine.ContentHash
	disk.before(func(name string) bool { return path.Base(name) == "CURRENT" }, func() {
		require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("in"), []byte("memory")))
		_, err := fork(t, s, engine.MainFork).Fork("new")
		require.NoError(t, err)
		require.NoError(t, doomed.Drop())
		require.NoError(t, s.Settle(), "it publishes what is gone, and with it the forks, and flushes nothing")
		want = soundForks(t, disk.AfterKill(), "/db")
	})
	backUp(t, s, disk, "/backup", engine.BackupOptions{})
	require.Contains(t, want, "new")
	require.Equal(t, want, sound(t, disk.FS, "/backup"))
	require.NoError(t, s.Close())
}

// Between the reading of the manifest and of the log everything is flushed.
func TestBackupWhoseLogCouldBeTrimmed(t *testing.T) {
	disk := &openHook{FS: crashfs.New()}
	o := small(disk.FS)
	o.FS = disk
	s := mixedStore(t, o)
	fillLog(t, s)
	want := soundForks(t, disk.AfterKill(), "/db")
	disk.before(isLog, func() { require.NoError(t, s.Flush()) })
	backUp(t, s, disk, "/backup", engine.BackupOptions{})
	require.Equal(t, want, sound(t, disk.FS, "/backup"))
	require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("k"), nil))
	require.NoError(t, s.Flush())
	require.Less(t, s.Stats().WALBytes, uint64(20<<10), "it is trimmed when the backup is done")
	require.NoError(t, s.Close())
}

// fillLog writes some segments of log that nothing flushes.
func fillLog(t *testing.T, s *engine.Store) {
	t.Helper()
	main := fork(t, s, engine.MainFork)
	for i := range 400 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "fill%03d", i), packValue("fill", i), engine.NoSync))
	}
	require.NoError(t, s.Sync())
}

// Writers, forks made and dropped, flushes and merges go on beside. Each writer's
// writes follow from how many it has done, so each fork of a backup must hold exactly
// what some number of them left, no fewer than were acknowledged before the call; and
// all forks are of one moment.
func TestBackupsBesideWritersForksDropsAndMerges(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", &engine.Options{FS: disk, SegmentBytes: 32 << 10, TableBytes: 8 << 10, BlockBytes: 512, MemtableBytes: 64 << 10})
	main := fork(t, s, engine.MainFork)
	for i := range 300 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "base%03d", i), packValue("base", i), engine.NoSync))
	}
	const writers = 3
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	// Writer w does its write n to fork a-w, and then, when that is acknowledged, the
	// same to b-w. Every 7th batch is one over both forks.
	var done [writers]atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	write := func(b *engine.Batch, f *engine.Fork, n int64) {
		b.Set(f, []byte("n"), fmt.Appendf(nil, "%d", n))
		b.Set(f, fmt.Appendf(nil, "row%04d", n%500), packValue("row", int(n)))
		if n%3 == 0 {
			b.Delete(f, fmt.Appendf(nil, "base%03d", n%300))
		}
	}
	for w := range writers {
		a, err := main.Fork(fmt.Sprintf("a-%d", w))
		require.NoError(t, err)
		b, err := main.Fork(fmt.Sprintf("b-%d", w))
		require.NoError(t, err)
		wg.Go(func() {
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				batch := s.NewBatch()
				write(batch, a, n)
				if n%7 != 0 {
					if err := batch.Commit(engine.NoSync); err != nil {
						t.Error(err)
						return
					}
				}
				write(batch, b, n)
				if err := batch.Commit(engine.NoSync); err != nil {
					t.Error(err)
					return
				}
				done[w].Store(n)
			}
		})
	}
	wg.Go(func() { // forks of what is being written, dropped again
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			parent, err := s.Fork(fmt.Sprintf("a-%d", i%writers))
			if err != nil {
				t.Error(err)
				return
			}
			child, err := parent.Fork(fmt.Sprintf("t-%d", i), engine.NoSync)
			if err == nil {
				err = child.Set([]byte("own"), fmt.Appendf(nil, "%d", i), engine.NoSync)
			}
			if err == nil && i >= 20 {
				var old *engine.Fork
				if old, err = s.Fork(fmt.Sprintf("t-%d", i-20)); err == nil {
					err = old.Drop(engine.NoSync)
				}
			}
			if err == nil && i%40 == 39 {
				err = s.Compact()
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	lsn := uint64(0)
	for i := range rounds {
		var least [writers]int64
		for w := range writers {
			least[w] = done[w].Load()
		}
		dir := fmt.Sprintf("/backup-%d", i)
		report := backUp(t, s, disk, dir, engine.BackupOptions{})
		require.GreaterOrEqual(t, report.LSN, lsn)
		lsn = report.LSN
		sound(t, disk, dir)
		b := open(t, dir, &engine.Options{FS: disk, ReadOnly: true})
		require.Equal(t, report.Forks, b.Stats().Forks)
		for w := range writers {
			atA, atB := counter(t, b, fmt.Sprintf("a-%d", w)), counter(t, b, fmt.Sprintf("b-%d", w))
			require.True(t, atA == atB || atA == atB+1 && atA%7 != 0, "a is at %d, b at %d: not of one moment", atA, atB)
			require.GreaterOrEqual(t, atB, least[w])
			requireWritten(t, fork(t, b, fmt.Sprintf("a-%d", w)), atA)
			requireWritten(t, fork(t, b, fmt.Sprintf("b-%d", w)), atB)
		}
		require.NoError(t, b.Close())
	}
	close(stop)
	wg.Wait()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
	sound(t, disk, "/db")
}

// counter is the value of n.
func counter(t *testing.T, s *engine.Store, name string) (n int64) {
	t.Helper()
	v, err := fork(t, s, name).Get([]byte("n"))
	if errors.Is(err, engine.ErrNotFound) {
		return 0
	}
	require.NoError(t, err)
	_, err = fmt.Sscan(string(v), &n)
	require.NoError(t, err)
	return n
}

// requireWritten compares a fork with what n writes leave.
func requireWritten(t *testing.T, f *engine.Fork, n int64) {
	t.Helper()
	want := map[string]string{}
	for i := range 300 {
		want[fmt.Sprintf("base%03d", i)] = string(packValue("base", i))
	}
	for i := int64(1); i <= n; i++ {
		want["n"] = fmt.Sprint(i)
		want[fmt.Sprintf("row%04d", i%500)] = string(packValue("row", int(i)))
		if i%3 == 0 {
			delete(want, fmt.Sprintf("base%03d", i%300))
		}
	}
	got := map[string]string{}
	rows, err := f.Scan(engine.Range{})
	for k, v := range rows {
		got[string(k)] = string(v)
	}
	require.NoError(t, err())
	require.Equal(t, want, got)
}

// The disk of the backup dies, or loses power, before every single call: what is there
// then is refused, until it is whole.
func TestBackupThatWasInterruptedIsRefused(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	to := crashfs.New()
	refused, whole := 0, 0
	r := rand.New(rand.NewPCG(1, 2))
	var want map[string]engine.ContentHash
	judge := func(image *crashfs.FS) {
		opened, err := engine.Open("/backup", &engine.Options{FS: image, MustExist: true})
		if err != nil {
			require.ErrorIs(t, err, engine.ErrNotStore)
			_, err := engine.Check("/backup", engine.CheckOptions{FS: image})
			require.ErrorIs(t, err, engine.ErrNotStore)
			refused++
			return
		}
		require.NoError(t, opened.Close())
		require.Equal(t, want, soundForks(t, image, "/backup"))
		whole++
	}
	require.NoError(t, s.Sync())
	want = soundForks(t, disk.AfterKill(), "/db")
	to.OnMutation(func(int) {
		judge(to.AfterKill())
		judge(to.PowerLossStrict())
		judge(to.PowerLossAll())
		draws := 1
		if names, err := to.AfterKill().List("/backup"); err == nil && !slices.Contains(names, "UNFINISHED") {
			draws = 64 // here it may count, and has to be whole
		}
		for range draws {
			judge(to.PowerLoss(r))
		}
	})
	backUp(t, s, to, "/backup", engine.BackupOptions{})
	to.OnMutation(nil)
	require.Greater(t, refused, 100)
	require.Greater(t, whole, 0, "between the last two calls it may count already")
	judge(to.PowerLossStrict())
	require.Equal(t, want, sound(t, to, "/backup"), "what was acknowledged is durable")
	require.NoError(t, s.Close())
}

// soundForks is sound of a store that was not closed.
func soundForks(t *testing.T, fs vfs.FS, dir string) map[string]engine.ContentHash {
	t.Helper()
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep, FS: fs})
	require.NoError(t, err)
	require.True(t, report.OK(), "%+v", report.Problems)
	return hashes(report)
}

// A backup that fails, whichever call it is, leaves the store as it was, and its target
// refused or removed.
func TestBackupThatFailsLeavesNoTrace(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	fillLog(t, s)
	want := soundForks(t, disk.AfterKill(), "/db")
	whole := 0
	for n := 1; ; n++ {
		to := crashfs.New()
		faults := faultfs.New(to)
		faults.Inject(faultfs.Rule{Nth: n, Err: syscall.ENOSPC})
		dir, err := engine.NewBackupDir("/backup", &engine.Options{FS: faults})
		if err == nil {
			_, err = s.Backup(context.Background(), dir, engine.BackupOptions{})
		}
		if err == nil {
			require.Greater(t, n, 20)
			require.Equal(t, want, sound(t, to, "/backup"), "every call that matters was missed")
			break
		}
		require.ErrorIs(t, err, engine.ErrNoSpace)
		image := to.AfterKill()
		if b, err := engine.Open("/backup", &engine.Options{FS: image, MustExist: true}); err == nil {
			require.NoError(t, b.Close()) // only the very last sync has failed
			require.Equal(t, want, soundForks(t, image, "/backup"))
			whole++
		} else {
			require.ErrorIs(t, err, engine.ErrNotStore, "call %d", n)
		}
		if dir != nil {
			require.NoError(t, dir.Abort())
			names, err := to.List("/backup")
			require.NoError(t, err)
			require.Empty(t, names)
		}
	}
	require.LessOrEqual(t, whole, 1)
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}

func TestBackupEndsWhenItIsToldTo(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	ctx, cancel := context.WithCancel(context.Background())
	sink := hookSink{backupDir(t, disk, "/cancelled"), func(name string) error {
		cancel()
		return nil
	}}
	_, err := s.Backup(ctx, sink, engine.BackupOptions{})
	require.ErrorIs(t, err, context.Canceled)

	closed := make(chan error, 1)
	var once sync.Once
	sink = hookSink{backupDir(t, disk, "/closed"), func(name string) error {
		once.Do(func() {
			begun := make(chan struct{})
			go func() {
				close(begun)
				closed <- s.Close()
			}()
			<-begun
			for {
				if _, err := s.Fork(engine.MainFork); errors.Is(err, engine.ErrClosed) {
					break
				}
			}
			_, err := engine.Open("/db", small(disk))
			require.ErrorIs(t, err, engine.ErrLocked, "the directory is not given free before the backup has ended")
		})
		return nil
	}}
	_, err = s.Backup(context.Background(), sink, engine.BackupOptions{})
	require.ErrorIs(t, err, engine.ErrClosed)
	require.NoError(t, <-closed)
	_, err = s.Backup(context.Background(), backupDir(t, disk, "/late"), engine.BackupOptions{})
	require.ErrorIs(t, err, engine.ErrClosed)
	sound(t, disk, "/db")
}

func TestBackupOfADamagedTableNamesIt(t *testing.T) {
	disk := crashfs.New()
	s := mixedStore(t, small(disk))
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	names, err := disk.List("/db")
	require.NoError(t, err)
	var table string
	for _, name := range names {
		if isTable(name) {
			table = name
		}
	}
	require.NoError(t, disk.WriteFile("/db/"+table, damaged(t, disk, "/db/"+table)))
	s = open(t, "/db", small(disk))
	_, err = s.Backup(context.Background(), backupDir(t, disk, "/backup"), engine.BackupOptions{})
	var corrupt *engine.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, table, corrupt.File)
	require.NotEmpty(t, corrupt.Forks)
	require.NoError(t, s.Close())
}

func damaged(t *testing.T, disk *crashfs.FS, name string) []byte {
	t.Helper()
	content, err := disk.ReadFile(name)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	return content
}

func TestDirectoriesThatTakeNoBackup(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	require.NoError(t, s.Close())
	_, err := engine.NewBackupDir("/db", &engine.Options{FS: disk})
	require.ErrorIs(t, err, fs.ErrExist)
	to := backupDir(t, disk, "/backup")
	_, err = engine.NewBackupDir("/backup", &engine.Options{FS: disk})
	require.ErrorIs(t, err, fs.ErrExist, "one backup at a time")
	_, err = engine.Open("/backup", small(disk))
	require.ErrorContains(t, err, "not finished")
	for _, name := range []string{"../x", "a/b", "..", ".", "", "/"} {
		_, err := to.Create(name)
		require.Error(t, err, name)
	}
	require.False(t, strings.Contains(strings.Join(disk.Names(), " "), "x"))
}
