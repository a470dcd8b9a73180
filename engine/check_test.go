package engine_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// checked is a store with forks over tables of many blocks and over memtables.
// main, twin and @snap hold the same; changed and its child differ from it and
// from each other.
func checked(t *testing.T) *crashfs.FS {
	t.Helper()
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	fill(t, s, f, "v1", 400)
	require.NoError(t, s.Flush())
	for _, name := range []string{"changed", "twin"} {
		_, err := f.Fork(name)
		require.NoError(t, err)
	}
	_, err := f.Snapshot("snap")
	require.NoError(t, err)
	changed := fork(t, s, "changed")
	require.NoError(t, changed.Delete(key(7)))
	require.NoError(t, changed.Set(key(8), []byte("changed")))
	require.NoError(t, changed.Set([]byte("new"), []byte("changed")))
	require.NoError(t, s.Flush())
	child, err := changed.Fork("child")
	require.NoError(t, err)
	require.NoError(t, child.Delete(key(9)))
	require.NoError(t, child.Set(key(7), []byte("again")))
	require.NoError(t, s.Close())
	return disk
}

func key(i int) []byte { return fmt.Appendf(nil, "key%06d", i) }

func fill(t *testing.T, s *engine.Store, f *engine.Fork, value string, rows int) {
	t.Helper()
	b := s.NewBatch()
	for i := range rows {
		b.Set(f, key(i), fmt.Appendf(nil, "%s of %d, made long enough to fill blocks", value, i))
	}
	require.NoError(t, b.Commit())
}

func check(t *testing.T, disk *crashfs.FS, level engine.CheckLevel) *engine.CheckReport {
	t.Helper()
	r, err := engine.Check("/db", engine.CheckOptions{FS: disk, Level: level})
	require.NoError(t, err)
	return r
}

func hashes(r *engine.CheckReport) map[string]engine.ContentHash {
	out := map[string]engine.ContentHash{}
	for _, h := range r.Hashes {
		name := h.Name
		h.Name = ""
		out[name] = h
	}
	return out
}

func flip(t *testing.T, disk *crashfs.FS, name string, offset int64) {
	t.Helper()
	data, err := disk.ReadFile(name)
	require.NoError(t, err)
	data[offset] ^= 0x40
	require.NoError(t, disk.WriteFile(name, data))
}

// largestTable is the file of the table with most bytes: that of main's rows.
func largestTable(t *testing.T, disk *crashfs.FS) (name string, data []byte) {
	t.Helper()
	for file := range tableFiles(disk) {
		b, err := disk.ReadFile(file)
		require.NoError(t, err)
		if len(b) > len(data) {
			name, data = file, b
		}
	}
	return name, data
}

func TestEqualContentHasEqualHashes(t *testing.T) {
	disk := checked(t)
	r := check(t, disk, engine.CheckDeep)
	require.True(t, r.OK(), "%v", r.Problems)
	require.Positive(t, r.Lookups)
	h := hashes(r)
	require.Len(t, h, 5)
	require.EqualValues(t, 400, h["main"].Rows)
	require.EqualValues(t, 400, h["changed"].Rows, "one deleted, one new")
	require.EqualValues(t, 400, h["child"].Rows, "one deleted, one back")
	require.Equal(t, h["main"], h["twin"])
	require.Equal(t, h["main"], h["@snap"])
	require.NotEqual(t, h["main"].Hash, h["changed"].Hash)
	require.NotEqual(t, h["changed"].Hash, h["child"].Hash)

	s := open(t, "/db", small(disk))
	require.NoError(t, s.Compact())
	require.NoError(t, s.Close())
	require.Equal(t, h, hashes(check(t, disk, engine.CheckDeep)), "a merge changes no content")

	// Another store with another history and the same rows in the end.
	other := crashfs.New()
	s = open(t, "/db", small(other))
	f := fork(t, s, engine.MainFork)
	fill(t, s, f, "v0", 500)
	require.NoError(t, s.Flush())
	fill(t, s, f, "v1", 400)
	for i := 400; i < 500; i++ {
		require.NoError(t, f.Delete(key(i)))
	}
	require.NoError(t, s.Close())
	require.Equal(t, h["main"], hashes(check(t, other, engine.CheckDeep))["main"])
	s = open(t, "/db", small(other))
	require.NoError(t, fork(t, s, engine.MainFork).Delete(key(1)))
	require.NoError(t, s.Close())
	require.NotEqual(t, h["main"].Hash, hashes(check(t, other, engine.CheckDeep))["main"].Hash)
}

// Whatever a key range says: a fork answers rightly outside, and not inside.
func TestEveryBadBlockIsListedWithItsKeys(t *testing.T) {
	disk := checked(t)
	name, _ := largestTable(t, disk)
	var broken []int64
	for offset := int64(20); offset < 4000; offset += 1500 {
		flip(t, disk, name, offset)
		broken = append(broken, offset)
	}
	r := check(t, disk, engine.CheckFull)
	require.Len(t, r.Problems, len(broken), "%v", r.Problems)
	for i, p := range r.Problems {
		require.True(t, strings.HasSuffix(name, p.File))
		require.LessOrEqual(t, p.Offset, broken[i])
		require.Greater(t, p.Offset+p.Length, broken[i])
		require.Equal(t, []string{"changed", "child", "main", "twin", "@snap"}, p.Forks)
		require.False(t, p.Unreadable)
	}
	require.Len(t, r.Damage, 5)

	s := open(t, "/db", small(disk))
	bad := 0
	for _, d := range r.Damage {
		if d.Name != engine.MainFork {
			continue
		}
		for i := range 400 {
			inside := slices.ContainsFunc(d.Keys, func(k engine.Range) bool {
				return bytes.Compare(key(i), k.Lower) >= 0 && bytes.Compare(key(i), k.Upper) < 0
			})
			_, err := fork(t, s, engine.MainFork).Get(key(i))
			if inside {
				bad++
				require.ErrorIs(t, err, engine.ErrCorrupt, "key %d", i)
			} else {
				require.NoError(t, err, "key %d", i)
			}
		}
	}
	require.Positive(t, bad)
	require.Less(t, bad, 200)
	require.NoError(t, s.Close())
	require.Empty(t, check(t, disk, engine.CheckDeep).Hashes, "all contents rest on the bad table")
}

func TestNeighbouringBadBlocksAreOneRange(t *testing.T) {
	disk := checked(t)
	name, _ := largestTable(t, disk)
	for offset := int64(20); offset < 1500; offset += 100 {
		flip(t, disk, name, offset)
	}
	r := check(t, disk, engine.CheckFull)
	require.Greater(t, len(r.Problems), 1)
	require.Len(t, r.Damage[0].Keys, 1)
}

func TestABadIndexOrFilterHitsTheWholeTable(t *testing.T) {
	disk := checked(t)
	name, data := largestTable(t, disk)
	tail := data[len(data)-128:] // the footer, see FORMAT.md of the tables
	dataBytes, filterBytes := binary.LittleEndian.Uint64(tail[16:]), binary.LittleEndian.Uint64(tail[24:])
	for part, offset := range map[string]uint64{
		"filter": dataBytes + 40, "index": dataBytes + filterBytes + 10, "footer": uint64(len(data)) - 60,
	} {
		begin := uint64(0)
		if n := tableBytes(data); n < uint64(len(data)) {
			begin = uint64(len(data)) - n
		}
		image := disk.AfterKill()
		if part != "footer" {
			offset += begin
		}
		flip(t, image, name, int64(offset))
		flip(t, image, name, int64(begin)+20) // and a block
		r := check(t, image, engine.CheckFull)
		whole := 0
		for _, p := range r.Problems {
			require.NotNil(t, p.Keys)
			if bytes.Compare(p.Keys.Upper, key(399)) > 0 {
				whole++
			}
		}
		require.Equal(t, 1, whole, "%s: %v", part, r.Problems)
		if part == "filter" {
			require.Len(t, r.Problems, 2, "blocks are found by the index and are checked all the same")
		}
	}
}

// tableBytes is the length of the last table of a file.
func tableBytes(data []byte) uint64 { return binary.LittleEndian.Uint64(data[len(data)-128+8:]) }

func TestWhatHangsOnABadTableIsNotHashedAndTheRestIs(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	fill(t, s, f, "v", 10)
	require.NoError(t, s.Flush())
	before := tableFiles(disk)
	hit, err := f.Fork("hit")
	require.NoError(t, err)
	require.NoError(t, hit.Set([]byte("k"), []byte("v")))
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	for name := range tableFiles(disk) {
		if !before[name] {
			flip(t, disk, name, 20)
		}
	}
	r := check(t, disk, engine.CheckDeep)
	require.Len(t, r.Problems, 1)
	require.Len(t, r.Hashes, 1)
	require.Equal(t, engine.MainFork, r.Hashes[0].Name)
	require.Len(t, r.Damage, 1)
	require.Equal(t, "hit", r.Damage[0].Name)
}

func names(disk *crashfs.FS, suffix string) (out []string) {
	for _, name := range disk.Names() {
		if strings.HasSuffix(name, suffix) || strings.Contains(name, suffix) {
			out = append(out, name)
		}
	}
	return out
}

func TestADamagedManifestLeavesLogAndTablesToBeChecked(t *testing.T) {
	disk := checked(t)
	name, _ := largestTable(t, disk)
	flip(t, disk, names(disk, "MANIFEST-")[0], 80)
	r := check(t, disk, engine.CheckFull)
	require.Len(t, r.Problems, 1, "%v", r.Problems)
	require.Positive(t, r.LogRecords)
	require.GreaterOrEqual(t, r.Tables, 2)
	require.Len(t, r.Undecided, r.Files)
	require.Empty(t, r.Leaked, "nobody can tell")

	flip(t, disk, name, 20)
	log := names(disk, ".wal")[0]
	flip(t, disk, log, 520)
	r = check(t, disk, engine.CheckFull)
	require.Len(t, r.Problems, 3, "%v", r.Problems)
	var files []string
	for _, p := range r.Problems {
		files = append(files, p.File)
	}
	require.ElementsMatch(t, []string{filepath.Base(names(disk, "MANIFEST-")[0]), filepath.Base(name), filepath.Base(log)}, files)
}

func TestADamagedLogHitsAllForksAndTablesAreCheckedStill(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	fill(t, s, f, "v", 100)
	require.NoError(t, s.Flush())
	require.NoError(t, second(f.Fork("other")))
	for i := range 40 { // several segments
		require.NoError(t, f.Set(key(i), bytes.Repeat([]byte("x"), 2000)))
	}
	require.NoError(t, s.Close())
	logs := names(disk, ".wal")
	require.Greater(t, len(logs), 3)
	flip(t, disk, logs[0], 600)
	flip(t, disk, logs[2], 600)
	flip(t, disk, names(disk, ".sst")[0], 20)
	r := check(t, disk, engine.CheckDeep)
	require.Len(t, r.Problems, 3, "%v", r.Problems)
	require.Equal(t, filepath.Base(logs[0]), r.Problems[0].File)
	require.Equal(t, filepath.Base(logs[2]), r.Problems[1].File)
	require.Contains(t, names(disk, ".sst")[0], r.Problems[2].File)
	require.Contains(t, r.Problems[0].Forks, engine.MainFork)
	require.Contains(t, r.Problems[2].Forks, engine.MainFork)
	for _, d := range r.Damage {
		require.Equal(t, []engine.Range{{}}, d.Keys, "all keys")
	}
}

func TestATornEndIsNotDamage(t *testing.T) {
	disk := checked(t)
	logs := names(disk, ".wal")
	name := logs[len(logs)-1]
	data, err := disk.ReadFile(name)
	require.NoError(t, err)
	end := len(bytes.TrimRight(data, "\x00"))
	end = (end + 511) / 512 * 512
	copy(data[end:], "remains of a write")
	require.NoError(t, disk.WriteFile(name, data))
	r := check(t, disk, engine.CheckDeep)
	require.True(t, r.OK(), "%v", r.Problems)
	require.True(t, r.TornLog)
	require.Equal(t, filepath.Base(name), r.TornLogAt.File)
	require.Len(t, r.Hashes, 5)
}

func TestAFileThatIsGoneIsNotOneThatCannotBeRead(t *testing.T) {
	disk := checked(t)
	name, _ := largestTable(t, disk)
	gone := disk.AfterKill()
	require.NoError(t, gone.Remove(name))
	r := check(t, gone, engine.CheckQuick)
	require.Equal(t, []string{filepath.Base(name)}, r.Missing)
	require.False(t, r.Problems[0].Unreadable)
	require.NotEmpty(t, r.Problems[0].Forks)

	for _, op := range []faultfs.Op{faultfs.OpSize, faultfs.OpOpen, faultfs.OpRead} {
		faults := faultfs.New(disk.AfterKill())
		faults.Inject(faultfs.Rule{Op: op, Sticky: true, Err: syscall.EIO, Match: func(n string) bool { return strings.HasSuffix(n, filepath.Base(name)) }})
		r, err := engine.Check("/db", engine.CheckOptions{FS: faults, Level: engine.CheckDeep})
		require.NoError(t, err, "%v", op)
		require.Empty(t, r.Missing, "%v", op)
		require.False(t, r.OK(), "%v", op)
		require.NotEmpty(t, r.Problems)
		for _, p := range r.Problems {
			require.True(t, p.Unreadable, "%v: %v", op, p)
			require.NotEmpty(t, p.Forks)
		}
	}
}

func TestBytesBehindTheTablesOfAFileAreFound(t *testing.T) {
	disk := checked(t)
	name, data := largestTable(t, disk)
	require.NoError(t, disk.WriteFile(name, append(data, "something else"...)))
	r := check(t, disk, engine.CheckQuick)
	require.Len(t, r.Problems, 1)
	require.EqualValues(t, len(data), r.Problems[0].Offset)
	require.EqualValues(t, len("something else"), r.Problems[0].Length)
	require.Empty(t, r.Problems[0].Forks)

	require.NoError(t, disk.WriteFile(name, data[:len(data)-1]))
	r = check(t, disk, engine.CheckQuick)
	require.Len(t, r.Problems, 1)
	require.EqualValues(t, len(data)-1, r.Problems[0].Offset)
	require.NotEmpty(t, r.Problems[0].Forks)
}

// Somebody put an old CURRENT and manifest back: the tables of the newer one look
// like left-overs, and are not.
func TestATableThatTheManifestCannotKnowIsNotALeak(t *testing.T) {
	disk := checked(t)
	name, data := largestTable(t, disk)
	stranger := filepath.Dir(name) + "/099999.sst"
	require.NoError(t, disk.WriteFile(stranger, data))
	r := check(t, disk, engine.CheckQuick)
	require.False(t, r.OK())
	require.Equal(t, "099999.sst", r.Problems[0].File)
	_, err := engine.RepairOrphans("/db", engine.RepairOptions{FS: disk})
	require.ErrorIs(t, err, engine.ErrUndecided)
	require.ErrorIs(t, err, engine.ErrCorrupt)
	require.Contains(t, disk.Names(), stranger)
}

func TestATableThatOnlyASnapshotReachesIsNoLeak(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	try, err := f.Fork("try")
	require.NoError(t, err)
	fill(t, s, try, "v", 10)
	require.NoError(t, s.Flush())
	_, err = try.Snapshot("kept")
	require.NoError(t, err)
	require.NoError(t, try.Drop())
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	r := check(t, disk, engine.CheckDeep)
	require.True(t, r.OK())
	require.Empty(t, r.Leaked)
	require.EqualValues(t, 10, hashes(r)["@kept"].Rows)
	repaired, err := engine.RepairOrphans("/db", engine.RepairOptions{FS: disk})
	require.NoError(t, err)
	require.Empty(t, repaired.Removed)
	require.Equal(t, hashes(r), hashes(check(t, disk, engine.CheckDeep)))
}

// A check writes nothing, wherever it gets to.
func TestACheckChangesNoByteAndNoTime(t *testing.T) {
	for _, broken := range []string{"", "CURRENT", "MANIFEST-", ".wal", ".sst"} {
		disk := checked(t)
		dir := t.TempDir()
		long := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		for _, name := range disk.Names() {
			data, err := disk.ReadFile(name)
			if err != nil {
				continue // the directory itself
			}
			if broken != "" && strings.Contains(name, broken) {
				data[len(data)/2] ^= 1
			}
			path := filepath.Join(dir, filepath.Base(name))
			require.NoError(t, os.WriteFile(path, data, 0o644))
			require.NoError(t, os.Chtimes(path, long, long))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("mine"), 0o644))
		require.NoError(t, os.Chtimes(filepath.Join(dir, "letter.txt"), long, long))
		before := contents(t, dir)
		for _, level := range []engine.CheckLevel{engine.CheckQuick, engine.CheckFull, engine.CheckDeep} {
			r, err := engine.Check(dir, engine.CheckOptions{Level: level})
			require.NoError(t, err)
			require.Equal(t, []string{"letter.txt"}, r.Foreign)
		}
		require.Equal(t, before, contents(t, dir))
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, f := range files {
			info, err := f.Info()
			require.NoError(t, err)
			require.True(t, info.ModTime().Equal(long), "%s was written", f.Name())
		}
	}
}
