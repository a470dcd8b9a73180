package compaction

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

func TestMerge(t *testing.T) {
	yes := func([]byte) (bool, error) { return true, nil }
	no := func([]byte) (bool, error) { return false, nil }
	for _, c := range []struct {
		name   string
		inputs [][]iterator.Row
		absent func([]byte) (bool, error)
		want   []iterator.Row
		result Result
	}{
		{"of nothing writes nothing", nil, yes, nil, Result{}},
		{"of empty inputs writes nothing", [][]iterator.Row{nil, nil}, yes, nil, Result{}},
		{
			"of one input is a copy",
			[][]iterator.Row{{set("a", "1"), tombstone("b"), set("c", "")}}, no,
			[]iterator.Row{set("a", "1"), tombstone("b"), {Key: []byte("c"), Kind: iterator.Set}}, Result{RowsIn: 3, RowsOut: 3},
		},
		{
			"keeps the row of the newest input",
			[][]iterator.Row{{set("a", "new")}, {set("a", "old"), set("b", "old")}, {set("a", "oldest")}}, no,
			[]iterator.Row{set("a", "new"), set("b", "old")}, Result{RowsIn: 4, RowsOut: 2, Shadowed: 2},
		},
		{
			"keeps a tombstone that may hide something older",
			[][]iterator.Row{{tombstone("a")}, {set("a", "old")}}, no,
			[]iterator.Row{tombstone("a")}, Result{RowsIn: 2, RowsOut: 1, Shadowed: 1},
		},
		{
			"keeps every tombstone if it cannot ask",
			[][]iterator.Row{{tombstone("a")}, {set("a", "old")}}, nil,
			[]iterator.Row{tombstone("a")}, Result{RowsIn: 2, RowsOut: 1, Shadowed: 1},
		},
		{
			"drops a tombstone that hides nothing, and still what it shadows",
			[][]iterator.Row{{tombstone("a"), set("b", "1")}, {set("a", "old")}}, yes,
			[]iterator.Row{set("b", "1")}, Result{RowsIn: 3, RowsOut: 1, Shadowed: 1, TombstonesDropped: 1},
		},
		{
			"drops a tombstone under a newer row",
			[][]iterator.Row{{set("a", "new")}, {tombstone("a")}}, no,
			[]iterator.Row{set("a", "new")}, Result{RowsIn: 2, RowsOut: 1, Shadowed: 1},
		},
		{
			"may drop everything",
			[][]iterator.Row{{tombstone("a")}, {tombstone("a"), tombstone("b")}}, yes,
			nil, Result{RowsIn: 3, Shadowed: 1, TombstonesDropped: 2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := newFS(t)
			out := NewOutput(fsys, dir, numbered(0, 0, 0))
			result, err := Merge(iterators(c.inputs...), out, MergeOptions{Gone: c.absent})
			require.NoError(t, err)
			require.Equal(t, c.result, result)
			run, err := out.EndRun()
			require.NoError(t, err)
			require.NoError(t, out.Sync())
			require.NoError(t, out.Close())
			require.Equal(t, c.want, readRun(t, fsys, run))
			require.Equal(t, len(c.want) == 0, len(out.Files()) == 0, "a file is made only for rows")
			require.Zero(t, fsys.OpenFiles())
		})
	}
}

// Merge of random inputs does what a map of keys does, whatever the sizes of
// blocks, tables and files.
func TestMergeEqualsAMap(t *testing.T) {
	for seed := range int64(150) {
		r := rand.New(rand.NewSource(seed))
		inputs := make([][]iterator.Row, r.Intn(7))
		newest := map[string]iterator.Row{}
		var want Result
		for i := range inputs {
			seen := map[string]bool{}
			for range r.Intn(200) {
				row := set(fmt.Sprintf("key%04d", r.Intn(300)), fmt.Sprintf("value %d of %d", r.Int63(), i))
				if r.Intn(3) == 0 {
					row = tombstone(string(row.Key))
				}
				if seen[string(row.Key)] {
					continue
				}
				seen[string(row.Key)] = true
				inputs[i] = append(inputs[i], row)
				want.RowsIn++
				if _, ok := newest[string(row.Key)]; ok {
					want.Shadowed++
				} else {
					newest[string(row.Key)] = row
				}
			}
			slices.SortFunc(inputs[i], func(a, b iterator.Row) int { return slices.Compare(a.Key, b.Key) })
		}
		older := map[string]bool{} // keys that something older may hold
		var rows []iterator.Row
		for key, row := range newest {
			older[key] = r.Intn(2) == 0
			if row.Kind == iterator.Tombstone && !older[key] {
				want.TombstonesDropped++
				continue
			}
			rows = append(rows, row)
		}
		want.RowsOut = uint64(len(rows))
		slices.SortFunc(rows, func(a, b iterator.Row) int { return slices.Compare(a.Key, b.Key) })

		fsys := newFS(t)
		out := NewOutput(fsys, dir, numbered(1<<r.Intn(14), 1<<r.Intn(14), 1<<r.Intn(10)))
		asked := map[string]bool{}
		got, err := Merge(iterators(inputs...), out, MergeOptions{Gone: func(key []byte) (bool, error) {
			require.False(t, asked[string(key)], "asked twice about one key")
			asked[string(key)] = true
			return !older[string(key)], nil
		}})
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		run, err := out.EndRun()
		require.NoError(t, err)
		require.NoError(t, out.Sync())
		require.Equal(t, rows, readRun(t, fsys, run), "seed %d", seed)
	}
}

func TestMergeEndsWithTheErrorThatStopsIt(t *testing.T) {
	cause := errors.New("the cause")
	var rows []iterator.Row
	for i := range 2000 {
		rows = append(rows, set(fmt.Sprintf("%05d", i), "v"))
	}
	rows = append(rows, tombstone("z"))
	ask := func() error { return nil }
	fail := func() error { return cause }
	for _, c := range []struct {
		name   string
		inputs func() []iterator.Iterator
		absent func([]byte) (bool, error)
		stop   func() error
	}{
		{"of an input at once", func() []iterator.Iterator {
			return []iterator.Iterator{iterator.NewSlice(rows), itertest.Failing(iterator.NewSlice(rows), 0, cause)}
		}, nil, ask},
		{"of an input later", func() []iterator.Iterator {
			return []iterator.Iterator{iterator.NewSlice(rows), itertest.Failing(iterator.NewSlice(rows), 1234, cause)}
		}, nil, ask},
		{"of an input at its very end", func() []iterator.Iterator {
			return []iterator.Iterator{itertest.Failing(iterator.NewSlice(rows), len(rows), cause)}
		}, nil, ask},
		{"of closing an input", func() []iterator.Iterator {
			return []iterator.Iterator{badClose{iterator.NewSlice(rows), cause}}
		}, nil, ask},
		{"of the look below a tombstone", func() []iterator.Iterator { return iterators(rows) },
			func([]byte) (bool, error) { return true, cause }, ask},
		{"of the question whether to stop", func() []iterator.Iterator { return iterators(rows) }, nil, fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := newFS(t)
			out := NewOutput(fsys, dir, numbered(4096, 4096, 256))
			result, err := Merge(c.inputs(), out, MergeOptions{Gone: c.absent, Stop: c.stop})
			require.ErrorIs(t, err, cause)
			require.Zero(t, result)
			require.NoError(t, out.Discard())
			require.Empty(t, fsys.Names())
			require.Zero(t, fsys.OpenFiles())
		})
	}
}

func TestMergeAsksWhetherToStopEveryFewHundredRows(t *testing.T) {
	var rows []iterator.Row
	for i := range 10_000 {
		rows = append(rows, tombstone(fmt.Sprintf("%05d", i))) // also rows that are not written count
	}
	asked := 0
	out := NewOutput(newFS(t), dir, numbered(0, 0, 0))
	_, err := Merge(iterators(rows), out, MergeOptions{
		Gone: func([]byte) (bool, error) { return true, nil },
		Stop: func() error { asked++; return nil },
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, asked, 10_000/stopRows/2)
	require.LessOrEqual(t, asked, 10_000/stopRows+1)
}

func TestMergeAsksWhetherToStopBetweenLargeRows(t *testing.T) {
	var rows []iterator.Row
	for i := range 20 {
		rows = append(rows, set(fmt.Sprintf("%05d", i), strings.Repeat("v", stopBytes)))
	}
	asked := 0
	out := NewOutput(newFS(t), dir, numbered(0, 0, 0))
	_, err := Merge(iterators(rows), out, MergeOptions{Stop: func() error { asked++; return nil }})
	require.NoError(t, err)
	require.Equal(t, len(rows), asked)
}

func TestMergeClosesItsInputs(t *testing.T) {
	closed := 0
	_, err := Merge([]iterator.Iterator{countClose{iterator.NewSlice(nil), &closed}, countClose{iterator.NewSlice(nil), &closed}},
		NewOutput(newFS(t), dir, numbered(0, 0, 0)), MergeOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, closed)
}

type badClose struct {
	iterator.Iterator
	err error
}

func (b badClose) Close() error { return b.err }

type countClose struct {
	iterator.Iterator
	closed *int
}

func (c countClose) Close() error {
	*c.closed++
	return nil
}

func BenchmarkMerge(b *testing.B) {
	for _, inputs := range []int{1, 4} {
		b.Run(fmt.Sprint(inputs, " inputs"), func(b *testing.B) {
			runs := make([][]iterator.Row, inputs)
			value := make([]byte, 100)
			for i := range 100_000 {
				key := fmt.Appendf(nil, "user%012d", i*7)
				runs[i%inputs] = append(runs[i%inputs], iterator.Row{Key: key, Kind: iterator.Set, Value: value})
			}
			b.ReportAllocs()
			for b.Loop() {
				out := NewOutput(discardFS{}, dir, numbered(0, 0, 0))
				if _, err := Merge(iterators(runs...), out, MergeOptions{}); err != nil {
					b.Fatal(err)
				}
				if _, err := out.EndRun(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/row")
		})
	}
}
