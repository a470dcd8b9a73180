package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

// weaveAll makes the weaves of all flats that are in use, from the oldest on or in any
// order, and gives how many there are.
func (m *marking) weaveAll(rng *rand.Rand) (made int) {
	for _, f := range m.flatsInOrder(rng) {
		if m.weaveAt(f) {
			made++
		}
	}
	return made
}

// weaveAt makes the weave of a flat, if it is worth one.
func (m *marking) weaveAt(f *flat) bool {
	m.s.mu.Lock()
	v := m.s.viewOfFlatLocked(f)
	m.s.mu.Unlock()
	require.NoError(m, m.s.makeWeave(v))
	require.NoError(m, m.s.Verify(), "while a weave is made")
	v.release()
	return f.weave.Load() != nil
}

// walkAt moves an iterator at random and finds what should be there; it gives how many
// weaves it walks through.
func (m *marking) walkAt(name string, want map[string]string, rng *rand.Rand) int {
	var keys []string
	for k := range want {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	it, err := m.fork(name).NewIter(Range{})
	require.NoError(m, err)
	defer it.Close()
	at := -1
	for range 400 {
		key := fmt.Sprintf("k%03d", rng.IntN(310))
		if rng.IntN(4) == 0 {
			key += "x"
		}
		ok := false
		switch n := rng.IntN(20); {
		case n == 0:
			ok, at = it.First(), 0
		case n == 1:
			ok, at = it.Last(), len(keys)-1
		case n == 2:
			ok, at = it.SeekGE([]byte(key)), sort.SearchStrings(keys, key)
		case n == 3:
			ok, at = it.SeekLT([]byte(key)), sort.SearchStrings(keys, key)-1
		case at < 0 || at >= len(keys):
			require.False(m, it.Next() || it.Prev())
			continue
		case n < 12:
			ok, at = it.Next(), at+1
		default:
			ok, at = it.Prev(), at-1
		}
		require.NoError(m, it.Error())
		require.Equal(m, at >= 0 && at < len(keys), ok, "%s: row %d of %d", name, at, len(keys))
		if ok {
			require.Equal(m, keys[at], string(it.Key()), name)
			require.Equal(m, want[keys[at]], string(it.Value()), "%s of %s", keys[at], name)
		}
	}
	return it.stack.usedWovens
}

// Forks of one another, with deletes and range deletes, flushes and merges, are walked
// through with every weave that there can be.
func TestWalksThroughWeavesFindWhatIsThere(t *testing.T) {
	made, walked, onwards := 0, 0, 0
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 6))
		m := newMarking(t, 512)
		m.kindred(rng, 8, 4, func() {
			m.requireKindred()
			room := m.s.opts.TableCacheBytes
			if rng.IntN(2) == 0 {
				m.s.opts.TableCacheBytes = weaveShare * weaveBytesARow * 149 // not for the base
			}
			made += m.weaveAll(rng)
			m.s.opts.TableCacheBytes = room
			for f := range m.flats() {
				if w := f.weave.Load(); w != nil && w.next != nil {
					onwards++
				}
			}
			for _, name := range slices.Sorted(maps.Keys(m.want)) {
				walked += m.walkAt(name, m.want[name], rng)
			}
		})
	}
	require.Greater(t, made, 50)
	require.Greater(t, walked, 100)
	require.Greater(t, onwards, 10, "with something below")
}

func TestWovenConforms(t *testing.T) {
	for _, n := range []int{3, 64, 65, 300} {
		t.Run(fmt.Sprintf("%d rows", n), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(n), 7))
			m := newMarking(t, 1<<10)
			rows := map[string]iterator.Row{}
			key := func() string { // many alike in more than a head, and some short
				k := fmt.Sprintf("k%03d/all/of/this/is/shared/%03d", rng.IntN(2), rng.IntN(2*n))
				return k[:len(k)-rng.IntN(2)]
			}
			for run := range 5 {
				m.makeFork(MainFork, fmt.Sprint("f", run))
				for range n/(run+1) + 1 {
					k := key()
					v := fmt.Sprint(k, " in run ", run)
					require.NoError(t, m.fork(MainFork).Set([]byte(k), []byte(v), NoSync))
					rows[k] = iterator.Row{Key: []byte(k), Kind: iterator.Set, Value: []byte(v)}
				}
				m.flush()
			}
			m.makeFork(MainFork, "top")
			v := m.view("top")
			require.True(t, m.weaveAt(v.flat))
			var want []iterator.Row
			for _, r := range rows {
				want = append(want, r)
			}
			slices.SortFunc(want, func(a, b iterator.Row) int { return cmp.Compare(string(a.Key), string(b.Key)) })
			itertest.Run(t, want, func() iterator.Iterator {
				x := &woven{}
				x.reset(v.flat.weave.Load(), v)
				return x
			})
		})
	}
}

// manyRuns makes a fork, top, over some runs of which each has every so manyth row.
func (m *marking) manyRuns(runs, rows int) {
	for run := range runs {
		b := m.s.NewBatch()
		for i := run; i < rows; i += 1 + run {
			b.Set(m.fork(MainFork), fmt.Appendf(nil, "k%06d", i), fmt.Append(nil, "run ", run))
		}
		require.NoError(m, b.Commit(NoSync))
		m.makeFork(MainFork, fmt.Sprint("f", run))
		m.flush()
	}
	m.makeFork(MainFork, "top")
	m.view("top")
}

func TestAWeaveTakesThePlaceOfTheRuns(t *testing.T) {
	m := newMarking(t, 2<<10)
	m.manyRuns(6, 500)
	v := m.view("top")
	require.True(t, m.weaveAt(v.flat))
	require.Len(t, v.layers(), 6)
	st := takeStack()
	rows := st.live(nil, v, ids.LSN(m.s.visible.Load()), Range{})
	require.Len(t, st.inputs, 1)
	n := 0
	for ok := rows.First(); ok; ok = rows.Next() {
		newest := 0
		for run := range 6 {
			if n >= run && (n-run)%(1+run) == 0 {
				newest = run
			}
		}
		require.Equal(t, fmt.Sprint("run ", newest), string(rows.Value()), "%s", rows.Key())
		n++
	}
	require.Equal(t, 500, n)
	require.NoError(t, rows.Close())
	giveStack(st)
}

func TestAWalkIsNotLedThroughManyDeadRows(t *testing.T) {
	m := newMarking(t, 64<<10)
	m.manyRuns(3, 3*maxWovenDead)
	require.True(t, m.weaveAt(m.view("f2").flat)) // which keeps it
	has := func(name string) (inputs, rows int) {
		it, err := m.fork(name).NewIter(Range{})
		require.NoError(t, err)
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			rows++
		}
		return it.stack.usedWovens, rows
	}
	wovens, rows := has("top")
	require.Equal(t, 1, wovens)
	require.Equal(t, 3*maxWovenDead, rows)
	deleteRows := func(lo, hi int) {
		b := m.s.NewBatch()
		for i := lo; i < hi; i++ {
			b.Delete(m.fork("top"), fmt.Appendf(nil, "k%06d", i))
		}
		require.NoError(t, b.Commit(NoSync))
		m.makeFork("top", fmt.Sprint("top", lo))
		m.flush()
	}
	deleteRows(0, 100)
	wovens, rows = has("top")
	require.Equal(t, 1, wovens, "each of them is looked at")
	require.Equal(t, 3*maxWovenDead-100, rows)
	deleteRows(100, 2*maxWovenDead)
	require.True(t, m.weaveAt(m.view("f2").flat))
	wovens, rows = has("top")
	there := false
	for f := range m.view("top").flat.under() {
		there = there || f.weave.Load() != nil
	}
	require.True(t, there)
	require.Zero(t, wovens, "the tables' own iterators leap over them")
	require.Equal(t, maxWovenDead, rows)
}

func TestWeavesGoWithTheirFlatsAndStayWithinTheirRoom(t *testing.T) {
	m := newMarking(t, 2<<10)
	m.manyRuns(6, 500)
	room := m.s.opts.TableCacheBytes
	m.s.opts.TableCacheBytes = 8
	require.Zero(t, m.weaveAll(nil), "there is no room")
	m.s.opts.TableCacheBytes = room
	require.Positive(t, m.weaveAll(nil))
	require.Positive(t, m.s.mu.weaveBytes)
	require.NoError(t, m.s.Verify())
	m.forgetViews()
	require.Zero(t, m.s.mu.weaveBytes)
}

func TestManyWalksMakeAWeaveInTheBackground(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	for i := range 6 {
		require.NoError(t, f.Set(fmt.Appendf(nil, "k%d", i), fmt.Append(nil, i)))
		_, err := f.Fork(fmt.Sprint("f", i))
		require.NoError(t, err)
		require.NoError(t, s.Flush())
	}
	all := func() (rows string) {
		it, err := f.NewIter(Range{})
		require.NoError(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			rows += fmt.Sprintf("%s=%s ", it.Key(), it.Value())
		}
		require.NoError(t, it.Close())
		return rows
	}
	for deadline := time.Now().Add(time.Minute); s.counter.weaves.Load() == 0; {
		require.True(t, time.Now().Before(deadline), "no weave is made")
		require.Equal(t, "k0=0 k1=1 k2=2 k3=3 k4=4 k5=5 ", all())
	}
	require.Equal(t, "k0=0 k1=1 k2=2 k3=3 k4=4 k5=5 ", all())
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
}

// What damage there is behind an anchor that a seek does not end at is nothing to the seek, even where
// keys are alike in more than the heads.
func TestASeekInAWeaveReadsOnlyNearItsKey(t *testing.T) {
	m := newMarking(t, 1<<20)
	key := func(i int) []byte { return fmt.Appendf(nil, "tenant-0001/rows/%05d", i) }
	for run := range 3 {
		b := m.s.NewBatch()
		b.Set(m.fork(MainFork), []byte("a"), nil)
		b.Set(m.fork(MainFork), []byte("z"), nil)
		for i := run; i < 1000; i += 3 {
			b.Set(m.fork(MainFork), key(i), fmt.Appendf(nil, "value-%05d", i))
		}
		require.NoError(t, b.Commit(NoSync))
		m.makeFork(MainFork, fmt.Sprint("f", run))
		m.flush()
	}
	m.makeFork(MainFork, "top")
	require.True(t, m.weaveAt(m.view("top").flat))
	names, err := m.disk.List("/db")
	require.NoError(t, err)
	damaged := 0
	for _, n := range names {
		if !strings.HasSuffix(n, ".sst") {
			continue
		}
		data, err := m.disk.ReadFile("/db/" + n)
		require.NoError(t, err)
		for i := 505; i < 515; i++ {
			if at := strings.Index(string(data), fmt.Sprintf("value-%05d", i)); at >= 0 {
				data[at] ^= 0x40
				damaged++
			}
		}
		require.NoError(t, m.disk.WriteFile("/db/"+n, data))
	}
	require.Equal(t, 10, damaged)
	seek := func(i int) error {
		it, err := m.fork("top").NewIter(Range{})
		require.NoError(t, err)
		it.SeekGE(key(i))
		require.Equal(t, 1, it.stack.usedWovens)
		for range 5 {
			if it.Error() == nil {
				require.Equal(t, key(i), it.Key())
			}
			it.Next()
			i++
		}
		return it.Close()
	}
	require.ErrorIs(t, seek(504), ErrCorrupt)
	for i := range 995 {
		if i < 505-anchorRows-5 || i >= 515+anchorRows {
			require.NoError(t, seek(i), "%d", i)
		}
	}
}

// Keys of up to 64 KiB must not make a weave large.
func TestKeysThatAreLongGetNoWeave(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes int
		made  bool
	}{
		{"not that long", 100, true},
		{"too long", 500, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 1<<20)
			for run := range 3 {
				for i := range 300 {
					k := append(fmt.Appendf(nil, "%d-%04d", i%2, i), make([]byte, c.bytes)...)
					require.NoError(t, m.fork(MainFork).Set(k, fmt.Append(nil, run), NoSync))
				}
				m.makeFork(MainFork, fmt.Sprint("f", run))
				m.flush()
			}
			m.makeFork(MainFork, "top")
			made := m.weaveAt(m.view("top").flat)
			require.Equal(t, c.made, made)
			require.Equal(t, c.made, m.s.mu.weaveBytes > 0)
		})
	}
}

// Whoever waits for the memory worker waits for a few rows of a weave, however large they are.
func TestAWeaveIsGivenUpSoonWhenSomebodyWaits(t *testing.T) {
	for _, c := range []struct {
		name             string
		rows, value, ask int
	}{
		{"many small rows", 600, 10, 1800 / weaveStopRows},
		{"a few large ones", 20, 40 << 10, 60 * 40 << 10 / (2 * weaveStopBytes)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 1<<20)
			for run := range 3 {
				for i := range c.rows {
					require.NoError(t, m.fork(MainFork).Set(fmt.Appendf(nil, "k%04d", i), make([]byte, c.value), NoSync))
				}
				m.makeFork(MainFork, fmt.Sprint("f", run))
				m.flush()
			}
			m.makeFork(MainFork, "top")
			v := m.view("top")
			runs, rows, _, _, ok := v.flat.weaveScope(m.s.roomForWeaves())
			require.True(t, ok)
			require.Equal(t, 3*c.rows, rows)
			asked := 0
			its := make([]iterator.Iterator, len(runs))
			for i, tables := range runs {
				its[i] = m.s.allRows(tables)
			}
			require.NoError(t, newWeave(runs).fill(its, func() error { asked++; return nil }))
			for _, it := range its {
				require.NoError(t, it.Close())
			}
			require.GreaterOrEqual(t, asked, c.ask)

			m.s.back.urgent++
			require.ErrorIs(t, m.s.makeWeave(v), errNoWeaveNow)
			require.Nil(t, v.flat.weave.Load())
			m.s.back.urgent--
			require.True(t, m.weaveAt(v.flat))
		})
	}
}

// While nothing can be made, flats that have gone do not stay asked for, and those that find no
// place ask again.
func TestFlatsThatWaitForAWeaveAreFew(t *testing.T) {
	m := newMarking(t, 1<<20)
	ask := func(name string) *Iterator {
		it, err := m.fork(name).NewIter(Range{})
		require.NoError(t, err)
		m.s.opts.Manual = false
		it.v.noteSteps(1 << 30)
		it.v.flat.asked.Store(1 << 30)
		m.s.askForSieve(it.v.flat)
		m.s.opts.Manual = true
		return it
	}
	grow := func(name string) {
		for range 3 {
			require.NoError(t, m.fork(name).Set(fmt.Append(nil, m.wrote), nil))
			m.makeFork(name, fmt.Sprint("f", m.wrote))
			m.wrote++
			m.flush()
		}
	}
	for range 2 * maxAsked {
		grow(MainFork)
		it := ask(MainFork)
		require.Negative(t, it.v.flat.steps.Load())
		require.Negative(t, it.v.flat.asked.Load())
		require.NoError(t, it.Close())
		require.NoError(t, m.s.Compact())
		require.LessOrEqual(t, len(m.s.mu.weavesAsked), maxAsked)
		require.LessOrEqual(t, len(m.s.mu.sievesAsked), maxAsked)
	}
	var held []*Iterator
	for i := range 2 * maxAsked {
		name := fmt.Sprint("g", i)
		m.makeFork(MainFork, name)
		grow(name)
		held = append(held, ask(name))
	}
	require.Len(t, m.s.mu.weavesAsked, maxAsked)
	require.Len(t, m.s.mu.sievesAsked, maxAsked)
	last := held[len(held)-1].v.flat
	require.Zero(t, last.steps.Load(), "it may ask again")
	require.Zero(t, last.asked.Load())
	for _, it := range held {
		require.NoError(t, it.Close())
	}
}
