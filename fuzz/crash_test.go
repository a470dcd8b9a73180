package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// crashRun does a list to a new store and judges the images of a crash at every
// call to the file system, from the first of the store's creation on.
func crashRun(list []ops.Op, c Config, seed uint64, powers, stride, depth int, counts *Counts) error {
	return crashRunOn(newDisk(), list, c, seed, powers, stride, depth, counts)
}

func crashRunOn(fs *crashfs.FS, list []ops.Op, c Config, seed uint64, powers, stride, depth int, counts *Counts) error {
	history := NewHistory()
	cam := &camera{fs: fs, history: history, counts: counts, powers: powers, stride: stride, rng: rand.New(rand.NewPCG(seed, 3))}
	history.begin("open", nil)
	cam.pause(seed%16 != 0) // the creation of a store is the same each time
	d, err := OpenDriver(&tap{fs, cam.snap}, storeDir, c, history, counts)
	if err != nil {
		return err
	}
	cam.pause(false)
	for _, op := range list {
		if err := d.Do(op); err != nil {
			return err
		}
	}
	history.begin("close", nil)
	if err := d.Close(); err != nil {
		return err
	}
	judge := &Judge{history: history, config: c, counts: counts, depth: depth}
	return judgeAll(judge, cam.images)
}

// newDisk is a file system on which the store's directory is there for good.
func newDisk() *crashfs.FS {
	fs := crashfs.New()
	if err := errors.Join(fs.MkdirAll(storeDir), fs.SyncDir(".")); err != nil {
		panic(err)
	}
	return fs
}

// judgeAll judges on every processor and gives the first failure.
func judgeAll(j *Judge, images []Image) error {
	var wg sync.WaitGroup
	errs := make([]error, len(images))
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				errs[i] = j.Verdict(images[i])
				images[i].FS = nil
			}
		})
	}
	for i := range images {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// reportCrash shrinks a list whose images fail.
func reportCrash(t *testing.T, name string, list []ops.Op, c Config, seed uint64, err error) {
	t.Helper()
	if !shrinks() {
		t.Fatal(err)
	}
	small := ops.Shrink(list, 150, func(candidate []ops.Op) bool {
		return crashRun(candidate, c, seed, 3, 1, 1, NewCounts()) != nil
	})
	t.Fatalf("%v\nshrunk: %v\n%s", err, crashRun(small, c, seed, 3, 1, 1, NewCounts()), Save(name, small))
}

// alphabet is what short scripts are made of, flush, compact and reopen at its
// end, all of them after a prelude that
// leaves two forks, a snapshot, tables and unflushed writes of both forks.
var alphabet = []ops.Op{
	{Kind: ops.Put, Fork: "main", Key: "a", Size: 70},
	{Kind: ops.Delete, Fork: "child", Key: "a", NoSync: true},
	{Kind: ops.Batch, Writes: []ops.Write{{Fork: "main", Key: "b", Size: 30}, {Fork: "child", Key: "b", Size: 30}, {Fork: "main", Key: "a", Delete: true}}, NoSync: true},
	{Kind: ops.Fork, Fork: "main", Name: "second"},
	{Kind: ops.Fork, Fork: "child", Name: "grandchild", NoSync: true},
	{Kind: ops.ForkSnapshot, Fork: "kept", Name: "second"},
	{Kind: ops.Snapshot, Fork: "child", Name: "more"},
	{Kind: ops.DropSnapshot, Fork: "kept"},
	{Kind: ops.Drop, Fork: "main"},
	{Kind: ops.Drop, Fork: "child", NoSync: true},
	{Kind: ops.Rename, Fork: "child", Name: "renamed"},
	{Kind: ops.Reset, Fork: "main", Name: "child"},
	{Kind: ops.ResetSnapshot, Fork: "child", Name: "kept", NoSync: true},
	{Kind: ops.Flush},
	{Kind: ops.Compact},
	{Kind: ops.Reopen},
}

var prelude = []ops.Op{
	{Kind: ops.Put, Fork: "main", Key: "a", Size: 40},
	{Kind: ops.Snapshot, Fork: "main", Name: "kept"},
	{Kind: ops.Put, Fork: "main", Key: "c", Size: 40},
	{Kind: ops.Flush},
	{Kind: ops.Fork, Fork: "main", Name: "child"},
	{Kind: ops.Put, Fork: "main", Key: "d", Size: 40, NoSync: true},
	{Kind: ops.Put, Fork: "child", Key: "d", Size: 40, NoSync: true},
}

// script puts the numbered letters behind the prelude.
func script(letters ...int) []ops.Op {
	list := append([]ops.Op{}, prelude...)
	for _, letter := range letters {
		list = append(list, alphabet[letter])
	}
	for n := range list {
		list[n].N = n
	}
	return list
}

func TestCrashAtEveryCallOfShortScripts(t *testing.T) {
	counts := NewCounts()
	n := len(alphabet)
	for first := range n {
		for second := range n {
			list := script(first, second)
			seed := uint64(first*n + second)
			if err := crashRun(list, CrashConfig(), seed, 1, 3, 1, counts); err != nil {
				reportCrash(t, fmt.Sprintf("crash-%d-%d", first, second), list, CrashConfig(), seed, err)
			}
		}
	}
	// Every letter on forks that have tables of their own, and then what makes
	// garbage of them go.
	flush := n - 3
	for first := range n {
		for second := flush; second < n; second++ {
			list, seed := script(flush, first, second), uint64(1000+first*n+second)
			list[5].Fork = "child" // main would share its file
			if err := crashRun(list, CrashConfig(), seed, 2, 1, 0, counts); err != nil {
				reportCrash(t, fmt.Sprintf("crash-flushed-%d-%d", first, second), list, CrashConfig(), seed, err)
			}
		}
	}
	rng := rand.New(rand.NewPCG(11, 0))
	for range 60 * Soak() {
		list, seed := script(rng.IntN(n), rng.IntN(n), rng.IntN(n), rng.IntN(n)), rng.Uint64()
		if err := crashRun(list, CrashConfig(), seed, 1, 2, 1, counts); err != nil {
			reportCrash(t, "crash-script", list, CrashConfig(), seed, err)
		}
	}
	demand(t, counts, map[string]int{
		"images": 10000, "images in recovery": 2000, "images during fork": 500, "images during flush": 1000,
		"images during compact": 200, "images during drop": 200, "images during reset": 100,
		"images during reopen": 1000, "images before a log segment is trimmed": 200,
		"images before a manifest sync": 500, "torn logs": 15, "torn manifests": 50,
		"operation that was not promised is there": 500, "operation that was not promised is not there": 500,
	})
}

func TestCrashAtEveryCallOfRandomRuns(t *testing.T) {
	counts := NewCounts()
	for seed := range uint64(24 * Soak()) {
		list := ops.NewGenerator(seed, ops.Crashing()).List(50)
		if err := crashRun(list, CrashConfig(), seed, 2, 2, 1, counts); err != nil {
			reportCrash(t, fmt.Sprintf("crash-random-%d", seed), list, CrashConfig(), seed, err)
		}
	}
	demand(t, counts, map[string]int{
		"images": 5000, "images in recovery": 1000, "images during fork": 200, "images during flush": 500,
		"images during compact": 200, "images during drop": 100, "images during reset": 30,
		"images before a table file is unlinked": 50, "images before a log segment is trimmed": 100,
		"images in a rotation of the log": 100, "torn logs": 15,
	})
}

// The store makes its directory, and must see to it that it stays.
func TestCrashWithADirectoryThatTheStoreMade(t *testing.T) {
	require.NoError(t, crashRunOn(crashfs.New(), script(0, 3, 13), CrashConfig(), 16, 4, 1, 1, NewCounts()))
}

// Many flushes of many forks: merges, within a segment and across branch points,
// joins, and files that become unreachable by them.
func TestCrashAroundMergesOfSharedTables(t *testing.T) {
	counts := NewCounts()
	for seed := range uint64(12 * Soak()) {
		list := ops.NewGenerator(2000+seed, ops.Merging()).List(260)
		if err := crashRun(list, CrashConfig(), seed, 1, 9, 1, counts); err != nil {
			reportCrash(t, fmt.Sprintf("crash-merge-%d", seed), list, CrashConfig(), seed, err)
		}
	}
	demand(t, counts, map[string]int{
		"images": 4000, "images during compact": 400, "images before a table file is unlinked": 200,
		"store: merges": 100, "store: merges across a branch point": 5, "store: joins": 5, "store: tombstones dropped": 50,
	})
}

// No flushes: nodes in memory are consolidated, and the log is trimmed up to the
// oldest of what they were made of.
func TestCrashAroundConsolidations(t *testing.T) {
	counts := NewCounts()
	for seed := range uint64(10 * Soak()) {
		list := ops.NewGenerator(3000+seed, ops.Freezing()).List(200)
		if err := crashRun(list, CrashConfig(), seed, 1, 4, 1, counts); err != nil {
			reportCrash(t, fmt.Sprintf("crash-freeze-%d", seed), list, CrashConfig(), seed, err)
		}
	}
	demand(t, counts, map[string]int{
		"images": 3000, "store: consolidations": 40, "images before a log segment is trimmed": 60,
	})
}

// With background work the images also fall between a flush that nobody asked
// for and the writes of the client.
func TestCrashUnderBackgroundWork(t *testing.T) {
	counts := NewCounts()
	c := CrashConfig()
	c.Options.Manual = false
	for seed := range uint64(12 * Soak()) {
		list := ops.NewGenerator(1000+seed, ops.Crashing()).List(120)
		if err := crashRun(list, c, seed, 2, 4, 0, counts); err != nil {
			t.Fatalf("%v\n%s", err, Save(fmt.Sprintf("crash-background-%d", seed), list))
		}
	}
	demand(t, counts, map[string]int{"images": 1000, "store: flushes": 50, "images before a table file is unlinked": 10})
}

func demand(t *testing.T, counts *Counts, demanded map[string]int) {
	t.Helper()
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(demanded))
}
