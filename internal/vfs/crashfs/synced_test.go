package crashfs_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// shadow is what the test knows of one file, kept byte by byte and in no way
// like the file system keeps it.
type shadow struct {
	handle  vfs.File
	now     []byte
	synced  []byte
	written []bool // since the last sync
	named   bool   // its name is durable
}

// TestSyncedThingsNeverChange writes, grows and syncs at random and then looks
// at many images: bytes that were synced and not written again, and names whose
// directory was synced, are in all of them; what was not synced is old, new, or
// one of the ways to be lost.
func TestSyncedThingsNeverChange(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		fs := crashfs.New()
		files := map[string]*shadow{}
		for range 3 + r.IntN(60) {
			name := fmt.Sprintf("f%d", r.IntN(4))
			s := files[name]
			if s == nil {
				f, err := fs.Create(name)
				require.NoError(t, err)
				files[name] = &shadow{handle: f}
				continue
			}
			switch x := r.IntN(20); {
			case x < 10:
				data := make([]byte, 1+r.IntN([]int{10, 700, 9000}[r.IntN(3)]))
				for i := range data {
					data[i] = byte(1 + r.IntN(255))
				}
				off := r.IntN(len(s.now) + 1)
				if r.IntN(8) == 0 {
					off += r.IntN(5000)
				}
				write(t, s.handle, string(data), int64(off))
				s.grow(off + len(data))
				for i, b := range data {
					s.now[off+i], s.written[off+i] = b, true
				}
			case x < 12:
				size := len(s.now) + r.IntN(6000)
				require.NoError(t, s.handle.Preallocate(int64(size)))
				s.grow(size)
			case x < 16:
				require.NoError(t, s.handle.Sync())
				s.synced = append([]byte(nil), s.now...)
				s.written = make([]bool, len(s.now))
			case x < 18:
				require.NoError(t, fs.SyncDir(""))
				for _, s := range files {
					s.named = true
				}
			default: // an image in mid-run, that goes on living, must not matter
				image := fs.AfterKill()
				require.NoError(t, image.WriteFile(name, []byte("another")))
				fs.PowerLoss(r)
			}
		}
		for range 40 {
			image := fs.PowerLoss(r)
			checkImage(t, image, files, fmt.Sprintf("seed %d", seed))
			require.NoError(t, image.CheckInodes())
		}
		require.NoError(t, fs.CheckInodes())
		require.NoError(t, fs.AfterKill().CheckInodes())
		strict := fs.PowerLossStrict()
		for name, s := range files {
			require.Equal(t, string(s.now), read(fs, name))
			require.Equal(t, string(s.now), read(fs.AfterKill(), name))
			require.Equal(t, string(s.now), read(fs.PowerLossAll(), name))
			if s.named {
				require.Equal(t, string(s.synced), read(strict, name))
			} else {
				require.Equal(t, "-", read(strict, name))
			}
		}
	}
}

func (s *shadow) grow(size int) {
	for len(s.now) < size {
		s.now, s.written = append(s.now, 0), append(s.written, false)
	}
}

func checkImage(t *testing.T, image *crashfs.FS, files map[string]*shadow, where string) {
	t.Helper()
	for name, s := range files {
		got, err := image.ReadFile(name)
		if err != nil {
			require.False(t, s.named, "%s: %s is gone", where, name)
			continue
		}
		if len(got) < len(s.synced) || len(got) > len(s.now) {
			require.Failf(t, "length", "%s: %s has %d bytes, synced %d, now %d", where, name, len(got), len(s.synced), len(s.now))
		}
		for i, b := range got {
			want := byte(0)
			if i < len(s.synced) {
				want = s.synced[i]
			}
			if !s.written[i] && b != want {
				require.Failf(t, "changed", "%s: byte %d of %s was synced as %d and is %d", where, i, name, want, b)
			}
		}
	}
}

func TestASectorsLaterWritesDoNotBringBackWhatAFailedSyncLost(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", strings.Repeat("o", 10))
	write(t, f, "NNN", 2)
	f.(interface{ FailSync() }).FailSync()
	write(t, f, "MM", 7) // and no sync
	require.Equal(t, "oooooooooo", read(fs.PowerLossStrict(), "a"))
	require.Equal(t, "oooooooMMo", read(fs.PowerLossAll(), "a"))
	require.NoError(t, fs.CheckInodes())
}

// What a failed sync gave up may have reached the disk all the same: nothing of it,
// all of it, some sectors, or a part of one. A later sync that succeeds does not
// change that, and a process that opens the file later cannot tell.
func TestWhatAFailedSyncGaveUpMayBeOnTheDisk(t *testing.T) {
	const sectors = 20 // on three pages
	old, now := strings.Repeat("o", sectors*512), strings.Repeat("N", sectors*512)
	run := func(fails bool) *crashfs.FS {
		fs := crashfs.New()
		f := keep(t, fs, "a", old)
		write(t, f, now, 0)
		if fails {
			f.(interface{ FailSync() }).FailSync()
		}
		require.NoError(t, f.Sync())
		write(t, f, "S", 512) // synced later, in a sector that was given up
		require.NoError(t, f.Sync())
		return fs
	}
	fs := run(true)
	for name, fs := range map[string]*crashfs.FS{"at once": fs, "in the next process": fs.AfterKill()} {
		t.Run(name, func(t *testing.T) {
			met := map[string]int{}
			for seed := range uint64(200) {
				image := fs.PowerLoss(rand.New(rand.NewPCG(seed, 3)))
				got := read(image, "a")
				require.Equal(t, got, read(fs.PowerLoss(rand.New(rand.NewPCG(seed, 3))), "a"), "the seed decides")
				require.Equal(t, got, read(image.PowerLossStrict(), "a"), "and the image is durable")
				require.Len(t, got, len(old))
				require.Equal(t, byte('S'), got[512], "what was synced later is there")
				got = got[:512] + got[513:] // of sector 1 a byte is missing
				kept := strings.Count(got, "N")
				require.Equal(t, len(got), kept+strings.Count(got, "o"))
				switch kept {
				case 0:
					met["old"]++
				case len(got):
					met["new"]++
				default:
					met["mixed"]++
				}
				for at := 1024 - 1; at < len(got); at += 512 {
					sector := got[at : at+512]
					if n := strings.Count(sector, "N"); 0 < n && n < len(sector) {
						met["torn"]++
						require.Equal(t, strings.Repeat("N", n), sector[:n])
					}
				}
			}
			for _, state := range []string{"old", "new", "mixed", "torn"} {
				require.GreaterOrEqual(t, met[state], 20, "%s: %v", state, met)
			}
			strict := read(fs.PowerLossStrict(), "a")
			require.Equal(t, len(old)-1, strings.Count(strict, "o"))
			require.NoError(t, fs.CheckInodes())
		})
	}
	sound := run(false)
	for seed := range uint64(20) {
		require.NotContains(t, read(sound.PowerLoss(rand.New(rand.NewPCG(seed, 3))), "a"), "o")
	}
}

func TestFailedSync(t *testing.T) {
	fail := func(f vfs.File) { f.(interface{ FailSync() }).FailSync() }
	cases := []struct {
		name      string
		run       func(t *testing.T, f vfs.File)
		now, lost string
	}{
		{"the next sync succeeds and the old bytes come back", func(t *testing.T, f vfs.File) {
			write(t, f, "NNN", 2)
			fail(f)
			require.NoError(t, f.Sync())
		}, "ooNNNooooo", "oooooooooo"},

		{"writing the bytes again makes them durable", func(t *testing.T, f vfs.File) {
			write(t, f, "NNN", 2)
			fail(f)
			write(t, f, "NNN", 2)
			require.NoError(t, f.Sync())
		}, "ooNNNooooo", "ooNNNooooo"},

		{"writing other bytes of the sector does not", func(t *testing.T, f vfs.File) {
			write(t, f, "NNN", 2)
			fail(f)
			write(t, f, "MM", 7)
			require.NoError(t, f.Sync())
		}, "ooNNNooMMo", "oooooooMMo"},

		{"what was synced before is untouched", func(t *testing.T, f vfs.File) {
			write(t, f, "S", 0)
			require.NoError(t, f.Sync())
			write(t, f, "N", 1)
			fail(f)
			require.NoError(t, f.Sync())
		}, "SNoooooooo", "Sooooooooo"},

		{"growth is lost too", func(t *testing.T, f vfs.File) {
			write(t, f, "NN", 10)
			fail(f)
			require.NoError(t, f.Sync())
		}, "ooooooooooNN", "oooooooooo"},

		{"data synced behind lost growth brings the length back, but not the bytes", func(t *testing.T, f vfs.File) {
			write(t, f, "NN", 10)
			fail(f)
			write(t, f, "MM", 12)
			require.NoError(t, f.Sync())
		}, "ooooooooooNNMM", "oooooooooo\x00\x00MM"},

		{"data synced inside lost growth makes the file reach to it", func(t *testing.T, f vfs.File) {
			require.NoError(t, f.Preallocate(20))
			fail(f)
			write(t, f, "MM", 12)
			require.NoError(t, f.Sync())
		}, "oooooooooo\x00\x00MM\x00\x00\x00\x00\x00\x00", "oooooooooo\x00\x00MM"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs := crashfs.New()
			f := keep(t, fs, "a", strings.Repeat("o", 10))
			c.run(t, f)
			require.NoError(t, fs.CheckInodes())
			require.Equal(t, c.now, read(fs, "a"))
			require.Equal(t, c.lost, read(fs.PowerLossAll(), "a")[:len(c.lost)], "the length may survive, the bytes do not")
			require.Equal(t, c.lost, read(fs.PowerLossStrict(), "a"))
			again := fs.AfterKill()
			require.Equal(t, c.now, read(again, "a"), "the next process still sees the page cache")
			g, err := again.Open("a")
			require.NoError(t, err)
			require.NoError(t, g.Sync())
			require.Equal(t, c.lost, read(again.PowerLossStrict(), "a"), "and its sync saves nothing")
			for seed := range uint64(100) {
				b := read(fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))), "a")
				require.GreaterOrEqual(t, len(b), len(c.lost))
				for i := range b {
					lost := byte(0) // growth that was lost
					if i < len(c.lost) {
						lost = c.lost[i]
					}
					require.Contains(t, []byte{lost, c.now[i]}, b[i], "byte %d of %q", i, b)
				}
			}
		})
	}
}
