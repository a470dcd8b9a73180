package golden

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/ops"
)

// withFile gives the store's files with one of them in another version.
func (s *Store) withFile(t *testing.T, name string, version int) Files {
	files := maps.Clone(s.Files)
	files[name] = withVersion(name, files[name], version)
	found, err := versionOf(name, files[name])
	require.NoError(t, err)
	require.Equal(t, version, found)
	return files
}

// versioned calls test for each file with a version of its own: the mixtures in
// which just that file is of another one. A segment that was never used has none.
func (s *Store) versioned(t *testing.T, test func(t *testing.T, name string, kind fileKind, version int)) {
	met := map[fileKind]int{}
	for _, name := range s.Files.Names() {
		version, err := versionOf(name, s.Files[name])
		require.NoError(t, err)
		if version == 0 {
			continue
		}
		kind := kindOf(name)
		met[kind]++
		t.Run(name, func(t *testing.T) { test(t, name, kind, version) })
	}
	require.Equal(t, 1, met[currentFile])
	require.Equal(t, 1, met[manifestFile])
	require.GreaterOrEqual(t, met[segmentFile], 3, "sealed ones and the last")
	require.GreaterOrEqual(t, met[tableFile], 2)
}

// refusal opens and checks files in all ways and gives the errors. Nothing may
// change, and the same kind of error come each time.
func refusal(t *testing.T, files Files, want error) (texts []string) {
	disk, err := files.Memory()
	require.NoError(t, err)
	for _, o := range []engine.Options{{}, {MustExist: true, Manual: true}, {ReadOnly: true}} {
		o.FS = disk
		s, err := engine.Open(storeDir, &o)
		if err == nil {
			require.NoError(t, s.Close())
			require.Error(t, err, "it was opened with %+v", o)
		}
		require.ErrorIs(t, err, want)
		texts = append(texts, err.Error())
	}
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	if err == nil {
		require.NotEmpty(t, report.Problems)
		for _, p := range report.Problems {
			texts = append(texts, fmt.Sprintf("%s: %s", p.File, p.Text))
		}
	} else {
		require.ErrorIs(t, err, want)
		texts = append(texts, err.Error())
	}
	got, err := readMemory(disk)
	require.NoError(t, err)
	require.Empty(t, got.Diff(files))
	require.Zero(t, disk.OpenFiles())
	return texts
}

func TestNewerFileIsRefusedByNameAndNothingChanges(t *testing.T) {
	forEachStore(t, func(t *testing.T, s Store) {
		s.versioned(t, func(t *testing.T, name string, kind fileKind, version int) {
			if kind == tableFile {
				return // see below
			}
			for _, newer := range []int{version + 1, version + 41} {
				for _, text := range refusal(t, s.withFile(t, name, newer), engine.ErrNewerFormat) {
					require.Contains(t, text, name)
					require.Contains(t, text, fmt.Sprint(newer), "the version that was found")
					require.Contains(t, text, fmt.Sprintf("knows %d", version), "the version that is known")
					require.Contains(t, text, "newer version of tine", "what to do")
				}
			}
		})
	})
}

func TestVersionThatNeverWasIsDamageAndNothingChanges(t *testing.T) {
	forEachStore(t, func(t *testing.T, s Store) {
		s.versioned(t, func(t *testing.T, name string, kind fileKind, _ int) {
			if kind == tableFile {
				return // see below
			}
			for _, text := range refusal(t, s.withFile(t, name, 0), engine.ErrCorrupt) {
				require.Contains(t, text, name)
				require.Contains(t, text, "format version 0 never was")
			}
		})
	})
}

func TestFormatThatIsNotReadAnyMoreIsRefusedAndNothingChanges(t *testing.T) {
	stores, err := OldStores()
	require.NoError(t, err)
	require.Len(t, stores, 2*len(unreleased))
	for _, s := range stores {
		t.Run(s.Version+"/"+s.Name, func(t *testing.T) {
			for _, text := range refusal(t, s.Files, engine.ErrOldFormat) {
				require.Regexp(t, `(MANIFEST-\d{6}: format version|segment \d{6}\.wal has format) [12], this program knows [23]:`, text)
				require.Contains(t, text, "older format")
				require.NotContains(t, text, "corrupt")
			}
		})
	}
}

// Tables are opened when they are first needed. One of another version is refused
// there: forks that do not read through it go on, and no job takes it away or
// leaves its rows out.
func TestTableOfAnotherVersionIsRefusedWhereItIsNeeded(t *testing.T) {
	forEachStore(t, func(t *testing.T, s Store) {
		s.versioned(t, func(t *testing.T, name string, kind fileKind, version int) {
			if kind != tableFile {
				return
			}
			t.Run("newer", func(t *testing.T) {
				requireTableRefused(t, &s, name, s.withFile(t, name, version+1), engine.ErrNewerFormat,
					name, fmt.Sprintf("format %d", version+1), fmt.Sprintf("knows %d", version), "newer version of tine")
			})
			t.Run("never was", func(t *testing.T) {
				requireTableRefused(t, &s, name, s.withFile(t, name, 0), engine.ErrCorrupt, name, "table format 0 never was")
			})
		})
	})
}

func requireTableRefused(t *testing.T, s *Store, name string, files Files, want error, words ...string) {
	disk, err := files.Memory()
	require.NoError(t, err)
	requireRefusal := func(err error) {
		require.ErrorIs(t, err, want)
		for _, word := range words {
			require.ErrorContains(t, err, word)
		}
	}
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	if err != nil {
		requireRefusal(err)
	} else {
		require.NotEmpty(t, report.Problems)
	}

	store, err := engine.Open(storeDir, &engine.Options{FS: disk, ReadOnly: true})
	require.NoError(t, err)
	refused := 0
	for fork, f := range s.State.Forks.All() {
		for key, value := range f.Contents.All() {
			handle, err := store.Fork(fork)
			require.NoError(t, err)
			got, err := handle.Get([]byte(key))
			if err != nil {
				requireRefusal(err)
				refused++
				continue
			}
			require.Equal(t, value, string(got), "fork %s, key %q", fork, key)
		}
	}
	require.NoError(t, store.Close())
	got, err := readMemory(disk)
	require.NoError(t, err)
	require.Empty(t, got.Diff(files), "after reading")

	store, err = engine.Open(storeDir, &engine.Options{FS: disk, Manual: true, TableBytes: 1 << 10, BlockBytes: 512})
	require.NoError(t, err)
	_ = store.Flush() // may need no table
	if err := store.Compact(); err != nil {
		requireRefusal(err)
		refused++
	}
	require.NoError(t, store.Close())
	require.Positive(t, refused)
	if got, err = readMemory(disk); err != nil || got[name] == nil {
		require.Fail(t, "the table is gone", "%s: %v", name, err)
	}

	// With the table as it was all rows are there, those written since too.
	require.NoError(t, disk.WriteFile(storeDir+"/"+name, s.Files[name]))
	d, err := fuzz.Resume(disk, storeDir, fuzz.Configs()[0], s.State, fuzz.NewCounts())
	require.NoError(t, err)
	require.NoError(t, d.Do(ops.Op{Kind: ops.Check}))
	require.NoError(t, d.Close())
	require.NoError(t, checkClean(disk))
}
