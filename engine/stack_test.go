package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// stacked makes forks whose paths differ in every kind of layer, and says what each
// holds.
func stacked(t *testing.T) (*marking, map[string]map[string]string) {
	m := newMarking(t, 4<<10)
	want := map[string]map[string]string{}
	rng := rand.New(rand.NewPCG(3, 3))
	names := []string{MainFork}
	want[MainFork] = map[string]string{}
	key := func() string { return fmt.Sprintf("k%03d", rng.IntN(300)) }
	for step := range 400 {
		name := names[rng.IntN(len(names))]
		f, rows := m.fork(name), want[name]
		switch n := rng.IntN(40); {
		case n == 0 && len(names) < 12:
			child := fmt.Sprint("f", len(names))
			_, err := f.Fork(child)
			require.NoError(t, err)
			names, want[child] = append(names, child), map[string]string{}
			for k, v := range rows {
				want[child][k] = v
			}
		case n == 1:
			m.flush()
		case n == 2:
			lo := key()
			hi := lo + "x"
			require.NoError(t, f.DeleteRange([]byte(lo), []byte(hi)))
			delete(rows, lo)
		case n < 8:
			k := key()
			require.NoError(t, f.Delete([]byte(k)))
			delete(rows, k)
		default:
			k, v := key(), fmt.Sprint("v", step)
			require.NoError(t, f.Set([]byte(k), []byte(v)))
			rows[k] = v
		}
	}
	return m, want
}

func within(rows map[string]string, rng Range) map[string]string {
	out := map[string]string{}
	for k, v := range rows {
		if k >= string(rng.Lower) && (rng.Upper == nil || k < string(rng.Upper)) {
			out[k] = v
		}
	}
	return out
}

func TestAStackReadsOneViewAfterTheOther(t *testing.T) {
	m, want := stacked(t)
	st := &stack{}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 40 {
		for name, rows := range want {
			r := &m.fork(name).shared().viewer
			v, err := r.acquire()
			require.NoError(t, err)
			var bounds Range
			if rng.IntN(2) == 0 {
				bounds.Lower = fmt.Appendf(nil, "k%03d", rng.IntN(300))
			}
			if rng.IntN(2) == 0 {
				bounds.Upper = fmt.Appendf(nil, "k%03d", rng.IntN(300))
			}
			it := st.live(r, v, ids.LSN(m.s.visible.Load()), bounds)
			got := map[string]string{}
			for ok := it.Last(); ok; ok = it.Prev() {
				got[string(it.Key())] = string(it.Value())
			}
			require.Equal(t, within(rows, bounds), got, "%s, %q", name, bounds)
			if it.First() && rng.IntN(2) == 0 {
				it.Next() // and is closed in the middle
			}
			require.NoError(t, it.Close())
			v.release()
			st.empty()
			require.Zero(t, len(st.inputs)+st.usedMems+st.usedRuns)
			for _, r := range st.runs {
				require.Equal(t, runRows{}, *r, "it holds on to a view and its tables")
			}
		}
	}
	require.Greater(t, len(st.mems), 1, "of several layers in memory")
	require.Greater(t, len(st.runs), 1, "and of several runs")
}

// An iterator that is closed twice must not give its stack to two others.
func TestIteratorsThatAreOpenShareNothing(t *testing.T) {
	m, want := stacked(t)
	for range 20 {
		for name := range want {
			first, err := m.fork(name).NewIter(Range{})
			require.NoError(t, err)
			first.First()
			require.NoError(t, first.Close())
			require.NoError(t, first.Close())
			require.False(t, first.Next())
			require.False(t, first.Valid())
			require.Nil(t, first.Key())
			var open []*Iterator
			var rows []map[string]string
			for other := range want {
				it, err := m.fork(other).NewIter(Range{})
				require.NoError(t, err)
				it.First()
				open, rows = append(open, it), append(rows, map[string]string{})
			}
			for more := true; more; {
				more = false
				for i, it := range open {
					if it.Valid() {
						rows[i][string(it.Key())] = string(it.Value())
						it.Next()
						more = true
					}
				}
			}
			for _, it := range open {
				require.NoError(t, it.Close())
			}
			var all []map[string]string
			for _, r := range want {
				all = append(all, r)
			}
			require.ElementsMatch(t, all, rows)
		}
	}
}

// Six runs, a memtable that is frozen and one that is not.
func TestAStackThatIsUsedAgainAllocatesNothing(t *testing.T) {
	s, err := Open(t.TempDir(), &Options{Manual: true})
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	for i := range 8 {
		for k := range 5 {
			require.NoError(t, f.Set(fmt.Appendf(nil, "k%03d", 8*k+i), []byte("v"), NoSync))
		}
		_, err := f.Fork(fmt.Sprint("f", i), NoSync)
		require.NoError(t, err)
		if i < 6 {
			require.NoError(t, s.Flush())
		}
	}
	v, err := f.acquire()
	require.NoError(t, err)
	defer v.release()
	require.Len(t, v.layers(), 8)
	st := &stack{}
	at, bounds := ids.LSN(s.visible.Load()), Range{Lower: []byte("k"), Upper: []byte("l")}
	key := []byte("k011")
	read := func() {
		it := st.live(&f.shared().viewer, v, at, bounds)
		if !it.SeekGE(key) || it.Close() != nil {
			t.Fail()
		}
		st.empty()
	}
	read()
	require.Zero(t, testing.AllocsPerRun(500, read))
}
