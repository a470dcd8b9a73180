package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// family makes forks: main, a, a/1, a/1/x, a/2, b, and ab of a snapshot of a.
func family(t *testing.T, s *engine.Store) map[string]*engine.Fork {
	forks := map[string]*engine.Fork{engine.MainFork: fork(t, s, engine.MainFork)}
	for _, c := range [][2]string{{"main", "a"}, {"a", "a/1"}, {"a/1", "a/1/x"}, {"a", "a/2"}, {"main", "b"}} {
		child, err := forks[c[0]].Fork(c[1])
		require.NoError(t, err)
		require.NoError(t, child.Set([]byte("own"), []byte(c[1])))
		forks[c[1]] = child
	}
	kept, err := forks["a"].Snapshot("kept")
	require.NoError(t, err)
	forks["ab"], err = kept.Fork("ab")
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	return forks
}

func TestDropsOfMany(t *testing.T) {
	for _, c := range []struct {
		name string
		drop func(s *engine.Store, forks map[string]*engine.Fork) (int, error)
		want error
		left []string
	}{
		{
			name: "given forks go, one given twice once",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) {
				return 2, s.DropForks([]*engine.Fork{f["a"], f["b"], f["a"]})
			},
			left: []string{"a/1", "a/1/x", "a/2", "ab", "main"},
		},
		{
			name: "a prefix takes the name that it is, and names that go on anyhow",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) { return s.DropPrefix("a") },
			left: []string{"b", "main"},
		},
		{
			name: "a prefix that no name has drops none",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) { return s.DropPrefix("c") },
			left: []string{"a", "a/1", "a/1/x", "a/2", "ab", "b", "main"},
		},
		{
			name: "a subtree is what came of a fork, by its snapshots too",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) { return f["a"].DropSubtree() },
			left: []string{"b", "main"},
		},
		{
			name: "a subtree does not reach above its fork or to its sisters",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) { return f["a/1"].DropSubtree() },
			left: []string{"a", "a/2", "ab", "b", "main"},
		},
		{
			name: "what was made from a fork that is gone is not found through it",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) {
				if err := f["a/1"].Drop(); err != nil {
					return 0, err
				}
				n, err := f["a"].DropSubtree()
				return n + 1, err
			},
			left: []string{"a/1/x", "b", "main"},
		},
		{
			name: "a fork that is gone saves the others",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) {
				if err := f["a/2"].Drop(); err != nil {
					return 0, err
				}
				return 1, s.DropForks([]*engine.Fork{f["a"], f["a/2"]})
			},
			want: engine.ErrForkNotFound,
			left: []string{"a", "a/1", "a/1/x", "ab", "b", "main"},
		},
		{
			name: "all forks of a store are protected",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) { return s.DropPrefix("") },
			want: engine.ErrProtected,
			left: []string{"a", "a/1", "a/1/x", "a/2", "ab", "b", "main"},
		},
		{
			name: "and so is the subtree that is the store",
			drop: func(s *engine.Store, f map[string]*engine.Fork) (int, error) {
				return f[engine.MainFork].DropSubtree()
			},
			want: engine.ErrProtected,
			left: []string{"a", "a/1", "a/1/x", "a/2", "ab", "b", "main"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crashfs.New()
			s := open(t, "/db", small(disk))
			forks := family(t, s)
			before := len(s.Forks())
			n, err := c.drop(s, forks)
			require.ErrorIs(t, err, c.want)
			if err == nil {
				require.Equal(t, before-len(c.left), n)
			}
			require.Equal(t, c.left, forkNames(s))
			left := map[string]bool{}
			for _, name := range c.left {
				left[name] = true
			}
			for name, f := range forks {
				if _, err := f.Get([]byte("own")); !left[name] {
					require.ErrorIs(t, err, engine.ErrForkNotFound, name)
				}
			}
			require.NoError(t, s.Settle())
			require.NoError(t, s.Verify())
			require.NoError(t, forks[engine.MainFork].Set([]byte("more"), nil))
			require.NoError(t, s.Flush()) // now the manifest has the drop, and the log still has it too
			s = open(t, "/db", small(disk.PowerLossStrict()))
			require.Equal(t, c.left, forkNames(s))
			require.NoError(t, s.Verify())
		})
	}
}

func TestASubtreeIsWalkedByHandlesLikeItsRoots(t *testing.T) {
	s := open(t, "/db", small(crashfs.New()))
	forks := family(t, s)
	walk := func(f *engine.Fork) (names []string, handles []*engine.Fork) {
		for x, err := range f.Subtree() {
			require.NoError(t, err)
			names, handles = append(names, x.Name()), append(handles, x)
		}
		return names, handles
	}
	names, plain := walk(forks["a"])
	require.Equal(t, []string{"a", "a/1", "a/1/x", "a/2", "ab"}, names)
	names, _ = walk(forks["b"])
	require.Equal(t, []string{"b"}, names)
	root, err := s.ForkWhileNamed("a")
	require.NoError(t, err)
	names, bound := walk(root)
	require.Equal(t, []string{"a", "a/1", "a/1/x", "a/2", "ab"}, names)
	require.NoError(t, forks["a/2"].Rename("elsewhere"))
	require.NoError(t, plain[3].Set([]byte("k"), nil))
	require.ErrorIs(t, bound[3].Set([]byte("k"), nil), engine.ErrForkNotFound)
	require.NoError(t, bound[4].Set([]byte("k"), nil))

	require.NoError(t, forks["a"].Rename("z"))
	for _, f := range []*engine.Fork{root, forks["a"]} {
		steps := 0
		for x, err := range f.Subtree() {
			if f == root {
				require.ErrorIs(t, err, engine.ErrForkNotFound)
				require.Nil(t, x)
			} else {
				require.NoError(t, err)
			}
			if steps++; steps == 2 {
				break
			}
		}
		require.Equal(t, map[bool]int{true: 1, false: 2}[f == root], steps)
	}
}

func TestASubtreeThatIsTooLargeToDropIsWalkedSoFar(t *testing.T) {
	s := open(t, "/db", small(crashfs.New()))
	main := fork(t, s, engine.MainFork)
	for i := range engine.MaxDropMany/engine.MaxForkMany + 1 {
		var names []string
		for j := range engine.MaxForkMany {
			names = append(names, fmt.Sprint(i, "-", j))
		}
		_, err := main.ForkMany(names, engine.NoSync)
		require.NoError(t, err)
	}
	found := 0
	var last error
	for x, err := range main.Subtree() {
		if last = err; err == nil {
			require.NotNil(t, x)
			found++
		}
	}
	require.ErrorIs(t, last, engine.ErrLimit)
	require.Equal(t, engine.MaxDropMany, found)
}

func TestADropOfManyThatIsRefusedLeavesNoTrace(t *testing.T) {
	s := open(t, "/db", &engine.Options{FS: crashfs.New(), Manual: true})
	f := fork(t, s, engine.MainFork)
	for i := range engine.MaxDropMany/engine.MaxForkMany + 1 {
		_, err := f.ForkMany(runNames(fmt.Sprintf("r%03d-", i), engine.MaxForkMany), engine.NoSync)
		require.NoError(t, err)
	}
	before := s.Stats()
	_, err := s.DropPrefix("r")
	require.ErrorIs(t, err, engine.ErrLimit)
	other := open(t, "/db", &engine.Options{FS: crashfs.New()})
	require.Error(t, s.DropForks([]*engine.Fork{fork(t, other, engine.MainFork)}))
	require.Error(t, s.DropForks([]*engine.Fork{nil}))
	require.NoError(t, s.DropForks(nil))
	require.Equal(t, before, s.Stats())
	n, err := s.DropPrefix("r00")
	require.NoError(t, err)
	require.Equal(t, 10*engine.MaxForkMany, n)
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
}

// A subtree is looked at before its record gets its place: what happens in between counts.
func TestADropOfASubtreeTakesTheForksOfOneMoment(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(s *engine.Store) error
		left      []string
	}{
		{"a child's child is made", func(s *engine.Store) error { return second(fork(t, s, "a/1/x").Fork("a/1/x/new")) }, []string{"b", "main"}},
		{"a child goes, and its child is found no more", func(s *engine.Store) error { return fork(t, s, "a/1").Drop() }, []string{"a/1/x", "b", "main"}},
		{"a leaf goes and another comes", func(s *engine.Store) error {
			if err := fork(t, s, "a/2").Drop(); err != nil {
				return err
			}
			return second(fork(t, s, "a").Fork("a/2"))
		}, []string{"b", "main"}},
		{"another fork comes, and has a child", func(s *engine.Store) error {
			f, err := fork(t, s, "b").Fork("c")
			if err != nil {
				return err
			}
			return second(f.Fork("c/1"))
		}, []string{"b", "c", "c/1", "main"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := small(crashfs.New())
			var s *engine.Store
			var meanwhile func()
			o.Schedule = schedule.New(0, func(p schedule.Point) {
				if do := meanwhile; p == schedule.RecordReserved && do != nil {
					meanwhile = nil
					do()
				}
			})
			s = open(t, "/db", o)
			forks := family(t, s)
			before := len(forks)
			made := s.Stats().Forks
			meanwhile = func() { require.NoError(t, c.meanwhile(s)) }
			n, err := forks["a"].DropSubtree()
			require.NoError(t, err)
			require.Equal(t, c.left, forkNames(s))
			require.Positive(t, n)
			require.Equal(t, before, made)
			require.NoError(t, s.Settle())
			require.NoError(t, s.Verify())
		})
	}
}

// Between the moment at which room is made for the record and the one at which it gets
// its place, others make and drop forks: those that there are in the end are dropped.
func TestADropByPrefixTakesTheForksOfOneMoment(t *testing.T) {
	disk := crashfs.New()
	o := small(disk)
	var s *engine.Store
	var meanwhile func()
	o.Schedule = schedule.New(0, func(p schedule.Point) {
		if do := meanwhile; p == schedule.RecordReserved && do != nil {
			meanwhile = nil // what it does reaches this point too
			do()
		}
	})
	s = open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	for _, c := range []struct {
		name      string
		meanwhile func() error
		want      int
	}{
		{"one more is made", func() error { return second(f.Fork("run-more")) }, 11},
		{"two are dropped", func() error { return s.DropForks([]*engine.Fork{fork(t, s, "run-0001"), fork(t, s, "run-0002")}) }, 8},
		{"all are dropped", func() error { return second(s.DropPrefix("run-")) }, 0},
		{"one goes and another comes", func() error {
			if err := fork(t, s, "run-0001").Drop(); err != nil {
				return err
			}
			return second(f.Fork("run-more"))
		}, 10},
		{"one gets another name", func() error { return fork(t, s, "run-0003").Rename("other") }, 9},
		{"all others go, so that none would be left", func() error { return second(s.DropPrefix("main")) }, -1},
	} {
		_, err := f.ForkMany(runNames("run-", 10))
		require.NoError(t, err)
		meanwhile = func() { require.NoError(t, c.meanwhile()) }
		n, err := s.DropPrefix("run-")
		if c.want < 0 {
			require.ErrorIs(t, err, engine.ErrProtected, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, n, c.name)
		for _, name := range forkNames(s) {
			require.Contains(t, []string{engine.MainFork, "other"}, name, c.name)
		}
		_, _ = s.DropPrefix("other")
		require.NoError(t, s.Settle())
		require.NoError(t, s.Verify())
	}
}
