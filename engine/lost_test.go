package engine_test

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// What is lost of one table is the loss of those who read it: the store opens, the
// others read on, nothing is removed, and when the bytes are back all is as before.
func TestALostTableHitsOnlyTheForksAboveIt(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, disk *crashfs.FS, file string, data []byte){
		"a file is missing": func(t *testing.T, disk *crashfs.FS, file string, _ []byte) {
			require.NoError(t, disk.Remove(file))
			require.NoError(t, disk.SyncDir(path.Dir(file)))
		},
		"a file is empty": func(t *testing.T, disk *crashfs.FS, file string, _ []byte) {
			require.NoError(t, disk.WriteFile(file, []byte{}))
		},
		"a file lacks its last byte": func(t *testing.T, disk *crashfs.FS, file string, data []byte) {
			require.NoError(t, disk.WriteFile(file, data[:len(data)-1]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashfs.New()
			s := open(t, "/db", small(disk))
			require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("a"), []byte("base")))
			hit, err := fork(t, s, engine.MainFork).Fork("hit")
			require.NoError(t, err)
			require.NoError(t, s.Flush())
			before := tableFiles(disk)
			require.NoError(t, hit.Set([]byte("b"), []byte("hit")))
			require.NoError(t, s.Flush())
			require.NoError(t, s.Close())
			var file string
			for name := range tableFiles(disk) {
				if !before[name] {
					file = name
				}
			}
			data, err := disk.ReadFile(file)
			require.NoError(t, err)
			lose(t, disk, file, data)
			stray := path.Join(path.Dir(file), "999999.sst")
			require.NoError(t, disk.WriteFile(stray, []byte("what no manifest names")))
			if name == "a file is missing" {
				_, err := engine.Open("/db", small(disk))
				require.ErrorIs(t, err, engine.ErrCorrupt, "the manifest may be an old one")
				require.ErrorContains(t, err, "move 999999.sst elsewhere")
				o := small(disk)
				o.ReadOnly = true
				s, err := engine.Open("/db", o)
				require.NoError(t, err, "to read what is there does no harm")
				_, err = fork(t, s, "hit").Get([]byte("b"))
				require.ErrorIs(t, err, engine.ErrCorrupt)
				v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
				require.NoError(t, err)
				require.Equal(t, "base", string(v))
				require.NoError(t, s.Close())
				require.NoError(t, disk.Remove(stray))
			}

			s = open(t, "/db", small(disk))
			_, err = fork(t, s, "hit").Get([]byte("b"))
			var ce *engine.CorruptError
			require.ErrorAs(t, err, &ce)
			require.Equal(t, path.Base(file), ce.File)
			require.Equal(t, []string{"hit"}, ce.Forks)
			v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
			require.NoError(t, err)
			require.Equal(t, "base", string(v))
			require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("a"), []byte("more")))
			require.NoError(t, s.Close())
			if name != "a file is missing" {
				require.Contains(t, tableFiles(disk), stray, "where a table is not whole, no file is removed")
			}

			require.NoError(t, disk.WriteFile(file, data))
			s = open(t, "/db", small(disk))
			v, err = fork(t, s, "hit").Get([]byte("b"))
			require.NoError(t, err)
			require.Equal(t, "hit", string(v))
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())
		})
	}
}

// A store that was opened without a lost table goes on being opened, whatever
// orphans its own crashes leave.
func TestAStoreOpenedWithoutALostTableOpensAgain(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("a"), []byte("base")))
	hit, err := fork(t, s, engine.MainFork).Fork("hit")
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	before := tableFiles(disk)
	require.NoError(t, hit.Set([]byte("b"), []byte("hit")))
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	for name := range tableFiles(disk) {
		if !before[name] {
			require.NoError(t, disk.Remove(name))
		}
	}
	require.NoError(t, disk.SyncDir("/db"))

	s = open(t, "/db", small(disk))
	require.NoError(t, s.Close())
	disk = disk.PowerLossStrict()
	require.NoError(t, disk.WriteFile("/db/000099.sst", []byte("of a flush that a crash ended")))
	s = open(t, "/db", small(disk))
	_, err = fork(t, s, "hit").Get([]byte("b"))
	require.ErrorIs(t, err, engine.ErrCorrupt)
	require.NoError(t, fork(t, s, "hit").Drop())
	require.NoError(t, s.Compact())
	v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "base", string(v))
	require.NoError(t, s.Close())

	s = open(t, "/db", small(disk)) // nothing is lost any more
	require.NoError(t, s.Verify(), "and the orphan is gone")
	require.NoError(t, s.Close())
}

// Every open writes a manifest of its own and removes all others, also those that
// a crash has left.
func TestAnOpenLeavesOneManifest(t *testing.T) {
	disk := crashfs.New()
	for range 3 {
		require.NoError(t, open(t, "/db", small(disk)).Close())
		require.NoError(t, disk.WriteFile("/db/MANIFEST-000900", []byte("of an open that a crash ended")))
		require.NoError(t, open(t, "/db", small(disk)).Close())
		names, err := disk.List("/db")
		require.NoError(t, err)
		manifests := 0
		for _, name := range names {
			if kind, _ := ids.ParseFileName(name); kind == ids.FileManifest {
				manifests++
			}
		}
		require.Equal(t, 1, manifests, "%v", names)
	}
}
