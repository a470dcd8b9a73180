package engine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// withOrphan is a store that was killed while a flush had written a table and not
// published it.
func withOrphan(t *testing.T) (disk *crashfs.FS, orphan string) {
	t.Helper()
	live := crashfs.New()
	s := open(t, "/db", small(live))
	f := fork(t, s, engine.MainFork)
	fill(t, s, f, "v1", 40)
	require.NoError(t, s.Flush())
	fill(t, s, f, "v2", 40)
	require.NoError(t, s.Sync())
	before := tableFiles(live)
	live.OnMutation(func(int) {
		if disk != nil {
			return
		}
		image := live.AfterKill()
		for name := range tableFiles(image) {
			if data, err := image.ReadFile(name); err == nil && !before[name] && len(data) > 0 {
				disk, orphan = image, name
			}
		}
	})
	require.NoError(t, s.Flush())
	live.OnMutation(nil)
	require.NotNil(t, disk)
	return disk, orphan
}

func repair(disk *crashfs.FS) (*engine.RepairReport, error) {
	return engine.RepairOrphans("/db", engine.RepairOptions{FS: disk})
}

func TestAnOrphanIsRemovedAndNothingElse(t *testing.T) {
	disk, orphan := withOrphan(t)
	require.NoError(t, disk.WriteFile(filepath.Dir(orphan)+"/letter.txt", []byte("mine")))
	require.NoError(t, disk.WriteFile(filepath.Dir(orphan)+"/CURRENT.old", []byte("mine too")))
	require.NoError(t, disk.WriteFile(filepath.Dir(orphan)+"/CURRENT.tmp", []byte("begun")))
	before := check(t, disk, engine.CheckDeep)
	require.True(t, before.OK(), "%v", before.Problems)
	require.Equal(t, []string{filepath.Base(orphan)}, before.Leaked)
	require.ElementsMatch(t, []string{"letter.txt", "CURRENT.old"}, before.Foreign)

	dry, err := engine.RepairOrphans("/db", engine.RepairOptions{FS: disk, DryRun: true})
	require.NoError(t, err)
	require.Contains(t, disk.Names(), orphan)
	names := disk.Names()
	r, err := repair(disk)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Base(orphan), "CURRENT.tmp"}, r.Removed)
	require.Equal(t, dry.Removed, r.Removed)
	require.Len(t, disk.Names(), len(names)-2)

	after := check(t, disk.PowerLossStrict(), engine.CheckDeep)
	require.True(t, after.OK())
	require.Empty(t, after.Leaked, "the removal is durable")
	require.Equal(t, before.Hashes, after.Hashes)
	r, err = repair(disk)
	require.NoError(t, err)
	require.Empty(t, r.Removed)
}

func TestRepairRefusesWhatIsNotProven(t *testing.T) {
	appended := func(t *testing.T, disk *crashfs.FS, name, text string) {
		t.Helper()
		data, err := disk.ReadFile(name)
		require.NoError(t, err)
		end := len(strings.TrimRight(string(data), "\x00"))
		end = (end + 511) / 512 * 512
		for len(data) < end+len(text) {
			data = append(data, 0)
		}
		copy(data[end:], text)
		require.NoError(t, disk.WriteFile(name, data))
	}
	for name, harm := range map[string]func(t *testing.T, disk *crashfs.FS, orphan string){
		"a bad block": func(t *testing.T, disk *crashfs.FS, orphan string) {
			for table := range tableFiles(disk) {
				if table != orphan {
					flip(t, disk, table, 20)
				}
			}
		},
		"a missing table": func(t *testing.T, disk *crashfs.FS, orphan string) {
			for table := range tableFiles(disk) {
				if table != orphan {
					require.NoError(t, disk.Remove(table))
				}
			}
		},
		"a torn manifest": func(t *testing.T, disk *crashfs.FS, _ string) {
			appended(t, disk, names(disk, "MANIFEST-")[0], "TXNE of which only the beginning is there, and a sector more")
		},
		"a torn log": func(t *testing.T, disk *crashfs.FS, _ string) {
			logs := names(disk, ".wal")
			last := ""
			for _, log := range logs { // the one in use: spares have no header
				if data, err := disk.ReadFile(log); err == nil && strings.HasPrefix(string(data), "tine-wal") {
					last = log
				}
			}
			appended(t, disk, last, "remains")
		},
		"a second manifest": func(t *testing.T, disk *crashfs.FS, orphan string) {
			data, err := disk.ReadFile(names(disk, "MANIFEST-")[0])
			require.NoError(t, err)
			require.NoError(t, disk.WriteFile(filepath.Dir(orphan)+"/MANIFEST-000001", data))
		},
		"no mark behind the last transaction": func(t *testing.T, disk *crashfs.FS, _ string) {
			name := names(disk, "MANIFEST-")[0]
			data, err := disk.ReadFile(name)
			require.NoError(t, err)
			at := strings.LastIndex(string(data), "MARK")
			require.Positive(t, at)
			for i := at; i < len(data); i++ {
				data[i] = 0
			}
			require.NoError(t, disk.WriteFile(name, data))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk, orphan := withOrphan(t)
			harm(t, disk, orphan)
			before := disk.Names()
			r, err := repair(disk)
			require.ErrorIs(t, err, engine.ErrUndecided)
			require.ErrorContains(t, err, map[string]string{
				"a bad block": "last good copy", "a missing table": "last good copy",
				"a torn manifest": "MANIFEST-000003 ends in an interrupted write", "a torn log": ".wal ends in an interrupted write",
				"a second manifest": "MANIFEST-000001", "no mark behind the last transaction": "may not be durable",
			}[name])
			require.Empty(t, r.Removed)
			require.Equal(t, before, disk.Names())
		})
	}
}

func TestRepairIsRefusedWhileTheStoreIsOpen(t *testing.T) {
	disk := crashfs.New()
	open(t, "/db", small(disk))
	_, err := repair(disk)
	require.ErrorIs(t, err, engine.ErrLocked)
}

// A drop that only the log knows: nothing reads the table any more, and yet the
// manifest names it, and the end of the log may be taken back.
func TestATableThatTheManifestNamesIsKept(t *testing.T) {
	live := crashfs.New()
	s := open(t, "/db", small(live))
	f := fork(t, s, engine.MainFork)
	try, err := f.Fork("try")
	require.NoError(t, err)
	fill(t, s, try, "v", 10)
	require.NoError(t, s.Flush())
	table := names(live, ".sst")[0]
	require.NoError(t, try.Drop())
	disk := live.AfterKill()
	require.Equal(t, []string{filepath.Base(table)}, check(t, disk, engine.CheckFull).Leaked)
	r, err := repair(disk)
	require.NoError(t, err)
	require.Empty(t, r.Removed)
	require.Equal(t, []string{filepath.Base(table)}, r.Kept)
}
