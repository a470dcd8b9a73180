package sstable

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// plainRemap notes for each row of each consumed table what became of it.
type plainRemap struct {
	b       *RemapBuilder
	sources []*plainSource
	outputs []ids.TableID
	rows    []int // of each output
}

type plainSource struct {
	s     *RemapSource
	table ids.TableID
	to    []plainPlace // one for each row
}

// plainPlace is a row of output number output-1; 0 means that it was dropped.
type plainPlace struct{ output, row int }

func newPlainRemap() *plainRemap { return &plainRemap{b: NewRemapBuilder()} }

func (p *plainRemap) from(rows int) *plainSource {
	table := ids.TableID(1000 - 7*len(p.sources)) // not in the order of ids
	s := &plainSource{s: p.b.From(table, uint64(rows)), table: table, to: make([]plainPlace, rows)}
	p.sources = append(p.sources, s)
	return s
}

func (p *plainRemap) begin() {
	table := ids.TableID(3000 - len(p.outputs))
	p.b.To(table)
	p.outputs, p.rows = append(p.outputs, table), append(p.rows, 0)
}

func (p *plainRemap) keep(s *plainSource, row int) {
	n := len(p.outputs)
	s.to[row] = plainPlace{n, p.rows[n-1]}
	s.s.Keep(uint64(row))
	p.rows[n-1]++
}

// requireTranslates compares what becomes of m, marks on s, with the plain notes.
func (p *plainRemap) requireTranslates(t *testing.T, r *Remap, s *plainSource, m marks) {
	t.Helper()
	want := make([]*roaring.Bitmap, len(p.outputs))
	for row, dead := range m {
		if to := s.to[row]; dead && to.output > 0 {
			if want[to.output-1] == nil {
				want[to.output-1] = roaring.New()
			}
			want[to.output-1].Add(uint32(to.row))
		}
	}
	got := r.Translate(s.table, m.vector())
	for i, b := range want {
		if b == nil {
			continue
		}
		require.NotEmpty(t, got, "nothing for output %d", i)
		require.Equal(t, p.outputs[i], got[0].Table)
		require.Equal(t, uint64(p.rows[i]), got[0].Vector.Rows())
		require.True(t, b.Equals(got[0].Vector.Bitmap()), "output %d: want %v", i, b)
		got = got[1:]
	}
	require.Empty(t, got)
}

// merge makes a remap the way a merge of runs does: the next row comes from any
// run, and is kept or dropped; a run that leads goes on leading for a while.
func (p *plainRemap) merge(rng *rand.Rand, runs, tablesPerRun, rowsPerTable int, lead, keep, newTable float64) {
	type run struct {
		tables []*plainSource
		row    int
	}
	var all []*run
	for range runs {
		r := &run{}
		for range 1 + rng.IntN(tablesPerRun) {
			r.tables = append(r.tables, p.from(1+rng.IntN(rowsPerTable)))
		}
		all = append(all, r)
	}
	p.begin()
	at := 0
	for len(all) > 0 {
		if at >= len(all) || rng.Float64() >= lead {
			at = rng.IntN(len(all))
		}
		r := all[at]
		if rng.Float64() < keep {
			p.keep(r.tables[0], r.row)
		}
		if r.row++; r.row == len(r.tables[0].to) {
			r.tables, r.row = r.tables[1:], 0
			if len(r.tables) == 0 {
				all = append(all[:at], all[at+1:]...)
			}
		}
		if rng.Float64() < newTable {
			p.begin() // may have no rows
		}
	}
}

func TestRemapTranslatesEachRowToItsPlace(t *testing.T) {
	for _, c := range []struct {
		name                           string
		runs, tables, rows             int
		lead, keep, newTable           float64
		rounds                         int
		mostBitsPerRow, mostBytesAtAll float64
	}{
		{"two runs in turn", 2, 1, 3000, 0, 0.9, 0.001, 10, 5, 4000},
		{"eight runs in turn", 8, 1, 1000, 0, 0.9, 0.001, 5, 12, 10_000},
		{"one run that loses single rows", 1, 1, 5000, 1, 0.9, 0, 10, 3, 2000},
		{"one run that loses nothing", 1, 3, 5000, 1, 1, 0.001, 10, 0.1, 6000},
		{"runs that lead for long, of several tables", 3, 4, 800, 0.999, 0.99, 0.01, 10, 5, 60_000},
		{"nothing survives", 2, 3, 100, 0.5, 0, 0.01, 3, 0, 3000},
		{"little survives", 3, 3, 500, 0.5, 0.01, 0.01, 10, 5, 50_000},
		{"tables of one row", 6, 5, 1, 0.5, 0.8, 0.3, 30, 0, 20_000},
		{"many rows", 2, 1, unlessShort(300_000), 0.3, 0.8, 0.00001, 2, 4, 20_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for round := range c.rounds {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(c.rows)))
				p := newPlainRemap()
				p.merge(rng, c.runs, c.tables, c.rows, c.lead, c.keep, c.newTable)
				r := p.b.Finish()
				require.Len(t, r.Consumed(), len(p.sources))
				rows := 0
				for i, s := range p.sources {
					require.Equal(t, s.table, r.Consumed()[i])
					rows += len(s.to)
					for range 3 {
						p.requireTranslates(t, r, s, randomMarks(rng, len(s.to), markShapes[rng.IntN(len(markShapes))].make))
					}
					all := make(marks, len(s.to))
					all.fill(0, len(all))
					p.requireTranslates(t, r, s, all)
				}
				require.LessOrEqual(t, float64(r.Bytes()), float64(rows)*c.mostBitsPerRow/8+c.mostBytesAtAll)
			}
		})
	}
}

// A newer row shadows an older one of the same key: the older one's mark is not
// for the newer one, whichever of them it was that survived.
func TestRemapGoesByRowAndNotByKey(t *testing.T) {
	b := NewRemapBuilder()
	newer, older := b.From(1, 2), b.From(2, 2)
	b.To(3)
	older.Keep(0) // a
	newer.Keep(0) // b, which shadows older's row 1
	newer.Keep(1) // c
	r := b.Finish()
	require.Empty(t, r.Translate(2, NewVector(2, roaring.BitmapOf(1))), "the dropped row's mark goes to nobody")
	got := r.Translate(1, NewVector(2, roaring.BitmapOf(0)))
	require.Len(t, got, 1)
	require.Equal(t, ids.TableID(3), got[0].Table)
	require.Equal(t, []uint32{1}, got[0].Vector.Bitmap().ToArray())
	require.Equal(t, uint64(3), got[0].Vector.Rows())
}

func TestWrongUseOfARemapIsRefused(t *testing.T) {
	for name, use := range map[string]func(b *RemapBuilder, s *RemapSource){
		"a row kept twice":              func(_ *RemapBuilder, s *RemapSource) { s.Keep(5); s.Keep(5) },
		"a row kept behind a later one": func(_ *RemapBuilder, s *RemapSource) { s.Keep(5); s.Keep(4) },
		"a row that is not there":       func(_ *RemapBuilder, s *RemapSource) { s.Keep(10) },
		"a table without rows":          func(b *RemapBuilder, _ *RemapSource) { b.From(2, 0) },
		"a table that is too large":     func(b *RemapBuilder, _ *RemapSource) { b.From(2, MaxRows+1) },
		"a table that comes twice":      func(b *RemapBuilder, _ *RemapSource) { b.From(1, 10); b.Finish() },
		"no table to keep a row in": func(*RemapBuilder, *RemapSource) {
			NewRemapBuilder().From(1, 1).Keep(0)
		},
		"a table that was not consumed":     func(b *RemapBuilder, _ *RemapSource) { b.Finish().Translate(2, WholeVector(10)) },
		"a vector of a table of other size": func(b *RemapBuilder, _ *RemapSource) { b.Finish().Translate(1, WholeVector(11)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := NewRemapBuilder()
			s := b.From(1, 10)
			b.To(7)
			defer func() { require.IsType(t, invariant.Violation(""), recover()) }()
			use(b, s)
		})
	}
}

func BenchmarkRemapKeep(b *testing.B) {
	for _, lead := range []int{0, 10} {
		b.Run(fmt.Sprintf("two tables in turn, %d rows each", 1<<lead), func(b *testing.B) {
			const rows = 1 << 20
			for b.Loop() {
				builder := NewRemapBuilder()
				sources := []*RemapSource{builder.From(1, rows), builder.From(2, rows)}
				var next [2]uint64
				builder.To(3)
				for i := 0; i < 2*rows; i++ {
					k := i >> lead & 1
					if next[k] == rows {
						k = 1 - k
					}
					sources[k].Keep(next[k])
					next[k]++
				}
				builder.Finish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*rows), "ns/row")
		})
	}
}

// One dead row of a large table, as each of very many forks may have it.
func BenchmarkTranslateOneRow(b *testing.B) {
	const rows = 1 << 20
	rng := rand.New(rand.NewPCG(1, 1))
	builder := NewRemapBuilder()
	sources := []*RemapSource{builder.From(1, rows), builder.From(2, rows)}
	builder.To(3)
	for i := range uint64(rows) {
		for _, s := range sources {
			if rng.IntN(2) == 0 {
				s.Keep(i)
			}
		}
	}
	r := builder.Finish()
	b.ReportMetric(float64(r.Bytes())*8/rows/2, "bits/row")
	vectors := make([]*Vector, 1000)
	for i := range vectors {
		vectors[i] = NewVector(rows, roaring.BitmapOf(rng.Uint32N(rows)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Translate(1, vectors[i%len(vectors)])
	}
}
