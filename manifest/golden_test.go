package manifest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/sstable"
)

var update = flag.Bool("update", false, "renew the golden files; a change means a new format version")

const goldenDir = "testdata/v3"

// oldGoldenDirs were never released, and are not read any more.
var oldGoldenDirs = map[int]string{1: "testdata/v1", 2: "testdata/v2"}

// goldenStore writes the store whose bytes are pinned: a base with vectors, two
// groups that add to them, and the marks behind the groups.
func goldenStore(t *testing.T) (*crashfs.FS, *State) {
	disk := newDisk(t)
	state := soundState()
	for i := range state.StoreID {
		state.StoreID[i] = byte(i)
	}
	want := clone(state)
	var wal fakeWAL
	log, err := Create(disk, testDir, state, Options{NextFile: fileNumbers(7), WaitDurable: wal.sync})
	require.NoError(t, err)
	fork := Transaction{PutForks: []Fork{{ID: 60, Name: "agent-7", Parent: 1, Top: 11, Memtable: 61, CreatedUnixNano: 1_700_000_000_000_000_000, CreatedLSN: 41}}}
	flush := Transaction{
		PutTables: soundTables(want, 36),
		PutNodes:  []Node{{ID: 61, Older: 11, Fork: 60, Frozen: 44, Tables: []ids.TableID{36}}},
		PutForks:  []Fork{{ID: 60, Name: "agent-7", Parent: 1, Top: 61, Memtable: 62, CreatedUnixNano: 1_700_000_000_000_000_000, CreatedLSN: 41}},
		Counters:  &Counters{Applied: 44, Trimmed: 30, NextID: 200, NextLSN: 150},
		AddMarks:  []Marks{{61, 30, vectorOf(5, 1, 2)}, {61, 32, sstable.WholeVector(5)}, {11, 30, vectorOf(5, 1)}, {61, 64, vectorOf(100_000, 70_000)}},
	}
	drop := Transaction{DropForks: []ids.ForkID{2}, DropSnapshots: []ids.SnapshotID{3}, DropMarks: []MarksKey{{11, 31}, {61, 64}}}
	partial := Transaction{
		PutTables:  []sstable.Meta{{ID: 65, File: 66, Length: 900, Rows: 4, KeyBytes: 40, ValueBytes: 400, Smallest: []byte("i"), Largest: []byte("m")}},
		PutChunks:  []Chunk{{ID: 10, Tables: []ids.TableID{65}}},
		PutNodes:   []Node{{ID: 17, Older: 15, Frozen: 20, Chunks: []ids.ChunkID{7, 10}}},
		DropChunks: []ids.ChunkID{8},
	}
	for i, tx := range []*Transaction{&fork, &flush, &drop, &partial} {
		want.Apply(tx)
		p := log.Append(tx, ids.LSN(41+i))
		if i != 1 {
			require.NoError(t, log.Sync(p))
		}
	}
	require.NoError(t, log.Close())
	return disk, want
}

func soundTables(s *State, id ids.TableID) (out []sstable.Meta) {
	m := s.Tables[30]
	m.ID, m.File = id, 63
	return append(out, m)
}

func TestGoldenFiles(t *testing.T) {
	disk, want := goldenStore(t)
	var dump bytes.Buffer
	require.NoError(t, Dump(&dump, disk, testDir))
	files := map[string][]byte{"dump.txt": dump.Bytes()}
	for _, name := range []string{"CURRENT", "MANIFEST-000007"} {
		content := readUsed(t, disk, testDir+"/"+name)
		files[name] = content
	}
	if *update {
		require.NoError(t, os.MkdirAll(goldenDir, 0o755))
		for name, content := range files {
			require.NoError(t, os.WriteFile(filepath.Join(goldenDir, name), content, 0o644))
		}
	}

	// What this program writes is what it wrote then, and what was written then
	// is still read.
	golden := crashfs.New()
	for name, content := range files {
		pinned, err := os.ReadFile(filepath.Join(goldenDir, name))
		require.NoError(t, err)
		require.Equal(t, string(pinned), string(content), "%s has changed: that needs a new format version", name)
		require.NoError(t, golden.WriteFile(testDir+"/"+name, pinned))
	}
	requireLoads(t, golden, want)
}

func TestDumpShowsDamageAndTornTails(t *testing.T) {
	disk, _ := goldenStore(t)
	name := testDir + "/MANIFEST-000007"
	content := readUsed(t, disk, name)
	var dump bytes.Buffer

	require.NoError(t, disk.WriteFile(name, content[:len(content)-7]))
	require.NoError(t, Dump(&dump, disk, testDir))
	require.Contains(t, dump.String(), "TORN tail cut")

	content[len(content)/2] ^= 1
	require.NoError(t, disk.WriteFile(name, content))
	dump.Reset()
	require.ErrorContains(t, Dump(&dump, disk, testDir), "frame checksum does not match")
	require.Contains(t, dump.String(), "BAD  corrupt data in MANIFEST-000007 at offset")
	require.Contains(t, dump.String(), "counters applied 40", "what comes before the damage is shown")
	require.ErrorIs(t, Dump(brokenWriter{}, disk, testDir), os.ErrClosed)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestOlderFormatsAreRefused as what they are: old, and not damaged.
func TestOlderFormatsAreRefused(t *testing.T) {
	for version, dir := range oldGoldenDirs {
		disk := crashfs.New()
		for _, name := range []string{"CURRENT", "MANIFEST-000007"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NoError(t, disk.WriteFile(testDir+"/"+name, content))
		}
		calls := disk.Mutations()
		_, _, err := Load(disk, testDir)
		require.ErrorIs(t, err, errs.ErrOldFormat)
		require.NotErrorIs(t, err, errs.ErrCorrupt)
		require.NotErrorIs(t, err, errs.ErrNewerFormat)
		require.ErrorContains(t, err, fmt.Sprintf("MANIFEST-000007: format version %d, this program knows 3: written in an older format", version))
		require.ErrorIs(t, Dump(io.Discard, disk, testDir), errs.ErrOldFormat)
		require.Equal(t, calls, disk.Mutations())
		noOpenFiles(t, disk)
	}
}
