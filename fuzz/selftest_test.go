package fuzz

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// A harness is trusted for what it has noticed. These tests make the store wrong
// from outside, by a file system that lies to it, or put out one of the eyes of
// the harness, and demand that it turns red, and for the right reason.

// liar is a file system that says it has done a call and has not. lie decides,
// and may be told of failures that become successes.
type liar struct {
	vfs.FS
	lie func(call, name string) bool
}

func lying(lie func(call, name string) bool) func(vfs.FS) vfs.FS {
	return func(fs vfs.FS) vfs.FS { return &liar{fs, lie} }
}

func (l *liar) Create(name string) (vfs.File, error) {
	f, err := l.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return &liarFile{f, l, name}, nil
}

func (l *liar) Open(name string) (vfs.File, error) {
	f, err := l.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &liarFile{f, l, name}, nil
}

func (l *liar) Remove(name string) error {
	if l.lie("remove", name) {
		return nil
	}
	return l.FS.Remove(name)
}

func (l *liar) Rename(from, to string) error {
	if l.lie("rename", to) {
		return nil
	}
	return l.FS.Rename(from, to)
}

func (l *liar) SyncDir(dir string) error {
	if l.lie("syncdir", dir) {
		return nil
	}
	return l.FS.SyncDir(dir)
}

func (l *liar) Lock(name string) (io.Closer, error) { return l.FS.Lock(name) }

type liarFile struct {
	vfs.File
	liar *liar
	name string
}

func (f *liarFile) WriteAt(p []byte, off int64) (int, error) {
	if f.liar.lie("write", f.name) {
		return len(p), nil
	}
	return f.File.WriteAt(p, off)
}

func (f *liarFile) Sync() error {
	if f.liar.lie("sync", f.name) {
		return nil
	}
	return f.File.Sync()
}

func (f *liarFile) Close() error {
	if f.liar.lie("close", f.name) {
		return nil
	}
	return f.File.Close()
}

func swallows(call, suffix string) func(vfs.FS) vfs.FS {
	return lying(func(made, name string) bool { return made == call && strings.Contains(name, suffix) })
}

// afterRename swallows the sync of the directory that makes a rename durable.
func afterRename() func(vfs.FS) vfs.FS {
	renamed := false
	return lying(func(call, _ string) bool {
		was := renamed
		renamed = call == "rename" || renamed && call != "syncdir"
		return was && call == "syncdir"
	})
}

// crashLists are enough to notice each of the lies below.
func crashLists() [][]ops.Op {
	lists := [][]ops.Op{script(0, 14, 3, 0, 16), script(14, 15, 8, 15, 0)}
	for seed := range uint64(3) {
		lists = append(lists, ops.NewGenerator(seed, ops.Crashing()).List(50))
	}
	return lists
}

func crashAll(p crashes, counts *Counts) error {
	p.config, p.stride, p.powers, p.goOn = CrashConfig(), 1, 2, 6
	for i, list := range crashLists() {
		p.seed = uint64(i)
		if err := p.run("self", list, counts); err != nil {
			return err
		}
	}
	return nil
}

func TestHarnessOfCrashesNoticesADiskCallThatIsLeftOut(t *testing.T) {
	require.NoError(t, crashAll(crashes{}, NewCounts()), "the store as it is")
	for what, lie := range map[string]func() func(vfs.FS) vfs.FS{
		"an fsync of the log":                 func() func(vfs.FS) vfs.FS { return swallows("sync", ".wal") },
		"an fsync of the manifest":            func() func(vfs.FS) vfs.FS { return swallows("sync", "MANIFEST") },
		"an fsync of a table":                 func() func(vfs.FS) vfs.FS { return swallows("sync", ".sst") },
		"an fsync of the pointer":             func() func(vfs.FS) vfs.FS { return swallows("sync", "CURRENT") },
		"an fsync of the directory":           func() func(vfs.FS) vfs.FS { return swallows("syncdir", "") },
		"the one that makes a rename durable": afterRename,
	} {
		err := crashAll(crashes{under: lie()}, NewCounts())
		require.Error(t, err, what)
		require.ErrorContains(t, err, "power los", what)
		require.NoError(t, crashAll(crashes{under: lie(), kills: true}, NewCounts()), "%s: only a power loss shows it", what)
	}
}

func TestHarnessOfCrashesThatLoseNothingMeetNoneOfWhatTheyAreThereFor(t *testing.T) {
	counts := NewCounts()
	require.NoError(t, crashAll(crashes{kills: true}, counts))
	missing := counts.Missing(map[string]int{"torn logs": 1, "torn manifests": 1})
	require.Len(t, missing, 2)
}

func TestHarnessOfClientsNoticesAnFsyncThatIsLeftOut(t *testing.T) {
	var err error
	for seed := uint64(0); seed < 8 && err == nil; seed++ {
		err = crowdRun(seed, CrashConfig(), swallows("sync", ".wal"), NewCounts())
	}
	require.ErrorContains(t, err, "killed only: false")
}

func TestHarnessOfTheModelNoticesFilesThatAreNeverRemoved(t *testing.T) {
	list := ops.NewGenerator(1, ops.Everyday()).List(1500)
	run := func(list []ops.Op) error {
		disk := crashfs.New()
		_, err := runListOn(swallows("remove", ".sst")(disk), storeDir, disk.OpenFiles, list, Configs()[0], NewCounts())
		return err
	}
	failure := &Failure{Name: "self", List: list, Err: run(list), Again: run}
	require.Error(t, failure.Err)
	require.ErrorContains(t, failure.Err, ".sst")
	small := failure.Shrunk(10 * time.Second)
	require.Error(t, small.Err)
	require.Less(t, len(small.List), 100)
}

func TestHarnessOfTheModelNoticesAFileThatIsNotClosed(t *testing.T) {
	disk := crashfs.New()
	_, err := runListOn(swallows("close", ".sst")(disk), storeDir, disk.OpenFiles, ops.NewGenerator(1, ops.Everyday()).List(300), Configs()[0], NewCounts())
	require.ErrorContains(t, err, "open after Close")
}

// lens shows a fork or snapshot with one row that is not what it was: the first
// that is met after so many were read right.
type lens struct {
	reader
	right *int
}

func (l lens) bend(value []byte) []byte {
	if *l.right--; *l.right >= 0 || len(value) == 0 {
		return value
	}
	*l.right = math.MaxInt
	bent := append([]byte{}, value...)
	bent[0]++
	return bent
}

func (l lens) AppendGet(dst, key []byte) ([]byte, error) {
	got, err := l.reader.AppendGet(nil, key)
	if err != nil {
		return dst, err
	}
	return append(dst, l.bend(got)...), nil
}

func (l lens) Scan(r engine.Range) (iter.Seq2[[]byte, []byte], func() error) {
	rows, failed := l.reader.Scan(r)
	return func(yield func([]byte, []byte) bool) {
		for key, value := range rows {
			if !yield(key, l.bend(value)) {
				return
			}
		}
	}, failed
}

// lookThrough does a list with one wrong row, perhaps without a look at the model.
func lookThrough(list []ops.Op, right int, blind bool) (*transcript, error) {
	disk := crashfs.New()
	d, err := OpenDriver(disk, storeDir, Configs()[0], nil, NewCounts())
	if err != nil {
		return nil, err
	}
	d.blind, d.seen = blind, &transcript{}
	d.lens = func(r reader) reader { return lens{r, &right} }
	return d.seen, d.finish(list, disk)
}

func TestHarnessOneWrongRowIsNoticedByTheModelAndWithoutItByTheOtherConfigurations(t *testing.T) {
	list := ops.NewGenerator(2, ops.Everyday()).List(800)
	for _, right := range []int{1, 50, 2000} {
		_, err := lookThrough(list, right, false)
		var disagreement *Disagreement
		require.ErrorAs(t, err, &disagreement, "after %d rows", right)

		bent, err := lookThrough(list, right, true)
		require.NoError(t, err, "blind")
		straight, err := lookThrough(list, math.MaxInt, true)
		require.NoError(t, err)
		require.NoError(t, compareTranscripts(list, Configs()[:2], []*transcript{straight, straight}))
		require.ErrorContains(t, compareTranscripts(list, Configs()[:2], []*transcript{straight, bent}), "something else")
	}
}

func TestHarnessMissesFaultsThatAreSwitchedOff(t *testing.T) {
	counts := NewCounts()
	run := faulty{list: ops.NewGenerator(500, ops.Failing()).List(24), config: CrashConfig(), counts: counts}
	require.NoError(t, run.sweep("self", fault{op: faultfs.OpWrite, files: "no files", err: syscall.EIO}))
	missing := counts.Missing(faultTrial().Sometimes)
	require.NotEmpty(t, missing)
	require.Contains(t, fmt.Sprint(missing), "faults: 0, want")
}

// deaf turns the failures of a call into successes.
type deaf struct {
	vfs.FS
	suffix string
}

func (d deaf) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	if err != nil || !strings.Contains(name, d.suffix) {
		return f, err
	}
	return deafFile{f}, nil
}

type deafFile struct{ vfs.File }

func (f deafFile) Sync() error {
	_ = f.File.Sync()
	return nil
}

func TestHarnessOfFaultsNoticesAFailureThatIsKeptSecret(t *testing.T) {
	list := ops.NewGenerator(500, ops.Failing()).List(24)
	untold := 0
	for kind, suffix := range map[string]string{"logs": ".wal", "manifests": "MANIFEST", "tables": ".sst"} {
		run := faulty{list: list, config: CrashConfig(), counts: NewCounts()}
		f := fault{op: faultfs.OpSync, files: kind, err: syscall.EIO}
		require.NoError(t, run.sweep("self", f), "the store as it is")
		run.above = func(fs vfs.FS) vfs.FS { return deaf{fs, suffix} }
		err := run.sweep("self", f)
		require.Error(t, err, kind)
		if errors.Is(err, errUntold) {
			untold++
		}
	}
	require.NotZero(t, untold, "all were noticed by what they did, none by itself")
}

func TestReadersBesideAcceptWhatWasSoMeanwhileAndNothingElse(t *testing.T) {
	list := []ops.Op{
		{N: 0, Kind: ops.Put, Fork: "main", Key: "a", Size: 1}, {N: 1, Kind: ops.Fork, Fork: "main", Name: "child"},
		{N: 2, Kind: ops.Put, Fork: "main", Key: "a", Size: 1}, {N: 3, Kind: ops.Rename, Fork: "main", Name: "was-main"},
		{N: 4, Kind: ops.Put, Fork: "was-main", Key: "b", Size: 1}, {N: 5, Kind: ops.Drop, Fork: "was-main"},
	}
	states := []model.State{model.New()}
	for _, op := range list {
		next, err := ops.Apply(states[len(states)-1], op)
		require.NoError(t, err)
		states = append(states, next)
	}
	main := func(k int, name string) model.Contents {
		f, exists := states[k].Forks.Get(name)
		require.True(t, exists)
		return f.Contents
	}
	require.NoError(t, explained(states[1:4], "main", "", main(1, "main"), nil))
	require.NoError(t, explained(states[1:4], "main", "", main(3, "main"), nil))
	require.NoError(t, explained(states[1:6], "main", "", main(5, "was-main"), nil), "a handle follows a rename")
	require.NoError(t, explained(states[3:5], "main", "", model.Contents{}, engine.ErrForkNotFound))
	require.NoError(t, explained(states[3:], "main", "", model.Contents{}, engine.ErrForkNotFound))
	require.ErrorContains(t, explained(states[2:4], "main", "", main(0, "main"), nil), "never so")
	require.ErrorContains(t, explained(states[1:3], "main", "", main(3, "main"), nil), "never so")
	require.ErrorContains(t, explained(states[3:6], "child", "a", main(3, "main"), nil), "never so")
	require.ErrorContains(t, explained(states[2:6], "child", "", model.Contents{}, engine.ErrForkNotFound), "all the time")
	require.ErrorContains(t, explained(states, "main", "", model.Contents{}, engine.ErrCorrupt), "read of fork")
}
