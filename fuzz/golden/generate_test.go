package golden

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

var update = flag.Bool("update", false, "make the directory of the version that this program writes, if there is none")

// made gives the stores that this program makes, the same bytes every time.
func made(t *testing.T) (stores []Store) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		var err error
		stores, err = generate()
		require.NoError(t, err)
	})
	return stores
}

func TestTheVersionThatThisProgramWritesHasAGoldenStore(t *testing.T) {
	stores := made(t)
	for _, s := range stores {
		dir := filepath.Join("testdata", s.Version)
		if _, err := os.Stat(filepath.Join(dir, s.Name+".txt")); os.IsNotExist(err) && *update {
			require.NoError(t, s.Files.WriteTo(filepath.Join(dir, s.Name)))
			require.NoError(t, os.WriteFile(filepath.Join(dir, s.Name+".txt"), []byte(formatListing(s.State.View())), 0o644))
			t.Logf("made %s/%s: commit it, and never change it again", dir, s.Name)
		}
		require.DirExists(t, dir, "this program writes a version that has no golden store: go test ./fuzz/golden -update")
	}
}

func TestDirectoriesAreNamedAsTheirFilesSay(t *testing.T) {
	stores, err := Stores()
	require.NoError(t, err)
	require.NotEmpty(t, stores)
	for _, s := range stores {
		v, err := versionsOf(s.Files)
		require.NoError(t, err)
		require.Equal(t, v.String(), s.Version)
	}
}

func TestWhatIsMadeIsTheSameEveryTime(t *testing.T) {
	first := made(t)
	t.Run("again", func(t *testing.T) {
		for i, s := range made(t) {
			require.Equal(t, formatListing(first[i].State.View()), formatListing(s.State.View()))
			// A transaction's edits of one kind stand in no order.
			require.Equal(t, takeManifest(t, first[i]), takeManifest(t, s), s.Name)
			require.Empty(t, s.Files.Diff(first[i].Files), s.Name)
		}
	})
}

// takeManifest takes the manifest out of the files and gives what it says.
func takeManifest(t *testing.T, s Store) *manifest.State {
	disk, err := s.Files.Memory()
	require.NoError(t, err)
	state, info, err := manifest.Load(disk, storeDir)
	require.NoError(t, err)
	delete(s.Files, info.Name)
	return state
}

// A golden store is worth what is in it.
func TestWhatIsMadeHasEverythingThatAStoreCanHave(t *testing.T) {
	for _, s := range made(t) {
		t.Run(s.Name, func(t *testing.T) {
			disk, err := s.Files.Memory()
			require.NoError(t, err)
			var log strings.Builder
			require.NoError(t, wal.Dump(&log, disk, storeDir))
			for _, kind := range []string{
				"batch", "fork", "snapshot", "drop", "drop-snapshot", "rename", "rename-snapshot", "reset", "mark",
			} {
				require.Contains(t, log.String(), " "+kind+" ", "a record of the log")
			}
			require.Contains(t, log.String(), "delete range from ", "a write of a batch")
			require.GreaterOrEqual(t, strings.Count(log.String(), " segment "), 3, "sealed segments")
			require.Equal(t, s.Name == tornStore, strings.Contains(log.String(), " torn tail"))

			_, info, err := manifest.Load(disk, storeDir)
			require.NoError(t, err)
			require.Equal(t, s.Name == tornStore, info.TornOffset >= 0)
			require.Positive(t, info.Transactions)

			requireTables(t, disk)
			requireVectors(t, disk)
			store, err := engine.Open(storeDir, &engine.Options{ReadOnly: true, FS: disk})
			require.NoError(t, err)
			defer store.Close()
			stats := store.Stats()
			require.Positive(t, stats.MemtableBytes, "rows that no table has")
		})
	}
}

var blockLine = regexp.MustCompile(`(?m)^block .* (\d+) bytes, (\d+) decompressed`)

// requireTables demands tables with tombstones, shared ones, and blocks that are
// compressed and that are not.
func requireTables(t *testing.T, disk *crashfs.FS) {
	state, _, err := manifest.Load(disk, storeDir)
	require.NoError(t, err)
	readers := sstable.NewTables(disk, storeDir, sstable.NewCache(1<<20), 4)
	defer readers.Close()
	tombstones, raw, packed := uint64(0), 0, 0
	for _, m := range state.Tables {
		r, err := readers.Reader(&m)
		require.NoError(t, err)
		tombstones += r.Properties().Tombstones
		var text strings.Builder
		require.NoError(t, sstable.Dump(&text, r, false))
		for _, block := range blockLine.FindAllStringSubmatch(text.String(), -1) {
			stored, _ := strconv.Atoi(block[1])
			whole, _ := strconv.Atoi(block[2])
			if stored < whole {
				packed++
			} else {
				raw++
			}
		}
	}
	require.Positive(t, tombstones)
	require.Positive(t, raw, "a block that is stored as it is")
	require.Positive(t, packed, "a compressed block")
	older := map[any]int{}
	for _, n := range state.Nodes {
		older[n.Older]++
	}
	for f := range state.Forks.All() {
		older[f.Top]++
	}
	shared := 0
	for _, above := range older {
		if above > 1 {
			shared++
		}
	}
	require.Positive(t, shared, "a node that several forks read through")
}

// requireVectors demands vectors of whole tables and of rows here and there, and a
// table of which several nodes mark rows.
func requireVectors(t *testing.T, disk *crashfs.FS) {
	state, info, err := manifest.Load(disk, storeDir)
	require.NoError(t, err)
	whole, some, several := 0, 0, 0
	holders := map[ids.TableID]int{}
	for key, v := range state.Marks {
		if v.Whole() {
			whole++
		} else {
			some++
		}
		if holders[key.Table]++; holders[key.Table] > 1 {
			several++
		}
	}
	require.Positive(t, whole)
	require.Positive(t, some)
	require.Positive(t, several)
	require.Zero(t, info.Forgotten)
}
