package iterator_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

var sizes = []int{0, 1, 2, 5, 63, 400}

func TestSliceConforms(t *testing.T) {
	for _, n := range sizes {
		rows := itertest.Rows(n, 1)
		itertest.Run(t, rows, func() iterator.Iterator { return iterator.NewSlice(rows) })
	}
}

func TestLiveConforms(t *testing.T) {
	for _, n := range sizes {
		rows := itertest.Rows(n, 2)
		var want []iterator.Row
		for _, r := range rows {
			if r.Kind == iterator.Set {
				want = append(want, r)
			}
		}
		itertest.Run(t, want, func() iterator.Iterator { return iterator.NewLive(iterator.NewSlice(rows), nil) })
	}
	t.Run("rows that are all tombstones look empty", func(t *testing.T) {
		rows := []iterator.Row{{Key: []byte("a"), Kind: iterator.Tombstone}, {Key: []byte("b"), Kind: iterator.Tombstone}}
		itertest.Run(t, nil, func() iterator.Iterator { return iterator.NewLive(iterator.NewSlice(rows), nil) })
	})
}

func within(rows []iterator.Row, lower, upper []byte) []iterator.Row {
	var in []iterator.Row
	for _, r := range rows {
		if bytes.Compare(r.Key, lower) >= 0 && (upper == nil || bytes.Compare(r.Key, upper) < 0) {
			in = append(in, r)
		}
	}
	return in
}

func TestBoundedConforms(t *testing.T) {
	rows := itertest.Rows(60, 3)
	key := func(i int) []byte { return rows[i].Key }
	for _, c := range []struct {
		name         string
		lower, upper []byte
	}{
		{"both bounds open", nil, nil},
		{"lower bound on a row", key(13), nil},
		{"lower bound between rows", append(bytes.Clone(key(13)), 0), nil},
		{"upper bound on a row", nil, key(40)},
		{"upper bound between rows", nil, append(bytes.Clone(key(40)), 0)},
		{"both bounds on rows", key(13), key(40)},
		{"one row", key(13), key(14)},
		{"the first row only", nil, key(1)},
		{"the last row only", key(59), nil},
		{"nothing between the bounds", append(bytes.Clone(key(13)), 0), key(14)},
		{"equal bounds", key(13), key(13)},
		{"bounds the wrong way round", key(40), key(13)},
		{"an empty upper bound excludes everything", nil, []byte{}},
		{"all rows below the lower bound", []byte("z"), nil},
		{"all rows above the upper bound", nil, []byte("a")},
		{"bounds outside all rows", []byte("a"), []byte("z")},
	} {
		t.Run(c.name, func(t *testing.T) {
			itertest.Run(t, within(rows, c.lower, c.upper), func() iterator.Iterator {
				lower, upper := bytes.Clone(c.lower), bytes.Clone(c.upper)
				it := iterator.NewBounded(iterator.NewSlice(rows), lower, upper)
				for _, b := range [][]byte{lower, upper} {
					for i := range b {
						b[i] = 'm' // the bounds must have been copied
					}
				}
				return it
			})
		})
	}
}

// touched counts the moves of an iterator and keeps the keys it stood on.
type touched struct {
	iterator.Iterator
	keys  []string
	moves int
}

func (c *touched) see(ok bool) bool {
	c.moves++
	if ok {
		c.keys = append(c.keys, string(c.Key()))
	}
	return ok
}
func (c *touched) First() bool          { return c.see(c.Iterator.First()) }
func (c *touched) Last() bool           { return c.see(c.Iterator.Last()) }
func (c *touched) Next() bool           { return c.see(c.Iterator.Next()) }
func (c *touched) Prev() bool           { return c.see(c.Iterator.Prev()) }
func (c *touched) SeekGE(k []byte) bool { return c.see(c.Iterator.SeekGE(k)) }
func (c *touched) SeekLT(k []byte) bool { return c.see(c.Iterator.SeekLT(k)) }

func TestBoundedReadsNoMoreThanOneRowBehindABound(t *testing.T) {
	rows := itertest.Rows(40, 3)
	below := &touched{Iterator: iterator.NewSlice(rows)}
	it := iterator.NewBounded(below, rows[10].Key, rows[20].Key)
	for ok := it.First(); ok; ok = it.Next() {
	}
	for ok := it.Last(); ok; ok = it.Prev() {
	}
	for _, k := range below.keys {
		require.GreaterOrEqual(t, k, string(rows[9].Key))
		require.LessOrEqual(t, k, string(rows[20].Key))
	}
	moves := below.moves
	reversed := iterator.NewBounded(below, rows[20].Key, rows[10].Key)
	require.False(t, reversed.First())
	require.False(t, reversed.Last())
	require.False(t, reversed.SeekGE(nil))
	require.False(t, reversed.SeekLT(rows[30].Key))
	require.False(t, it.SeekGE(rows[20].Key))
	require.False(t, it.SeekLT(rows[10].Key))
	require.False(t, it.Next())
	require.False(t, it.Prev())
	require.Equal(t, moves, below.moves, "a seek without a result must not touch the rows")
}

// tables cuts rows into a run and counts what is opened and closed.
type tables struct {
	rows     [][]iterator.Row
	slack    bool // bounds wider than the keys
	opened   []int
	open     int
	maxOpen  int
	failOpen int // index of a table that does not open; -1 = none
}

func cut(rows []iterator.Row, size int) *tables {
	run := &tables{failOpen: -1}
	for len(rows) > size {
		run.rows, rows = append(run.rows, rows[:size]), rows[size:]
	}
	if len(rows) > 0 {
		run.rows = append(run.rows, rows)
	}
	return run
}

func (run *tables) bounds(i int) (smallest, largest []byte) {
	rows := run.rows[i]
	smallest, largest = rows[0].Key, rows[len(rows)-1].Key
	if run.slack {
		smallest, largest = smallest[:len(smallest)-1], append(bytes.Clone(largest), 0)
		if i > 0 {
			smallest = append(bytes.Clone(run.rows[i-1][len(run.rows[i-1])-1].Key), 1)
		}
	}
	return smallest, largest
}

type countedTable struct {
	iterator.Iterator
	run    *tables
	closed bool
}

func (c *countedTable) Close() error {
	if !c.closed {
		c.closed = true
		c.run.open--
	}
	return c.Iterator.Close()
}

var errDisk = errors.New("the disk is bad")

func (run *tables) openTable(i int) (iterator.Iterator, error) {
	if i == run.failOpen {
		return nil, errDisk
	}
	run.opened = append(run.opened, i)
	run.open++
	run.maxOpen = max(run.maxOpen, run.open)
	return &countedTable{Iterator: iterator.NewSlice(run.rows[i]), run: run}, nil
}

func (run *tables) iter() iterator.Iterator {
	return iterator.NewConcat(len(run.rows), run.bounds, run.openTable)
}

func TestConcatConforms(t *testing.T) {
	for _, n := range []int{0, 1, 7, 60} {
		for _, size := range []int{1, 2, 7, 100} {
			for _, slack := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d rows in tables of %d with slack %v", n, size, slack), func(t *testing.T) {
					rows := itertest.Rows(n, 4)
					run := cut(rows, size)
					run.slack = slack
					itertest.Run(t, rows, run.iter)
					require.Zero(t, run.open, "tables left open")
				})
			}
		}
	}
}

func TestConcatOpensOnlyTheTableThatIsNeeded(t *testing.T) {
	rows := itertest.Rows(50, 4)
	run := cut(rows, 10)
	it := run.iter()
	expect := func(name string, opened ...int) {
		t.Helper()
		require.Equal(t, opened, run.opened, name)
		run.opened = nil
	}
	expect("nothing is opened before the first move")
	require.True(t, it.SeekGE(rows[25].Key))
	expect("a key inside table 2", 2)
	require.True(t, it.SeekGE(rows[21].Key))
	expect("the open table is used again")
	require.True(t, it.SeekGE(append(bytes.Clone(rows[29].Key), 0)))
	expect("a key in the gap behind table 2", 3)
	require.True(t, it.SeekLT(rows[30].Key))
	expect("before the first key of table 3", 2)
	require.True(t, it.SeekLT(rows[10].Key))
	expect("before the first key of table 1", 0)
	require.True(t, it.SeekGE(rows[39].Key))
	expect("the last key of table 3", 3)
	require.False(t, it.SeekGE([]byte("z")))
	require.False(t, it.SeekLT([]byte("a")))
	expect("keys outside the run")
	require.Zero(t, run.open)
	for ok := it.First(); ok; ok = it.Next() {
	}
	expect("a whole walk", 0, 1, 2, 3, 4)
	require.Equal(t, 1, run.maxOpen)
	require.Zero(t, run.open, "the last table is closed at the end")
	require.NoError(t, it.Close())
}

func TestConcatStopsAtATableThatDoesNotOpen(t *testing.T) {
	rows := itertest.Rows(30, 4)
	run := cut(rows, 10)
	run.failOpen = 1
	it := run.iter()
	require.True(t, it.SeekGE(rows[9].Key))
	require.False(t, it.Next())
	requireStuck(t, it)
	require.Zero(t, run.open)
}

// requireStuck asserts that an iterator that has failed stays so.
func requireStuck(t *testing.T, it iterator.Iterator) {
	t.Helper()
	require.ErrorIs(t, it.Error(), errDisk)
	require.False(t, it.Valid())
	require.False(t, it.First())
	require.False(t, it.Last())
	require.False(t, it.SeekGE(nil))
	require.False(t, it.SeekLT([]byte("z")))
	require.False(t, it.Next())
	require.False(t, it.Prev())
	require.False(t, it.Valid())
	require.ErrorIs(t, it.Error(), errDisk)
	require.ErrorIs(t, it.Close(), errDisk)
	require.ErrorIs(t, it.Close(), errDisk)
}

// deal spreads rows over inputs, each row in at least one of them; the newest
// copy is the true one, older copies have another value.
func deal(rows []iterator.Row, inputs int, rng *rand.Rand) [][]iterator.Row {
	dealt := make([][]iterator.Row, inputs)
	run := rng.IntN(inputs)
	for _, r := range rows {
		if rng.IntN(6) == 0 {
			run = rng.IntN(inputs)
		}
		dealt[run] = append(dealt[run], r)
		for older := run + 1; older < inputs; older++ {
			if rng.IntN(3) == 0 {
				stale := iterator.Row{Key: r.Key, Kind: iterator.Set, Value: []byte("stale")}
				if rng.IntN(3) == 0 {
					stale = iterator.Row{Key: r.Key, Kind: iterator.Tombstone}
				}
				dealt[older] = append(dealt[older], stale)
			}
		}
	}
	return dealt
}

// alike makes rows whose keys begin as others do, for any number of bytes, and go
// on with bytes that are apt to be confused.
func alike(n int, rng *rand.Rand) []iterator.Row {
	keys := map[string]bool{}
	key := []byte("a beginning that all of them have")
	for len(keys) < n {
		key = key[:len(key)-rng.IntN(min(len(key), 12)+1)]
		for range rng.IntN(14) {
			key = append(key, "\x00\x00a\xff"[rng.IntN(4)])
		}
		keys[string(key)] = true
	}
	var rows []iterator.Row
	for key := range keys {
		rows = append(rows, iterator.Row{Key: []byte(key), Kind: iterator.Set, Value: []byte("of " + key)})
	}
	sort.Slice(rows, func(i, j int) bool { return bytes.Compare(rows[i].Key, rows[j].Key) < 0 })
	return rows
}

func slices(dealt [][]iterator.Row) []iterator.Iterator {
	its := make([]iterator.Iterator, len(dealt))
	for i, rows := range dealt {
		its[i] = iterator.NewSlice(rows)
	}
	return its
}

func TestMergeConforms(t *testing.T) {
	for _, inputs := range []int{1, 2, 3, 6, 17} {
		for _, n := range []int{0, 1, 2, 300} {
			t.Run(fmt.Sprintf("%d inputs with %d keys", inputs, n), func(t *testing.T) {
				rows := itertest.Rows(n, 5)
				dealt := deal(rows, inputs, rand.New(rand.NewPCG(uint64(n), uint64(inputs))))
				itertest.Run(t, rows, func() iterator.Iterator { return iterator.NewMerge(slices(dealt)) })
			})
		}
	}
	for _, inputs := range []int{2, 6, 17} {
		t.Run(fmt.Sprintf("%d inputs with keys that share more than their heads, and zeros", inputs), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(6, uint64(inputs)))
			rows := alike(400, rng)
			dealt := deal(rows, inputs, rng)
			itertest.Run(t, rows, func() iterator.Iterator { return iterator.NewMerge(slices(dealt)) })
		})
	}
	t.Run("no inputs", func(t *testing.T) {
		itertest.Run(t, nil, func() iterator.Iterator { return iterator.NewMerge(nil) })
	})
	t.Run("the same rows in every input", func(t *testing.T) {
		rows := itertest.Rows(40, 5)
		itertest.Run(t, rows, func() iterator.Iterator {
			return iterator.NewMerge(slices([][]iterator.Row{rows, rows, rows, rows}))
		})
	})
	t.Run("over runs of tables", func(t *testing.T) {
		rows := itertest.Rows(100, 5)
		dealt := deal(rows, 3, rand.New(rand.NewPCG(9, 9)))
		itertest.Run(t, rows, func() iterator.Iterator {
			return iterator.NewMerge([]iterator.Iterator{cut(dealt[0], 5).iter(), cut(dealt[1], 9).iter(), cut(dealt[2], 1).iter()})
		})
	})
}

func TestMergeNamesTheSourceOfARow(t *testing.T) {
	rows := func(keys ...string) []iterator.Row {
		var rows []iterator.Row
		for _, k := range keys {
			rows = append(rows, iterator.Row{Key: []byte(k), Kind: iterator.Set})
		}
		return rows
	}
	m := iterator.NewMerge(slices([][]iterator.Row{rows("b", "d"), rows("a", "b"), rows("a", "b", "c", "d")}))
	want := []string{"a1", "b0", "c2", "d0"}
	var got []string
	for ok := m.First(); ok; ok = m.Next() {
		got = append(got, fmt.Sprintf("%s%d", m.Key(), m.Source()))
	}
	require.Equal(t, want, got)
	got = nil
	for ok := m.Last(); ok; ok = m.Prev() {
		got = append(got, fmt.Sprintf("%s%d", m.Key(), m.Source()))
	}
	sort.Strings(got)
	require.Equal(t, want, got)
}

// careless forgets its error when it is closed, so that only those who ask for
// it in time learn of it.
type careless struct{ iterator.Iterator }

func (c careless) Close() error {
	c.Iterator.Close()
	return nil
}

// TestErrorsAreNeverTakenForTheEnd lets the Nth move of a source fail, N = 0, 1
// and so on, until a walk there and back is clean.
func TestErrorsAreNeverTakenForTheEnd(t *testing.T) {
	rows := itertest.Rows(30, 6)
	dealt := deal(rows, 3, rand.New(rand.NewPCG(3, 3)))
	fail := func(it iterator.Iterator, moves int) iterator.Iterator { return itertest.Failing(it, moves, errDisk) }
	for _, c := range []struct {
		name string
		open func(moves int) iterator.Iterator
	}{
		{"Live", func(n int) iterator.Iterator { return iterator.NewLive(fail(iterator.NewSlice(rows), n), nil) }},
		{"Bounded", func(n int) iterator.Iterator {
			return iterator.NewBounded(fail(iterator.NewSlice(rows), n), rows[3].Key, rows[27].Key)
		}},
		{"Concat", func(n int) iterator.Iterator {
			run := cut(rows, 4)
			return iterator.NewConcat(len(run.rows), run.bounds, func(i int) (iterator.Iterator, error) {
				if i == 3 {
					return careless{fail(iterator.NewSlice(run.rows[i]), n)}, nil
				}
				return run.openTable(i)
			})
		}},
		{"Merge, newest input", func(n int) iterator.Iterator {
			its := slices(dealt)
			its[0] = fail(its[0], n)
			return iterator.NewMerge(its)
		}},
		{"Merge, oldest input", func(n int) iterator.Iterator {
			its := slices(dealt)
			its[2] = fail(its[2], n)
			return iterator.NewMerge(its)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := 0
			clean := c.open(1 << 30)
			for ok := clean.First(); ok; ok = clean.Next() {
				all++
			}
			failed := 0
			for n := 0; ; n++ {
				it := c.open(n)
				forward, backward := 0, 0
				for ok := it.First(); ok; ok = it.Next() {
					forward++
				}
				if it.Error() == nil {
					require.Equal(t, all, forward, "an end without an error is the real end")
					for ok := it.Last(); ok; ok = it.Prev() {
						backward++
					}
				}
				if it.Error() == nil {
					require.Equal(t, all, backward, "an end without an error is the real end")
				}
				if it.Error() == nil {
					for ok := it.SeekGE(rows[13].Key); ok; ok = it.Prev() && it.Next() && it.Prev() {
					}
				}
				if it.Error() == nil {
					require.NoError(t, it.Close())
					break
				}
				requireStuck(t, it)
				failed++
			}
			require.Greater(t, failed, 4)
		})
	}
}

func TestMergeAllocatesNothingForARow(t *testing.T) {
	rows := itertest.Rows(500, 8)
	m := iterator.NewMerge(slices(deal(rows, 6, rand.New(rand.NewPCG(3, 3)))))
	require.Zero(t, testing.AllocsPerRun(3, func() {
		for ok := m.First(); ok; ok = m.Next() {
		}
		for ok := m.Last(); ok; ok = m.Prev() {
		}
		m.SeekGE(rows[250].Key)
		m.Prev()
	}))
}

func BenchmarkMerge(b *testing.B) {
	for _, inputs := range []int{1, 2, 6} {
		for _, stretch := range []int{1, 100} {
			b.Run(fmt.Sprintf("inputs=%d/stretch=%d", inputs, stretch), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				dealt := make([][]iterator.Row, inputs)
				to := 0
				for i := range 60000 {
					if rng.IntN(stretch) == 0 {
						to = rng.IntN(inputs)
					}
					dealt[to] = append(dealt[to], iterator.Row{Key: fmt.Appendf(nil, "user%012d", i), Kind: iterator.Set})
				}
				m := iterator.NewMerge(slices(dealt))
				b.ReportAllocs()
				for b.Loop() {
					if !m.Next() {
						m.First()
					}
				}
			})
		}
	}
}
