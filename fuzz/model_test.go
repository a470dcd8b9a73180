package fuzz

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// runList does a list to a new store in one configuration, and at the end
// compares everything, closes and checks.
func runList(list []ops.Op, c Config, counts *Counts) error {
	fs := crashfs.New()
	return runListOn(fs, storeDir, fs.OpenFiles, list, c, counts)
}

func runListOn(fs vfs.FS, dir string, open func() int, list []ops.Op, c Config, counts *Counts) (err error) {
	d, err := OpenDriver(fs, dir, c, nil, counts)
	if err != nil {
		return err
	}
	d.openHandles = open
	for _, op := range list {
		if err := d.Do(op); err != nil {
			return err
		}
	}
	for _, kind := range []ops.Kind{ops.Check, ops.Verify, ops.Reopen, ops.Check, ops.Flush, ops.Compact, ops.Check} {
		if err := d.Do(ops.Op{N: -1, Kind: kind}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	if err := d.Close(); err != nil {
		return fmt.Errorf("at the end: close: %w", err)
	}
	return checkClean(fs, dir)
}

// report shrinks a list that fails and says all that is needed to look for the
// reason.
func report(t *testing.T, name string, list []ops.Op, c Config, err error) {
	t.Helper()
	if !shrinks() {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	small := ops.Shrink(list, 3000, func(candidate []ops.Op) bool {
		return time.Now().Before(deadline) && runList(candidate, c, NewCounts()) != nil
	})
	t.Fatalf("%s: %v\nshrunk: %v\n%s", c.Name, err, runList(small, c, NewCounts()), Save(name, small))
}

func TestModelAndStoreAgree(t *testing.T) {
	counts := NewCounts()
	const seeds, length = 3, 6000
	for seed := range uint64(seeds * Soak()) {
		for n, c := range Configs() {
			list := ops.NewGenerator(seed*100+uint64(n), ops.Everyday()).List(length)
			if err := runList(list, c, counts); err != nil {
				report(t, fmt.Sprintf("model-%d-%d", seed, n), list, c, err)
			}
		}
	}
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(map[string]int{
		"operations": 100000, "forks": 5000, "drops": 4000, "snapshots": 500, "refused": 500,
		"forks of depth 64 or more": 200, "forks made while 64 or more live": 50,
		"drops of a parent before its child": 1000, "batch over several forks": 1000,
		"operation reset": 500, "operation resetsnapshot": 200, "operation forksnapshot": 500,
		"operation reopen": 100, "operation renamesnapshot": 20, "operation rename": 200,
		"held iterator read after its fork was dropped": 100, "held iterator read after a flush or compaction": 200,
		"flushes of a memtable that several forks share": 200, "closed with unflushed forks": 50,
		"store: flushes": 500, "store: merges": 200, "store: consolidations": 20, "store: files removed": 500,
	}))
}

// The same on the operating system's files: what a file system in memory gets
// wrong in the same way as the store would else not be seen.
func TestModelAndStoreAgreeOnDisk(t *testing.T) {
	counts := NewCounts()
	p := ops.Everyday()
	p.NoSync = 0.98
	for n, c := range Configs() {
		list := ops.NewGenerator(uint64(7000+n), p).List(700 * Soak())
		require.NoError(t, runListOn(vfs.OS, filepath.Join(t.TempDir(), "store"), nil, list, c, counts), c.Name)
	}
}

// Lists that once failed are replayed in every configuration.
func TestModelReplaysSavedLists(t *testing.T) {
	files, err := filepath.Glob("testdata/ops/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.Open(file)
		require.NoError(t, err)
		list, err := ops.Parse(text)
		text.Close()
		require.NoError(t, err, file)
		for _, c := range Configs() {
			require.NoError(t, runList(list, c, NewCounts()), "%s: %s", file, c.Name)
		}
	}
}
