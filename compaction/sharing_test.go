package compaction

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// simTable is a table of a run whose rows have keys, one byte each.
type simTable struct {
	keys []int // rising, none twice
}

// simTableRows is how many rows a table has, if there are enough.
const simTableRows = 256

// cutTables makes tables of rising keys.
func cutTables(keys []int) (tables []*simTable) {
	for len(keys) > 0 {
		n := min(simTableRows, len(keys))
		tables, keys = append(tables, &simTable{keys[:n:n]}), keys[n:]
	}
	return tables
}

// writeKeys puts a node on top of a fork that has rows of the given keys.
func (s *simTree) writeKeys(name string, keys []int) *simNode {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	n := s.write(name, Item{Bytes: uint64(len(keys)), Rows: uint64(len(keys))})
	n.run.tables = cutTables(keys)
	return n
}

// mergeTables is what a merge of some runs, newest first, leaves: tables that overlap
// nothing are taken over, the others are written again.
func mergeTables(runs [][]*simTable, takeOver bool) (tables []*simTable, written uint64) {
	spans := make([][]Span, len(runs))
	for i, run := range runs {
		for _, t := range run {
			spans[i] = append(spans[i], Span{
				Smallest: fmt.Appendf(nil, "%09d", t.keys[0]), Largest: fmt.Appendf(nil, "%09d", t.keys[len(t.keys)-1]),
				Bytes: uint64(len(t.keys)), Must: !takeOver,
			})
		}
	}
	for _, p := range Split(spans, simTableRows/4) {
		var keys []int
		for _, at := range p.Tables {
			keys = append(keys, runs[at.Run][at.Table].keys...)
		}
		if p.Kept {
			tables = append(tables, runs[p.Tables[0].Run][p.Tables[0].Table])
			continue
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		written += uint64(len(keys))
		tables = append(tables, cutTables(keys)...)
	}
	return tables, written
}

// pinned is the size of all tables, those of several nodes once.
func (s *simTree) pinned() (rows uint64) {
	seen := map[*simTable]bool{}
	for n := range s.nodes {
		for _, t := range n.run.tables {
			if !seen[t] {
				seen[t] = true
				rows += uint64(len(t.keys))
			}
		}
	}
	return rows
}

// What a chain of fork points takes, all of them alive, with some rows overwritten
// between them: against what it must take, each row that somebody sees once. A base is
// never written again, and a merge across branch points writes the tables that overlap
// each other, and no others. See the decision about siblings in docs/adr.
func TestForkPointsShareWhatNothingLiesOver(t *testing.T) {
	const base = 40_000
	for _, c := range []struct {
		name   string
		points int
		churn  int // rows between two points
		key    func(r *rand.Rand, point, i int) int
		pinned float64 // of what is needed, at most
	}{
		{"a few points, 5 % of the rows anywhere", 8, base / 20, anywhere, 1.01},
		{"many points, 5 % of the rows anywhere", 64, base / 20, anywhere, 2.7},
		{"many points, 1 % of the rows anywhere", 256, base / 100, anywhere, 4},
		{"many points, 5 % of the rows side by side", 64, base / 20, sideBySide, 2},
		{"many points, 5 % of the rows in turn", 64, base / 20, inTurn, 2},
		{"many points, new rows at the end", 64, base / 20, atTheEnd, 1.01},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ratio [2]float64
			for i, takeOver := range []bool{true, false} {
				r := rand.New(rand.NewSource(1))
				s := newSimTree(t, DefaultPolicy())
				s.readAll = !takeOver
				s.set("main", nil)
				all := make([]int, base)
				for i := range all {
					all[i] = i
				}
				s.writeKeys("main", all)
				needed := uint64(base)
				for point := range c.points {
					s.fork(fmt.Sprint("point ", point), "main")
					keys := make([]int, c.churn)
					for i := range keys {
						keys[i] = c.key(r, point, i)
					}
					top := s.writeKeys("main", keys)
					needed += top.item.Rows
					s.rest()
				}
				s.check()
				ratio[i] = float64(s.pinned()) / float64(needed)
			}
			t.Logf("%.2f of what is needed is pinned, %.2f if merges read all tables", ratio[0], ratio[1])
			require.LessOrEqual(t, ratio[0], c.pinned)
			require.LessOrEqual(t, ratio[0], ratio[1])
		})
	}
}

func anywhere(r *rand.Rand, _, _ int) int { return r.Intn(40_000) }

// sideBySide is a stretch that begins anywhere.
func sideBySide(_ *rand.Rand, point, i int) int { return (point*7919%38_000 + i) }

// inTurn is the stretch behind the last point's.
func inTurn(_ *rand.Rand, point, i int) int { return (point*2000 + i) % 40_000 }

func atTheEnd(_ *rand.Rand, point, i int) int { return 40_000 + point*2000 + i }
