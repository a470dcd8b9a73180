package crashfs_test

import (
	iofs "io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// steps makes one mutating call of each kind, in order, and returns the first
// error.
func steps(fs *crashfs.FS) error {
	if err := fs.MkdirAll("db"); err != nil {
		return err
	}
	f, err := fs.Create("db/a")
	if err != nil {
		return err
	}
	if err := f.Preallocate(8); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("hello"), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := fs.Rename("db/a", "db/b"); err != nil {
		return err
	}
	if err := fs.SyncDir("db"); err != nil {
		return err
	}
	return fs.Remove("db/b")
}

func TestTheCallThatKillsDoesNotHappen(t *testing.T) {
	const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00"
	seen := []string{ // after the death at call 1, 2, …
		"", "", "db/a=", "db/a=" + zeros, "db/a=hello\x00\x00\x00", "db/a=hello\x00\x00\x00",
		"db/b=hello\x00\x00\x00", "db/b=hello\x00\x00\x00", "",
	}
	for i, want := range seen {
		fs := crashfs.New()
		fs.KillAt(i + 1)
		err := steps(fs)
		if i < 8 {
			require.ErrorIs(t, err, crashfs.ErrKilled)
			require.Equal(t, i+1, fs.Mutations())
		} else {
			require.NoError(t, err)
			require.Equal(t, 8, fs.Mutations())
		}
		require.Equal(t, i < 8, fs.Killed())
		require.Equal(t, want, fingerprint(fs.AfterKill()), "death at call %d", i+1)
	}
	fs := crashfs.New()
	require.NoError(t, fs.MkdirAll("db/x"))
	fs.KillAt(2) // counted from now
	require.NoError(t, fs.SyncDir("db"))
	require.ErrorIs(t, fs.SyncDir("db"), crashfs.ErrKilled)
}

func TestADeadProcessCanDoNothing(t *testing.T) {
	fs := crashfs.New()
	f := put(t, fs, "a", "hello")
	held, err := fs.Lock("LOCK")
	require.NoError(t, err)
	fs.Kill()
	before, mutations := fingerprint(fs), fs.Mutations()
	calls := map[string]func() error{
		"create":      func() error { _, err := fs.Create("b"); return err },
		"open":        func() error { _, err := fs.Open("a"); return err },
		"remove":      func() error { return fs.Remove("a") },
		"rename":      func() error { return fs.Rename("a", "b") },
		"mkdir":       func() error { return fs.MkdirAll("d") },
		"list":        func() error { _, err := fs.List(""); return err },
		"size":        func() error { _, err := fs.Size("a"); return err },
		"syncdir":     func() error { return fs.SyncDir("") },
		"lock":        func() error { _, err := fs.Lock("L2"); return err },
		"read":        func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"write":       func() error { _, err := f.WriteAt([]byte("x"), 0); return err },
		"sync":        f.Sync,
		"preallocate": func() error { return f.Preallocate(100) },
		"file size":   func() error { _, err := f.Size(); return err },
		"close":       f.Close,
		"unlock":      held.Close,
	}
	for name, call := range calls {
		require.ErrorIs(t, call(), crashfs.ErrKilled, name)
	}
	require.Equal(t, before, fingerprint(fs))
	require.Equal(t, mutations, fs.Mutations())
	require.Zero(t, fs.OpenFiles())
	next := fs.AfterKill()
	_, err = next.Lock("LOCK")
	require.NoError(t, err, "the lock died with its process")
}

func TestAKilledWriteMayHappenInPart(t *testing.T) {
	const text = "0123456789"
	lengths := map[int]bool{}
	for seed := range uint64(300) {
		fs := crashfs.New()
		f := keep(t, fs, "a", "")
		fs.SetSeed(seed)
		fs.KillAt(1)
		n, err := f.WriteAt([]byte(text), 0)
		require.ErrorIs(t, err, crashfs.ErrKilled)
		got := read(fs.AfterKill(), "a")
		require.Equal(t, text[:n], got)
		require.Empty(t, read(fs.PowerLossStrict(), "a"))
		if seed == 0 {
			require.Zero(t, n, "without a seed nothing is written")
		}
		lengths[n] = true
	}
	require.Len(t, lengths, len(text)+1)
}

func TestAKilledStoreMayHappenInAnyPart(t *testing.T) {
	const text, zeros = "0123456789", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	seen := map[string]bool{}
	for seed := range uint64(3000) {
		for _, mapped := range []int64{10, 9} {
			fs := crashfs.New()
			f := keep(t, fs, "a", zeros)
			f.Map(mapped)
			fs.SetSeed(seed)
			fs.KillAt(1)
			n, err := f.WriteAt([]byte(text), 0)
			require.ErrorIs(t, err, crashfs.ErrKilled)
			got := read(fs.AfterKill(), "a")
			from := strings.IndexFunc(got, func(r rune) bool { return r != 0 })
			if from < 0 {
				require.Zero(t, n)
				continue
			}
			require.Equal(t, zeros[:from]+text[from:from+n]+zeros[from+n:], got)
			if mapped == 10 {
				seen[got] = true
			} else {
				require.Zero(t, from, "what does not lie in the mapped part is written by a call")
			}
		}
	}
	require.Len(t, seen, 10*11/2, "any stretch")
}

func TestWhatWasVolatileIsVolatileForTheNextProcess(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", "old")
	write(t, f, "new", 0)
	put(t, fs, "b", "B")
	fs.Kill()
	next := fs.AfterKill()
	require.Equal(t, "a=new b=B", fingerprint(next))
	require.Equal(t, "a=old", fingerprint(next.PowerLossStrict()))
	g, err := next.Open("a")
	require.NoError(t, err)
	require.NoError(t, g.Sync())
	require.NoError(t, next.SyncDir(""))
	require.Equal(t, "a=new b=", fingerprint(next.PowerLossStrict()))
	require.Equal(t, "a=old", fingerprint(fs.PowerLossStrict()), "the source did not change")
}

func TestImagesAreIndependent(t *testing.T) {
	makeImage := map[string]func(*crashfs.FS) *crashfs.FS{
		"a kill":       (*crashfs.FS).AfterKill,
		"two kills":    func(fs *crashfs.FS) *crashfs.FS { return fs.AfterKill().AfterKill() },
		"a power loss": (*crashfs.FS).PowerLossAll,
	}
	goOn := map[string]func(t *testing.T, f vfs.File){
		"the source writes the same page": func(t *testing.T, f vfs.File) {
			write(t, f, "source", 100)
			write(t, f, "source", 4090)
		},
		"the source syncs and then writes": func(t *testing.T, f vfs.File) {
			require.NoError(t, f.Sync())
			write(t, f, "source", 300)
		},
	}
	for how, makeImage := range makeImage {
		for what, goOn := range goOn {
			t.Run("after "+how+" "+what, func(t *testing.T) {
				fs := crashfs.New()
				f := keep(t, fs, "a", strings.Repeat("s", 6000))
				write(t, f, "unsynced", 100)
				g := put(t, fs, "pending", "1")
				before := fingerprint(fs)
				image := makeImage(fs)
				draws := outcomes(image, fingerprint)

				goOn(t, f)
				goOn(t, g)
				after := fingerprint(fs)
				require.NotEqual(t, before, after)
				require.Equal(t, before, fingerprint(image))
				require.Equal(t, draws, outcomes(image, fingerprint))

				require.NoError(t, image.Remove("pending"))
				require.NoError(t, image.Rename("a", "b"))
				require.NoError(t, image.WriteFile("b", []byte("image")))
				require.Equal(t, after, fingerprint(fs))
			})
		}
	}
}

func TestTheHookSeesTheStateBeforeEachMutation(t *testing.T) {
	var before []string
	fs := crashfs.New()
	fs.OnMutation(func(n int) {
		require.Equal(t, len(before)+1, n)
		require.Equal(t, n, fs.Mutations())
		before = append(before, fingerprint(fs.AfterKill()))
	})
	require.NoError(t, steps(fs))
	for i, got := range before {
		killed := crashfs.New()
		killed.KillAt(i + 1)
		require.ErrorIs(t, steps(killed), crashfs.ErrKilled)
		require.Equal(t, fingerprint(killed), got, "one run with a hook gives the states of eight with a death")
	}
	require.Len(t, before, 8)
}

func TestAFullDisk(t *testing.T) {
	fs := crashfs.New()
	fs.SetCapacity(100)
	f := put(t, fs, "a", strings.Repeat("a", 60))
	g := put(t, fs, "b", "")
	require.NoError(t, g.Preallocate(30))
	require.ErrorIs(t, g.Preallocate(41), syscall.ENOSPC)
	n, err := f.WriteAt(make([]byte, 20), 60)
	var pathErr *iofs.PathError
	require.ErrorAs(t, err, &pathErr)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 10, n, "what fits is written")
	write(t, f, strings.Repeat("b", 60), 0)
	write(t, g, strings.Repeat("b", 30), 0) // reserved space is there
	_, err = fs.AfterKill().Create("c")
	require.NoError(t, err, "an empty file takes no space")

	for name, image := range map[string]*crashfs.FS{"kill": fs.AfterKill(), "power loss": fs.PowerLossAll()} {
		h := put(t, image, "c", "")
		_, err = h.WriteAt([]byte("x"), 0)
		require.ErrorIs(t, err, syscall.ENOSPC, name)
	}
	require.NoError(t, fs.Remove("a"))
	write(t, g, strings.Repeat("b", 100), 0)
	write(t, f, strings.Repeat("a", 1000), 0) // without a name it takes no space
	put(t, fs, "c", "")
	require.NoError(t, fs.Rename("c", "b"), "replacing a file frees it")
	put(t, fs, "d", strings.Repeat("d", 100))
	fs.SetCapacity(0)
	put(t, fs, "e", strings.Repeat("e", 1000))
}

func TestWriteFileIsDurableAndSeenByOpenHandles(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", "hello")
	require.NoError(t, fs.WriteFile("a", []byte("hellO")))
	buf := make([]byte, 5)
	_, err := f.ReadAt(buf, 0)
	require.NoError(t, err)
	require.Equal(t, "hellO", string(buf))
	require.NoError(t, fs.WriteFile("x/y/b", []byte("deep")))
	put(t, fs, "c", "C")
	require.NoError(t, fs.Rename("c", "d"))
	require.NoError(t, fs.WriteFile("d", []byte("D")))
	require.Equal(t, []string{"a=hellO d=D x/y/b=deep"}, outcomes(fs, fingerprint))
	require.Equal(t, []string{"a", "d", "x/y/b"}, fs.Names())
	keep(t, fs, "stuck", "?")
	require.NoError(t, fs.Remove("stuck"))
	fs.FailSyncDir("")
	require.NoError(t, fs.WriteFile("stuck", []byte("!")))
	require.Equal(t, []string{"a=hellO d=D stuck=! x/y/b=deep"}, outcomes(fs, fingerprint))
	require.Error(t, fs.WriteFile("x", nil))
	_, err = fs.ReadFile("missing")
	require.ErrorIs(t, err, iofs.ErrNotExist)
}

func TestOpenFilesCountsHandlesAndLocks(t *testing.T) {
	fs := crashfs.New()
	f := put(t, fs, "a", "hello")
	g, err := fs.Open("a")
	require.NoError(t, err)
	held, err := fs.Lock("LOCK")
	require.NoError(t, err)
	require.Equal(t, 3, fs.OpenFiles())
	require.NoError(t, f.Close())
	require.Error(t, f.Close())
	require.Equal(t, 2, fs.OpenFiles())
	require.Zero(t, fs.AfterKill().OpenFiles())
	require.NoError(t, g.Close())
	require.NoError(t, held.Close())
	require.Zero(t, fs.OpenFiles())
}

// Run with -race: images are made while the store works, and pages are shared.
func TestImagesMayBeMadeMeanwhile(t *testing.T) {
	fs := crashfs.New()
	f := keep(t, fs, "a", "")
	var wg sync.WaitGroup
	work := func(f vfs.File, text string) {
		for i := range 300 {
			if _, err := f.WriteAt([]byte(text), int64(i*40)); err != nil {
				return
			}
			if i%10 == 0 {
				_ = f.Sync()
			}
		}
	}
	wg.Go(func() { work(f, strings.Repeat("x", 40)) })
	wg.Go(func() {
		for seed := range uint64(50) {
			image := fs.AfterKill()
			image.PowerLoss(rand.New(rand.NewPCG(seed, 1)))
			g, err := image.Create("g")
			if err == nil {
				work(g, "y")
			}
		}
	})
	wg.Wait()
	require.Equal(t, strings.Repeat("x", 300*40), read(fs, "a"))
}
