package crashfs_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// images is enough that a state with one chance in fifty is not missed. The
// draws are the same in every run.
const images = 500

// outcomes draws many images and gives every different description of one.
func outcomes(fs *crashfs.FS, describe func(image *crashfs.FS) string) []string {
	seen := map[string]bool{}
	for seed := range uint64(images) {
		seen[describe(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// contents describes an image by the contents of some names.
func contents(names ...string) func(*crashfs.FS) string {
	return func(image *crashfs.FS) string {
		var all []string
		for _, name := range names {
			all = append(all, name+"="+read(image, name))
		}
		return strings.Join(all, " ")
	}
}

// Each case lists every state that the names may be in after a power loss: one
// that is missing is a crash no test would try, one too many breaks a promise.
func TestNamesSurviveOnTheirOwn(t *testing.T) {
	cases := []struct {
		name  string
		run   func(t *testing.T, fs *crashfs.FS)
		files []string
		want  []string
	}{
		{"an unsynced create persists or vanishes", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "a", "A").Sync())
		}, []string{"a"}, []string{"a=-", "a=A"}},

		{"two unsynced creates persist in every combination", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "a", "A").Sync())
			require.NoError(t, put(t, fs, "b", "B").Sync())
		}, []string{"a", "b"}, []string{"a=- b=-", "a=- b=B", "a=A b=-", "a=A b=B"}},

		{"a synced create is there", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "A")
		}, []string{"a"}, []string{"a=A"}},

		{"an unsynced unlink stays gone or comes back whole", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Remove("a"))
		}, []string{"a"}, []string{"a=-", "a=A"}},

		{"a synced unlink is gone", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Remove("a"))
			require.NoError(t, fs.SyncDir(""))
		}, []string{"a"}, []string{"a=-"}},

		{"a later unlink may survive an earlier create of another name that did not", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "old", "O")
			require.NoError(t, put(t, fs, "new", "N").Sync())
			require.NoError(t, fs.Remove("old"))
		}, []string{"old", "new"}, []string{"old=- new=-", "old=- new=N", "old=O new=-", "old=O new=N"}},

		{"an unsynced rename is done or not, never both and never neither", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Rename("a", "b"))
		}, []string{"a", "b"}, []string{"a=- b=A", "a=A b=-"}},

		{"the target of an unsynced rename may be the old file", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "cur", "old")
			keep(t, fs, "tmp", "new")
			require.NoError(t, fs.Rename("tmp", "cur"))
		}, []string{"cur", "tmp"}, []string{"cur=new tmp=-", "cur=old tmp=new"}},

		{"a create and the rename that follows it survive apart", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "cur", "old")
			require.NoError(t, put(t, fs, "tmp", "new").Sync())
			require.NoError(t, fs.Rename("tmp", "cur"))
		}, []string{"cur", "tmp"}, []string{"cur=new tmp=-", "cur=old tmp=-", "cur=old tmp=new"}},

		{"a name used again is either file or none", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "old")
			require.NoError(t, fs.Remove("a"))
			require.NoError(t, put(t, fs, "a", "new").Sync())
		}, []string{"a"}, []string{"a=-", "a=new", "a=old"}},

		{"a created and removed file may come back", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "a", "A").Sync())
			require.NoError(t, fs.Remove("a"))
		}, []string{"a"}, []string{"a=-", "a=A"}},

		{"a file has one name also if only the second of two renames survives", func(t *testing.T, fs *crashfs.FS) {
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Rename("a", "b"))
			require.NoError(t, fs.Rename("b", "c"))
		}, []string{"a", "b", "c"}, []string{"a=- b=- c=A", "a=- b=A c=-", "a=A b=- c=-"}},

		{"syncing one directory leaves the other's names volatile", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, fs.MkdirAll("x"))
			require.NoError(t, fs.MkdirAll("y"))
			require.NoError(t, fs.SyncDir(""))
			require.NoError(t, put(t, fs, "x/a", "A").Sync())
			require.NoError(t, put(t, fs, "y/a", "A").Sync())
			require.NoError(t, fs.SyncDir("x"))
		}, []string{"x/a", "y/a"}, []string{"x/a=A y/a=-", "x/a=A y/a=A"}},

		{"a rename across directories needs both synced", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, fs.MkdirAll("x"))
			require.NoError(t, fs.SyncDir(""))
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Rename("a", "x/a"))
			require.NoError(t, fs.SyncDir("x"))
		}, []string{"a", "x/a"}, []string{"a=- x/a=A", "a=A x/a=-"}},

		{"a rename across directories is durable once both are synced", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, fs.MkdirAll("x"))
			require.NoError(t, fs.SyncDir(""))
			keep(t, fs, "a", "A")
			require.NoError(t, fs.Rename("a", "x/a"))
			require.NoError(t, fs.SyncDir("x"))
			require.NoError(t, fs.SyncDir(""))
		}, []string{"a", "x/a"}, []string{"a=- x/a=A"}},

		{"an unsynced directory takes its synced files with it", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, fs.MkdirAll("x"))
			keep(t, fs, "x/a", "A")
		}, []string{"x/a"}, []string{"x/a=-", "x/a=A"}},

		{"a directory is lost with the one above it", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, fs.MkdirAll("x/y"))
			require.NoError(t, fs.SyncDir("x"))
			keep(t, fs, "x/y/a", "A")
		}, []string{"x/y/a"}, []string{"x/y/a=-", "x/y/a=A"}},

		{"a lock's new file is as volatile as any other", func(t *testing.T, fs *crashfs.FS) {
			_, err := fs.Lock("LOCK")
			require.NoError(t, err)
		}, []string{"LOCK"}, []string{"LOCK=", "LOCK=-"}},

		{"after a failed directory sync the next one promises nothing", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "a", "A").Sync())
			fs.FailSyncDir("")
			require.NoError(t, put(t, fs, "b", "B").Sync())
			require.NoError(t, fs.SyncDir(""))
		}, []string{"a", "b"}, []string{"a=- b=B", "a=A b=B"}},

		{"a durable change ends the doubt that a failed directory sync left", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "a", "A").Sync())
			fs.FailSyncDir("")
			require.NoError(t, fs.Remove("a"))
			require.NoError(t, fs.SyncDir(""))
		}, []string{"a"}, []string{"a=-"}},

		{"a durable rename ends the doubt about both its names", func(t *testing.T, fs *crashfs.FS) {
			require.NoError(t, put(t, fs, "tmp", "A").Sync())
			fs.FailSyncDir("")
			require.NoError(t, fs.Rename("tmp", "cur"))
			require.NoError(t, fs.SyncDir(""))
		}, []string{"cur", "tmp"}, []string{"cur=A tmp=-"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs := crashfs.New()
			c.run(t, fs)
			require.Equal(t, c.want, outcomes(fs, contents(c.files...)))
			for seed := range uint64(20) {
				again := fs.PowerLoss(rand.New(rand.NewPCG(seed, 2))) // what it left is durable
				before := fingerprint(again)
				require.Equal(t, before, fingerprint(again.PowerLossStrict()))
				for _, name := range again.Names() {
					require.NoError(t, again.Remove(name))
				}
				require.Equal(t, before, fingerprint(again.PowerLossStrict()))
			}
		})
	}
}

func TestNoDirectoryIsLeftWithoutTheOneAboveIt(t *testing.T) {
	fs := crashfs.New()
	require.NoError(t, fs.MkdirAll("x/y"))
	require.Equal(t, []string{"", "x", "x y"}, outcomes(fs, func(image *crashfs.FS) string {
		var there []string
		for _, dir := range []string{"x", "x/y"} {
			if _, err := image.List(dir); err == nil {
				there = append(there, path.Base(dir))
			}
		}
		return strings.Join(there, " ")
	}))
}

// sectorState tells what became of a sector that was 'o' and then 'n'.
func sectorState(b []byte) string {
	switch {
	case bytes.Count(b, []byte{'o'}) == len(b):
		return "old"
	case bytes.Count(b, []byte{'n'}) == len(b):
		return "new"
	case bytes.Count(b, []byte{0}) == len(b):
		return "zero"
	}
	return "garbage"
}

func TestEachUnsyncedSectorIsOldNewZeroOrGarbage(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", strings.Repeat("o", 3*512))
	write(t, f, strings.Repeat("n", 2*512), 0)
	states := []string{"garbage", "new", "old", "zero"}
	var want []string
	for _, first := range states {
		for _, second := range states {
			want = append(want, first+" "+second+" old")
		}
	}
	require.Equal(t, want, outcomes(fs, func(image *crashfs.FS) string {
		b := []byte(read(image, "a"))
		require.Len(t, b, 3*512)
		return sectorState(b[:512]) + " " + sectorState(b[512:1024]) + " " + sectorState(b[1024:])
	}))
}

func TestASectorMayKeepOnlyTheEarlierOfItsWrites(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", strings.Repeat("o", 30))
	write(t, f, "1111111111", 0)
	write(t, f, "2222222222", 10)
	seen := outcomes(fs, contents("a"))
	require.Contains(t, seen, "a=1111111111oooooooooooooooooooo", "the first write alone")
	require.Contains(t, seen, "a=11111111112222222222oooooooooo", "both")
	require.NotContains(t, seen, "a=oooooooooo2222222222oooooooooo", "one sector keeps the order of its writes")
}

func TestLengthIsApartFromData(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", strings.Repeat("o", 100))
	write(t, f, strings.Repeat("n", 2000), 100)
	seen := map[string]bool{}
	for seed := range uint64(images) {
		b := []byte(read(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))), "a"))
		require.Equal(t, strings.Repeat("o", 100), string(b[:100]))
		require.LessOrEqual(t, len(b), 2100)
		news := bytes.Count(b, []byte{'n'})
		zeros := bytes.Count(b, []byte{0})
		switch {
		case len(b) == 100:
			seen["short"] = true
		case len(b) < 2100:
			seen["between"] = true
		case news == 2000:
			seen["long with all data"] = true
		case zeros == 2000:
			seen["long without data"] = true
		}
	}
	require.Len(t, seen, 4, "%v", seen)
}

func TestPreallocatedZerosAreNeverGarbage(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", "")
	require.NoError(t, f.Preallocate(5000))
	lengths := map[int]bool{}
	for seed := range uint64(images) {
		b := read(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))), "a")
		require.Equal(t, strings.Repeat("\x00", len(b)), b)
		lengths[len(b)] = true
	}
	require.True(t, lengths[0] && lengths[5000] && len(lengths) > 10)
}

func TestPresetExtremes(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "kept", "synced")
	write(t, f, "SYN", 0)
	write(t, f, "more", 6)
	keep(t, fs, "removed", "R")
	require.NoError(t, fs.Remove("removed"))
	put(t, fs, "made", "M")
	require.Equal(t, "kept=synced removed=R made=-", contents("kept", "removed", "made")(fs.PowerLossStrict()))
	require.Equal(t, "kept=SYNcedmore removed=- made=M", contents("kept", "removed", "made")(fs.PowerLossAll()))
	require.Equal(t, fingerprint(fs), fingerprint(fs.AfterKill()))
	names, files := fs.Volatile()
	require.Equal(t, []int{2, 2}, []int{names, files})
	names, files = fs.PowerLossAll().Volatile()
	require.Equal(t, []int{0, 0}, []int{names, files})
}

func TestTheSameNumbersGiveTheSameImage(t *testing.T) {
	fs := crashfs.New()
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, keep(t, fs, name, strings.Repeat("o", 5000)), strings.Repeat("n", 9000), 100)
		put(t, fs, name+".new", name)
		require.NoError(t, fs.Rename(name+".new", name+".newer"))
	}
	prints := map[string]bool{}
	for seed := range uint64(50) {
		first := fingerprint(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))))
		require.Equal(t, first, fingerprint(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1)))))
		prints[first] = true
	}
	require.Greater(t, len(prints), 45, "other numbers give other images")
}

// fingerprint describes all files.
func fingerprint(fs *crashfs.FS) string {
	return contents(fs.Names()...)(fs)
}
