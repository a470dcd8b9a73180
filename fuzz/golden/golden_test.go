package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
)

func forEachStore(t *testing.T, test func(t *testing.T, s Store)) {
	stores, err := Stores()
	require.NoError(t, err)
	require.NotEmpty(t, stores)
	for _, s := range stores {
		t.Run(s.Version+"/"+s.Name, func(t *testing.T) { test(t, s) })
	}
}

// check runs the store's own check on a directory.
func check(t *testing.T, dir string, fs vfs.FS) *engine.CheckReport {
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep, FS: fs})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Empty(t, report.Missing)
	return report
}

func filesOf(t *testing.T, dir string) Files {
	files, err := readDir(os.DirFS(dir), ".")
	require.NoError(t, err)
	return files
}

// On the operating system's files, because that is where old stores are.
func TestGoldenStoreIsReadWithoutAByteChanging(t *testing.T) {
	forEachStore(t, func(t *testing.T, s Store) {
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, s.Files.WriteTo(dir))
		report := check(t, dir, vfs.OS)
		require.Equal(t, s.Name == tornStore, report.TornLog)
		require.Equal(t, s.Name == tornStore, report.TornManifest)
		require.Empty(t, filesOf(t, dir).Diff(s.Files), "after a check")

		c := fuzz.Config{Name: "read-only", Options: engine.Options{ReadOnly: true}}
		d, err := fuzz.Resume(vfs.OS, dir, c, s.State, fuzz.NewCounts())
		require.NoError(t, err)
		require.NoError(t, d.Do(ops.Op{Kind: ops.Check}), "it holds what its listing says")
		require.NoError(t, d.Close())
		require.Empty(t, filesOf(t, dir).Diff(s.Files), "after reading")
	})
}

func TestGoldenStoreIsGoneOnWithOnDisk(t *testing.T) {
	forEachStore(t, func(t *testing.T, s Store) {
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, s.Files.WriteTo(dir))
		d, err := fuzz.Resume(vfs.OS, dir, fuzz.Configs()[0], s.State, fuzz.NewCounts())
		require.NoError(t, err)
		list := []ops.Op{{Kind: ops.Check}, {Kind: ops.Reopen}, {Kind: ops.Check}}
		for name := range s.State.Forks.All() {
			list = append(list,
				ops.Op{Kind: ops.Put, Fork: name, Key: "k000", Size: 40, NoSync: true},
				ops.Op{Kind: ops.Delete, Fork: name, Key: "k013", NoSync: true},
				ops.Op{Kind: ops.Fork, Fork: name, Name: "child-of-" + name, NoSync: true},
				ops.Op{Kind: ops.Put, Fork: "child-of-" + name, Key: "k001", Size: 40, NoSync: true})
		}
		list = append(list, ops.Op{Kind: ops.Check}, ops.Op{Kind: ops.Flush}, ops.Op{Kind: ops.Check})
		for name := range s.State.Forks.All() {
			list = append(list, ops.Op{Kind: ops.Drop, Fork: name, NoSync: true})
		}
		for name := range s.State.Snapshots.All() {
			list = append(list, ops.Op{Kind: ops.Reset, Fork: "child-of-main", Name: "child-of-late", NoSync: true},
				ops.Op{Kind: ops.ResetSnapshot, Fork: "child-of-main", Name: name, NoSync: true})
		}
		list = append(list, ops.Op{Kind: ops.Compact}, ops.Op{Kind: ops.Verify}, ops.Op{Kind: ops.Check},
			ops.Op{Kind: ops.Reopen}, ops.Op{Kind: ops.Check})
		for i, op := range list {
			op.N = 3_000_000 + i
			require.NoError(t, d.Do(op))
		}
		require.NoError(t, d.Close())
		require.Empty(t, check(t, dir, vfs.OS).Leaked)
		v, err := versionsOf(filesOf(t, dir))
		require.NoError(t, err)
		require.DirExists(t, filepath.Join("testdata", v.String()), "it is written on in a version that is known")
	})
}

func TestGoldenStoresAreGoneOnWith(t *testing.T) {
	counts := fuzz.NewCounts()
	runs := 24 * fuzz.Soak()
	if testing.Short() {
		runs = 6
	}
	for _, trial := range Trials() {
		require.NoError(t, trial.Repeat(1, runs, counts))
		t.Logf("met:\n%s", counts)
		if !testing.Short() {
			require.Empty(t, counts.Missing(trial.Sometimes))
		}
	}
}
