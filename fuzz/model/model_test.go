package model

import (
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An oracle that borrowed from the engine would repeat its mistakes.
func TestTheOracleImportsOnlyTheStandardLibrary(t *testing.T) {
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	parsed := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range tree.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			require.NotContains(t, strings.SplitN(path, "/", 2)[0], ".", "%s imports %s", f.Name(), path)
		}
		parsed++
	}
	require.Greater(t, parsed, 3)
}

func TestMapAgreesWithABuiltinMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var m Map[int]
	plain := map[string]int{}
	type version struct {
		m    Map[int]
		want map[string]int
	}
	var old []version
	for i := range 4000 {
		key := strconv.Itoa(rng.IntN(200))
		switch rng.IntN(10) {
		case 0, 1, 2:
			m = m.Delete(key)
			delete(plain, key)
		case 3:
			upper := strconv.Itoa(rng.IntN(200))
			r := Range{Lower: &key, Upper: &upper}
			switch rng.IntN(12) {
			case 0:
				r.Lower = nil
			case 1:
				r.Upper = nil
			case 2:
				r = Range{}
			}
			m = m.Without(r)
			for k := range plain {
				if (r.Lower == nil || key <= k) && (r.Upper == nil || k < upper) {
					delete(plain, k)
				}
			}
		default:
			m = m.Set(key, i)
			plain[key] = i
		}
		if i%200 == 0 {
			copied := map[string]int{}
			for k, v := range plain {
				copied[k] = v
			}
			old = append(old, version{m, copied})
		}
	}
	old = append(old, version{m, plain})
	for _, v := range old {
		keys := make([]string, 0, len(v.want))
		for k := range v.want {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		require.Equal(t, keys, v.m.Keys())
		require.Equal(t, len(keys), v.m.Len())
		for i, k := range keys {
			at, value := v.m.At(i)
			require.Equal(t, k, at)
			require.Equal(t, v.want[k], value)
			require.Equal(t, i, v.m.Rank(k))
			found, ok := v.m.Get(k)
			require.True(t, ok)
			require.Equal(t, v.want[k], found)
		}
		lower, upper := "120", "17"
		within := v.m.Within(Range{Lower: &lower, Upper: &upper}).Keys()
		from, to := sort.SearchStrings(keys, lower), sort.SearchStrings(keys, upper)
		require.Equal(t, keys[from:to], within)
	}
}

func TestAForkIsItsParentAtTheForkPointPlusItsOwnWrites(t *testing.T) {
	s := New()
	must := func(next State, err error) State {
		t.Helper()
		require.NoError(t, err)
		return next
	}
	s = must(s.Put("main", "a", "1"))
	s = must(s.Fork("main", "child"))
	s = must(s.Put("main", "a", "2"))
	s = must(s.Put("child", "b", "3"))
	s = must(s.Snapshot("child", "kept"))
	s = must(s.Delete("child", "a"))
	s = must(s.Drop("main"))
	_, err := s.Drop("child")
	require.ErrorIs(t, err, ErrLastFork)
	_, err = s.Get("child", "a")
	require.ErrorIs(t, err, ErrKeyNotFound)
	value, err := s.GetSnapshot("kept", "a")
	require.NoError(t, err)
	require.Equal(t, "1", value)
	s = must(s.ForkSnapshot("kept", "main"))
	s = must(s.Reset("child", "main"))
	value, err = s.Get("child", "a")
	require.NoError(t, err)
	require.Equal(t, "1", value)
	require.Empty(t, Diff(s.View(), s.View()))
	before := s
	s = must(s.Put("child", "a", "9"))
	require.Equal(t, `fork child: key "a" holds "9", want "1"`, Diff(s.View(), before.View()))
}

func TestManyForksAreMadeAndDroppedAllOrNone(t *testing.T) {
	names := func(s State) (all []string) {
		for name := range s.Forks.All() {
			all = append(all, name)
		}
		return all
	}
	s, err := New().Put(MainFork, "k", "v")
	require.NoError(t, err)
	s, err = s.ForkMany(MainFork, []string{"a", "b"})
	require.NoError(t, err)
	s, err = s.Snapshot("a", "of-a")
	require.NoError(t, err)
	s, err = s.ForkManySnapshot("of-a", []string{"a1", "a2"})
	require.NoError(t, err)
	s, err = s.Fork("a1", "x")
	require.NoError(t, err)
	value, err := s.Get("x", "k")
	require.NoError(t, err)
	require.Equal(t, "v", value)
	require.Equal(t, []string{"a", "a1", "a2", "x"}, s.Subtree("a"))
	require.Equal(t, []string{"a1", "x"}, s.Subtree("a1"))
	require.Equal(t, names(s), s.Subtree(MainFork))
	require.Empty(t, s.Subtree("nobody"))
	require.Equal(t, []string{"a", "a1", "a2"}, s.WithPrefix("a"))
	without, err := s.Drop("a")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "main"}, without.Subtree(MainFork), "what came of a dropped fork is not found through it")

	for _, c := range []struct {
		what string
		do   func() (State, error)
		want error
	}{
		{"a name that is taken", func() (State, error) { return s.ForkMany("b", []string{"c", "a"}) }, ErrForkExists},
		{"a name twice", func() (State, error) { return s.ForkMany("b", []string{"c", "c"}) }, ErrNameTwice},
		{"no parent", func() (State, error) { return s.ForkMany("c", []string{"d"}) }, ErrForkNotFound},
		{"no snapshot", func() (State, error) { return s.ForkManySnapshot("a", []string{"d"}) }, ErrSnapshotNotFound},
		{"a fork that is gone", func() (State, error) { return s.DropMany([]string{"a", "c"}) }, ErrForkNotFound},
		{"all forks", func() (State, error) { return s.DropMany(names(s)) }, ErrLastFork},
	} {
		after, err := c.do()
		require.ErrorIs(t, err, c.want, c.what)
		require.Equal(t, s, after, c.what)
	}
	s, err = s.DropMany([]string{"a", "b", "a"})
	require.NoError(t, err)
	require.Equal(t, []string{"a1", "a2", "main", "x"}, names(s))
}
