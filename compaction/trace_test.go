package compaction

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
	"github.com/tinedb/tine/sstable"
)

// place is a row of a table.
type place struct {
	table   ids.TableID
	ordinal uint64
}

// tracedRun is a run on disk as a test knows it.
type tracedRun struct {
	rows   []iterator.Row
	places []place // of rows
	tables []tracedTable
}

type tracedTable struct {
	meta sstable.Meta
	dead *roaring.Bitmap
}

// iter gives an iterator over the live rows. A table of dead ones is not opened.
func (run *tracedRun) iter(tables *sstable.Tables, remap *sstable.RemapBuilder) *RunIter {
	var in []RunTable
	for i := range run.tables {
		t := &run.tables[i]
		rt := RunTable{Meta: &t.meta}
		if t.dead.GetCardinality() < t.meta.Rows {
			rt.Open = func() (*sstable.Iter, error) {
				r, err := tables.Reader(&t.meta)
				if err != nil {
					return nil, err
				}
				if t.dead.IsEmpty() {
					return r.NewUncachedIter(nil), nil
				}
				return r.NewUncachedIter(sstable.NewDead(sstable.NewVector(t.meta.Rows, t.dead))), nil
			}
		}
		in = append(in, rt)
	}
	return NewRunIter(in, remap)
}

// live tells whether a row is not dead.
func (run *tracedRun) live(row int) bool {
	for _, t := range run.tables {
		if t.meta.ID == run.places[row].table {
			return !t.dead.Contains(uint32(run.places[row].ordinal))
		}
	}
	panic("no such table")
}

// writeTraced writes rows to tables of the given sizes, none of them dead.
func writeTraced(t testing.TB, out *Output, rows []iterator.Row) *tracedRun {
	for _, row := range rows {
		require.NoError(t, out.Add(row.Key, row.Kind, row.Value))
	}
	metas, err := out.EndRun()
	require.NoError(t, err)
	run := &tracedRun{rows: rows, places: placesOf(metas)}
	for _, m := range metas {
		run.tables = append(run.tables, tracedTable{m, roaring.New()})
	}
	return run
}

func placesOf(metas []sstable.Meta) []place {
	var places []place
	for _, m := range metas {
		for ordinal := range m.Rows {
			places = append(places, place{m.ID, ordinal})
		}
	}
	return places
}

// randomRun writes rows of few different keys, a third of them tombstones.
func randomRun(t *testing.T, r *rand.Rand, out *Output, n int) *tracedRun {
	var rows []iterator.Row
	for _, k := range r.Perm(400)[:n] {
		row := set(fmt.Sprintf("key%04d", k), fmt.Sprint("value ", r.Int63()))
		if r.Intn(3) == 0 {
			row = tombstone(string(row.Key))
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b iterator.Row) int { return slices.Compare(a.Key, b.Key) })
	run := writeTraced(t, out, rows)
	for i := range run.tables {
		run.tables[i].dead = randomRows(r, run.tables[i].meta.Rows)
	}
	return run
}

// randomRows gives none, all, some or one stretch of a table's rows.
func randomRows(r *rand.Rand, rows uint64) *roaring.Bitmap {
	b := roaring.New()
	switch r.Intn(4) {
	case 0:
		b.AddRange(0, rows)
	case 1:
		for ordinal := range uint32(rows) {
			if r.Intn(3) == 0 {
				b.Add(ordinal)
			}
		}
	case 2:
		from := uint64(r.Int63n(int64(rows)))
		b.AddRange(from, from+uint64(r.Int63n(int64(rows-from)))+1)
	}
	return b
}

// requireRemap compares what the remap says of every row, alone and together with
// others, with what became of it: nothing if it is not in became.
func requireRemap(t *testing.T, r *rand.Rand, m *sstable.Remap, runs []*tracedRun, became map[place]place, rows map[ids.TableID]uint64, seed int64) {
	for _, run := range runs {
		for _, in := range run.tables {
			id := in.meta.ID
			for ordinal := range uint32(in.meta.Rows) {
				got := m.Translate(id, sstable.NewVector(in.meta.Rows, roaring.BitmapOf(ordinal)))
				want, ok := became[place{id, uint64(ordinal)}]
				if !ok {
					require.Empty(t, got, "seed %d: row %d of table %d was dropped, and yet became something", seed, ordinal, id)
					continue
				}
				require.Len(t, got, 1, "seed %d: row %d of table %d", seed, ordinal, id)
				require.Equal(t, want.table, got[0].Table, "seed %d: row %d of table %d", seed, ordinal, id)
				require.Equal(t, []uint32{uint32(want.ordinal)}, got[0].Vector.Bitmap().ToArray(), "seed %d: row %d of table %d", seed, ordinal, id)
				require.Equal(t, rows[want.table], got[0].Vector.Rows())
			}
			some := randomRows(r, in.meta.Rows)
			if some.IsEmpty() {
				continue
			}
			want := map[place]bool{}
			for _, ordinal := range some.ToArray() {
				if to, ok := became[place{id, uint64(ordinal)}]; ok {
					want[to] = true
				}
			}
			got := map[place]bool{}
			for _, v := range m.Translate(id, sstable.NewVector(in.meta.Rows, some)) {
				for _, ordinal := range v.Vector.Bitmap().ToArray() {
					got[place{v.Table, uint64(ordinal)}] = true
				}
			}
			require.Equal(t, want, got, "seed %d: rows %v of table %d", seed, some, id)
		}
	}
}

// Of random runs with dead rows, each row that a merge writes is mapped to its
// place, and every other row to nothing, whoever has its key now.
func TestARemapFollowsRowsNotKeys(t *testing.T) {
	seeds := int64(100)
	if testing.Short() {
		seeds = 25
	}
	inherited, cut, tombstones := 0, 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewSource(seed))
		fsys := newFS(t)
		o := numbered(1<<(7+r.Intn(7)), 1<<r.Intn(14), 1<<r.Intn(10))
		in := NewOutput(fsys, dir, o)
		runs := make([]*tracedRun, 1+r.Intn(5))
		for i := range runs {
			runs[i] = randomRun(t, r, in, r.Intn(200))
		}
		require.NoError(t, in.Sync())

		// The model: the newest live row of a key, unless it is a tombstone over nothing.
		type winner struct {
			row iterator.Row
			at  place
		}
		newest := map[string]winner{}
		shadowed := map[string]bool{}
		var want Result
		for _, run := range runs {
			for i, row := range run.rows {
				if !run.live(i) {
					continue
				}
				want.RowsIn++
				if _, ok := newest[string(row.Key)]; ok {
					want.Shadowed++
					shadowed[string(row.Key)] = true
				} else {
					newest[string(row.Key)] = winner{row, run.places[i]}
				}
			}
		}
		gone := func(key []byte) (bool, error) { return key[len(key)-1]%2 == 0, nil }
		var winners []winner
		for key, w := range newest {
			if drop, _ := gone([]byte(key)); drop && w.row.Kind == iterator.Tombstone {
				want.TombstonesDropped++
			} else {
				winners = append(winners, w)
				if shadowed[key] {
					inherited++
				}
			}
		}
		want.RowsOut = uint64(len(winners))
		tombstones += int(want.TombstonesDropped)
		slices.SortFunc(winners, func(a, b winner) int { return slices.Compare(a.row.Key, b.row.Key) })

		tables := sstable.NewTables(fsys, dir, sstable.NewCache(1), 4)
		out := NewOutput(fsys, dir, o)
		b := sstable.NewRemapBuilder()
		var inputs []iterator.Iterator
		var consumed []ids.TableID
		for _, run := range runs {
			inputs = append(inputs, run.iter(tables, b))
			for _, table := range run.tables {
				consumed = append(consumed, table.meta.ID)
			}
		}
		got, err := Merge(inputs, out, MergeOptions{Gone: gone, Remap: b})
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		metas, err := out.EndRun()
		require.NoError(t, err)
		require.NoError(t, out.Sync())
		if len(metas) > 1 {
			cut++
		}

		became := map[place]place{}
		var rows []iterator.Row
		places := placesOf(metas)
		require.Len(t, places, len(winners))
		for i, w := range winners {
			became[w.at] = places[i]
			rows = append(rows, w.row)
		}
		require.Equal(t, rows, readRun(t, fsys, metas))
		m := b.Finish()
		require.ElementsMatch(t, consumed, m.Consumed())
		requireRemap(t, r, m, runs, became, rowsOf(metas), seed)
		require.NoError(t, tables.Close())
	}
	require.Greater(t, inherited, int(5*seeds), "keys of which a row was dropped and a newer one stayed")
	require.Greater(t, cut, int(seeds/3), "outputs of several tables")
	require.Greater(t, tombstones, int(2*seeds))
}

func rowsOf(metas []sstable.Meta) map[ids.TableID]uint64 {
	rows := map[ids.TableID]uint64{}
	for _, m := range metas {
		rows[m.ID] = m.Rows
	}
	return rows
}

// A rewrite of some tables of a run is one merge for each, into runs of their own.
func TestSeveralMergesFillOneRemap(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	fsys := newFS(t)
	o := numbered(2048, 4096, 256)
	in := NewOutput(fsys, dir, o)
	run := randomRun(t, r, in, 400)
	require.NoError(t, in.Sync())
	require.Greater(t, len(run.tables), 3)
	for i := range run.tables {
		run.tables[i].dead = roaring.BitmapOf(0, 1, 5, uint32(run.tables[i].meta.Rows-1))
	}
	tables := sstable.NewTables(fsys, dir, sstable.NewCache(1), 4)
	out := NewOutput(fsys, dir, o)
	b := sstable.NewRemapBuilder()
	var parts []*tracedRun
	became, rows := map[place]place{}, map[ids.TableID]uint64{}
	for i := range run.tables {
		part := &tracedRun{tables: run.tables[i : i+1]}
		parts = append(parts, part)
		_, err := Merge([]iterator.Iterator{part.iter(tables, b)}, out, MergeOptions{Remap: b})
		require.NoError(t, err)
		metas, err := out.EndRun()
		require.NoError(t, err)
		places := placesOf(metas)
		for j, at := range run.places {
			if at.table == part.tables[0].meta.ID && run.live(j) {
				became[at], places = places[0], places[1:]
			}
		}
		require.Empty(t, places)
		for id, n := range rowsOf(metas) {
			rows[id] = n
		}
	}
	require.NoError(t, out.Sync())
	requireRemap(t, r, b.Finish(), parts, became, rows, 1)
	require.NoError(t, tables.Close())
}

func TestARunIteratorWithoutARemapIsLikeAnyOther(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 8 {
		fsys := newFS(t)
		in := NewOutput(fsys, dir, numbered(1024, 4096, 256))
		run := randomRun(t, r, in, r.Intn(200))
		require.NoError(t, in.Sync())
		var rows []iterator.Row
		for i, row := range run.rows {
			if run.live(i) {
				rows = append(rows, row)
			}
		}
		tables := sstable.NewTables(fsys, dir, sstable.NewCache(1), 4)
		itertest.Run(t, rows, func() iterator.Iterator { return run.iter(tables, nil) })
		require.NoError(t, tables.Close())
	}
}

func TestATracedMergeRefuses(t *testing.T) {
	fsys := newFS(t)
	in := NewOutput(fsys, dir, numbered(0, 0, 0))
	run := writeTraced(t, in, []iterator.Row{set("a", "1"), set("b", "2")})
	require.NoError(t, in.Sync())
	tables := sstable.NewTables(fsys, dir, sstable.NewCache(1), 4)
	defer func() { require.NoError(t, tables.Close()) }()
	for _, c := range []struct {
		name  string
		merge func(out *Output, b *sstable.RemapBuilder) error
		want  string
	}{
		{"an input that does not know its rows", func(out *Output, b *sstable.RemapBuilder) error {
			_, err := Merge(iterators([]iterator.Row{set("a", "1")}), out, MergeOptions{Remap: b})
			return err
		}, "input 0 cannot tell"},
		{"an input made without the remap", func(out *Output, b *sstable.RemapBuilder) error {
			_, err := Merge([]iterator.Iterator{run.iter(tables, nil)}, out, MergeOptions{Remap: b})
			return err
		}, "input 0 cannot tell"},
		{"a run that has begun", func(out *Output, b *sstable.RemapBuilder) error {
			require.NoError(t, out.Add([]byte("A"), iterator.Set, nil))
			_, err := Merge([]iterator.Iterator{run.iter(tables, b)}, out, MergeOptions{Remap: b})
			return err
		}, "row 1 of table 1 is written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := NewOutput(newFS(t), dir, numbered(0, 0, 0))
			defer func() {
				broken, _ := recover().(invariant.Violation)
				require.Contains(t, string(broken), c.want)
			}()
			require.NoError(t, c.merge(out, sstable.NewRemapBuilder()))
		})
	}
}

func TestARunIteratorPassesOnThatATableDoesNotOpen(t *testing.T) {
	cause := errors.New("the cause")
	meta := sstable.Meta{ID: 1, Rows: 1, Smallest: []byte("a"), Largest: []byte("b")}
	b := sstable.NewRemapBuilder()
	it := NewRunIter([]RunTable{{Meta: &meta, Open: func() (*sstable.Iter, error) { return nil, cause }}}, b)
	_, err := Merge([]iterator.Iterator{it}, NewOutput(newFS(t), dir, numbered(0, 0, 0)), MergeOptions{Remap: b})
	require.ErrorIs(t, err, cause)
}

// The same tables are merged with and without a remap; the difference is its price.
func BenchmarkMergeOfTables(b *testing.B) {
	const rows = 200_000
	for _, inputs := range []int{1, 4} {
		fsys := newFS(b)
		in := NewOutput(fsys, dir, numbered(0, 0, 0))
		var runs []*tracedRun
		for i := range inputs {
			var part []iterator.Row
			for k := i; k < rows; k += inputs {
				part = append(part, iterator.Row{Key: fmt.Appendf(nil, "user%012d", k*7), Kind: iterator.Set, Value: make([]byte, 100)})
			}
			runs = append(runs, writeTraced(b, in, part))
		}
		require.NoError(b, in.Sync())
		tables := sstable.NewTables(fsys, dir, sstable.NewCache(1<<30), 4)
		for _, traced := range []bool{false, true} {
			b.Run(fmt.Sprint(inputs, " inputs, remap ", traced), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var remap *sstable.RemapBuilder
					if traced {
						remap = sstable.NewRemapBuilder()
					}
					var its []iterator.Iterator
					for _, run := range runs {
						its = append(its, run.iter(tables, remap))
					}
					out := NewOutput(discardFS{}, dir, numbered(0, 0, 0))
					_, err := Merge(its, out, MergeOptions{Remap: remap})
					require.NoError(b, err)
					_, err = out.EndRun()
					require.NoError(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
		require.NoError(b, tables.Close())
	}
}
