package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func runNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return names
}

func forkNames(s *engine.Store) (names []string) {
	for _, f := range s.Forks() {
		names = append(names, f.Name)
	}
	return names
}

func TestManyForksAreMadeOfUnflushedWritesAndAreOnTheirOwn(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1"), engine.NoSync))
	before := s.Stats()
	names := runNames("run-", 1000)
	forks, err := f.ForkMany(names)
	require.NoError(t, err)
	require.Equal(t, before.LastLSN+1, s.Stats().LastLSN, "one record")
	require.Equal(t, before.Nodes+1, s.Stats().Nodes, "one freeze")
	require.EqualValues(t, 1000, s.Stats().ForksMade)
	require.Len(t, forks, 1000)
	require.NoError(t, f.Set([]byte("a"), []byte("2")))
	require.NoError(t, forks[7].Set([]byte("a"), []byte("7")))
	require.NoError(t, forks[999].Delete([]byte("a")))
	require.NoError(t, s.Verify())

	s = open(t, "/db", small(disk.PowerLossStrict()))
	for i, name := range names {
		child := fork(t, s, name)
		require.Equal(t, forks[i].ID(), child.ID())
		want := map[string]string{"a": "1"}
		switch i {
		case 7:
			want["a"] = "7"
		case 999:
			delete(want, "a")
		}
		require.NoError(t, same(child, want), name)
	}
	infos := s.Forks()
	require.Len(t, infos, 1001)
	for _, info := range infos[1:] {
		require.Equal(t, engine.MainFork, info.Parent)
		require.True(t, infos[1].Created.Equal(info.Created))
	}
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
}

func TestManyForksOfASnapshotBeginAsItIs(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	empty, err := f.Snapshot("empty")
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	kept, err := f.Snapshot("kept")
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("a"), []byte("2")))
	_, err = empty.ForkMany([]string{"e1", "e2"})
	require.NoError(t, err)
	_, err = kept.ForkMany([]string{"k1", "k2"}, engine.NoSync)
	require.NoError(t, err)
	require.NoError(t, kept.Drop())
	_, err = kept.ForkMany([]string{"k3"})
	require.ErrorIs(t, err, engine.ErrSnapshotNotFound)
	for range 2 {
		require.NoError(t, same(fork(t, s, "e2"), map[string]string{}))
		require.NoError(t, same(fork(t, s, "k1"), map[string]string{"a": "1"}))
		require.NoError(t, same(fork(t, s, "k2"), map[string]string{"a": "1"}))
		require.Equal(t, []string{"e1", "e2", "k1", "k2", "main"}, forkNames(s))
		s = open(t, "/db", small(disk.PowerLossStrict()))
	}
}

func TestForksThatAreRefusedLeaveNoTrace(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	gone, err := f.Fork("gone")
	require.NoError(t, err)
	require.NoError(t, gone.Drop())
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	before := s.Stats()
	for _, c := range []struct {
		what  string
		names []string
		want  error
	}{
		{"a name that is taken", []string{"x", "y", engine.MainFork}, engine.ErrForkExists},
		{"a name that comes twice", []string{"x", "y", "x"}, engine.ErrInvalidName},
		{"a name that is not allowed", []string{"x", "not allowed"}, engine.ErrInvalidName},
		{"a name that is too long", []string{"x", strings.Repeat("n", engine.MaxNameBytes+1)}, engine.ErrLimit},
		{"more than are allowed", runNames("run-", engine.MaxForkMany+1), engine.ErrLimit},
	} {
		made, err := f.ForkMany(c.names)
		require.ErrorIs(t, err, c.want, c.what)
		require.Empty(t, made)
		require.Equal(t, before, s.Stats(), c.what)
	}
	_, err = gone.ForkMany([]string{"x"})
	require.ErrorIs(t, err, engine.ErrForkNotFound)
	made, err := f.ForkMany(nil)
	require.NoError(t, err)
	require.Empty(t, made)
	require.Equal(t, before, s.Stats())
	require.NoError(t, s.Close())
	o := small(disk)
	o.ReadOnly = true
	s = open(t, "/db", o)
	_, err = fork(t, s, engine.MainFork).ForkMany([]string{"x"})
	require.ErrorIs(t, err, engine.ErrReadOnly)
}

// Each caller sees that there are enough numbers, and before its record gets its
// place the next one begins, until there are not.
func TestManyForksTakeNumbersOnlyAfterTheyAreReserved(t *testing.T) {
	const deep = 35 // a block of numbers does for 32
	disk := crashfs.New()
	o := &engine.Options{FS: disk, Manual: true}
	var s *engine.Store
	var begin func()
	begun := 0
	o.Schedule = schedule.New(0, func(p schedule.Point) {
		if p == schedule.RecordReserved && begun > 0 && begun < deep {
			begin()
		}
	})
	seen := map[uint64]bool{}
	begin = func() {
		begun++
		forks, err := fork(t, s, engine.MainFork).ForkMany(runNames(fmt.Sprintf("r%d-", begun), engine.MaxForkMany), engine.NoSync)
		require.NoError(t, err)
		for _, c := range forks {
			require.False(t, seen[c.ID()])
			seen[c.ID()] = true
		}
	}
	s = open(t, "/db", o)
	begin()
	require.Len(t, seen, deep*engine.MaxForkMany)
	require.NoError(t, s.Sync())
	s = open(t, "/db", &engine.Options{FS: disk.PowerLossStrict(), Manual: true})
	require.Equal(t, len(seen)+1, s.Stats().Forks)
	begun = deep
	begin()
	require.NoError(t, s.Verify())
}

func TestACrashLeavesAllOfManyForksOrNone(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	_, err := f.ForkMany(runNames("old-", 70))
	require.NoError(t, err)
	base := disk.AfterKill()

	rng := rand.New(rand.NewPCG(1, 1))
	made, dropped := map[int]int{}, map[int]int{}
	for k := 1; ; k++ {
		fs := base.AfterKill()
		fs.KillAt(k)
		s, err := engine.Open("/db", small(fs))
		if err == nil {
			if f, err := s.Fork(engine.MainFork); err == nil {
				// Each is longer than a segment's rest, so that it tears.
				_, _ = f.ForkMany(runNames("new-", 80))
				_, _ = s.DropPrefix("old-")
			}
			_ = s.Close()
		}
		if !fs.Killed() {
			require.Greater(t, k, 10)
			break
		}
		for _, image := range []*crashfs.FS{fs.AfterKill(), fs.PowerLossStrict(), fs.PowerLoss(rng), fs.PowerLoss(rng)} {
			s := open(t, "/db", small(image))
			count := map[string]int{}
			for _, name := range forkNames(s) {
				count[name[:4]]++
			}
			require.Contains(t, []int{0, 80}, count["new-"], "killed at call %d", k)
			require.Contains(t, []int{0, 70}, count["old-"], "killed at call %d", k)
			require.False(t, count["new-"] == 0 && count["old-"] == 0, "the later one alone")
			made[count["new-"]]++
			dropped[count["old-"]]++
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())
		}
	}
	require.Len(t, made, 2)
	require.Len(t, dropped, 2)
}

// A writer goes on while forks are made; each batch is in all of them or in none.
func TestManyForksSeeOneCutOfConcurrentWrites(t *testing.T) {
	s := open(t, "/db", &engine.Options{FS: crashfs.New()})
	f := fork(t, s, engine.MainFork)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := f.Set(fmt.Appendf(nil, "k%d", i%50), fmt.Append(nil, i), engine.NoSync); err != nil {
				done <- err
				return
			}
		}
	}()
	for round := range 20 {
		forks, err := f.ForkMany(runNames(fmt.Sprintf("r%d-", round), 30), engine.NoSync)
		require.NoError(t, err)
		rows, failed := forks[0].Scan(engine.Range{})
		want := map[string]string{}
		for k, v := range rows {
			want[string(k)] = string(v)
		}
		require.NoError(t, failed())
		for _, c := range forks[1:] {
			require.NoError(t, same(c, want))
		}
	}
	close(stop)
	require.NoError(t, <-done)
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}

// A full disk must not be met where many new forks are owed to the manifest: what a
// drop frees could never be published then.
func TestForksMadeOnAFullDiskDoNotStandInTheWayOfDrops(t *testing.T) {
	disk := crashfs.New()
	o := &engine.Options{FS: disk, Manual: true, SegmentBytes: 4 << 20}
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	junk, err := f.Fork("junk")
	require.NoError(t, err)
	require.NoError(t, junk.Set([]byte("a"), make([]byte, 100<<10)))
	require.NoError(t, s.Flush())
	require.Equal(t, 1, s.Stats().Files)
	disk.SetCapacity(1) // what is there stays, nothing more is given
	long := strings.Repeat("n", engine.MaxNameBytes-8)
	_, err = f.ForkMany(runNames(long, engine.MaxForkMany))
	require.NoError(t, err, "there is room in the log")
	n, err := s.DropPrefix(long)
	require.NoError(t, err)
	require.Equal(t, engine.MaxForkMany, n)
	require.NoError(t, junk.Drop())
	require.NoError(t, s.Settle())
	require.Zero(t, s.Stats().Files)
	require.NoError(t, s.Verify())
}

func TestForksMayBeMadeAndDroppedBySeveralAtATime(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	require.NoError(t, f.Set([]byte("a"), []byte("1")))
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for g := range 4 {
		wg.Go(func() {
			prefix := fmt.Sprintf("g%d-", g)
			for range 15 {
				_, err := f.ForkMany(runNames(prefix, 20), engine.NoSync)
				if err == nil {
					var n int
					if n, err = s.DropPrefix(prefix, engine.NoSync); err == nil && n != 20 {
						err = fmt.Errorf("%d forks dropped", n)
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.Equal(t, []string{engine.MainFork}, forkNames(s))
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
	s = open(t, "/db", small(disk))
	require.Equal(t, []string{engine.MainFork}, forkNames(s))
}
