package compaction

import (
	"fmt"
	"maps"
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The figures of design: what a row costs, and how many runs a reader meets, in
// the shapes that a forking store lives in. All rows have different keys.
func TestAChainOfForksKeepsTheReadBoundAtLogarithmicCost(t *testing.T) {
	const forks = 10_000
	for _, c := range []struct {
		name           string
		memory         bool
		base           uint64
		size           func(r *rand.Rand, i int) uint64
		maxRuns        int
		maxRewritesRow float64
	}{
		{"memtables of one row", true, 0, one, 4, 16},
		{"runs of one row, no base", false, 0, one, 9, 7},
		{"runs of one row above a base of a million", false, 1_000_000, one, 9, 7},
		{"runs of one row above a base that they outgrow", false, 1_000, one, 9, 7},
		{"runs of 1 to 1000 rows", false, 0, logUniform, 9, 8},
		{"memtables of 1 to 1000 rows", true, 0, logUniform, 4, 24},
		{"one run in a hundred is a thousand times larger", false, 0, spiky, 9, 6},
		{"small runs after large ones", false, 0, func(_ *rand.Rand, i int) uint64 { return pick(i < forks/2, 1000, 1) }, 9, 7},
		{"large runs after small ones", false, 0, func(_ *rand.Rand, i int) uint64 { return pick(i < forks/2, 1, 1000) }, 9, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(1))
			s := newSimTree(t, DefaultPolicy())
			s.set("main", nil)
			if c.base > 0 {
				s.write("main", Item{Bytes: c.base, Rows: c.base})
				s.fork("base", "main")
				s.written = 0
			}
			longest := 0
			for i := range forks {
				n := c.size(r, i)
				top := s.write("main", Item{Bytes: n, Rows: n, Memory: c.memory})
				s.fork(fmt.Sprint("fork ", i), "main")
				for s.step(top) { // the older forks are at rest: see below
				}
				nodes, path := s.path(top)
				checkRest(t, path, s.policy)
				longest = max(longest, len(nodes))
			}
			rewrites := float64(s.rewritten) / float64(s.written)
			t.Logf("%d forks: at most %d runs on a path, %.2f rewrites of a row", forks, longest, rewrites)
			require.LessOrEqual(t, longest, c.maxRuns)
			require.LessOrEqual(t, rewrites, c.maxRewritesRow)
			plans := s.plans
			s.rest()
			require.Equal(t, plans, s.plans, "an older path was not at rest")
		})
	}
}

// A keyspace that was never forked is an ordinary log-structured store.
func TestAStoreWithoutForksRewritesLittle(t *testing.T) {
	s := newSimTree(t, DefaultPolicy())
	s.set("main", nil)
	longest := 0
	for range 10_000 {
		top := s.write("main", Item{Bytes: 1, Rows: 1})
		for s.step(top) {
		}
		nodes, path := s.path(top)
		checkRest(t, path, s.policy)
		longest = max(longest, len(nodes))
	}
	rewrites := float64(s.rewritten) / float64(s.written)
	t.Logf("at most %d runs, %.2f rewrites of a row", longest, rewrites)
	require.LessOrEqual(t, longest, 9)
	require.LessOrEqual(t, rewrites, 9.0)
	require.LessOrEqual(t, len(s.nodes), 9, "what nobody enters is gone")
}

// A random tree in which everything happens at once, with jobs that hold claims
// for a while, ends at rest within the bounds.
func TestARandomTreeComesToRestWithinTheBounds(t *testing.T) {
	var written uint64
	plans, rewritten := map[string]int{}, map[string]uint64{}
	for seed := range int64(60) {
		r := rand.New(rand.NewSource(seed))
		p := DefaultPolicy()
		if seed%2 == 1 { // tight
			p.MaxMemory, p.MaxRuns, p.MaxNodes, p.MinMerge = 1+r.Intn(3), 1+r.Intn(4), 12, 2+r.Intn(3)
		}
		s := newSimTree(t, p)
		s.log = func(_ string, path []Item, plan Plan) {
			plans[plan.Reason]++
			rewritten[plan.Reason] += cost(path, plan)
		}
		s.set("main", nil)
		for i := range 400 {
			randomStep(s, r, i, seed%3 == 0)
			if r.Intn(4) == 0 {
				s.rest()
			}
		}
		for n := range s.nodes {
			n.item.Claimed, n.item.ClaimedRead = false, false
		}
		for name := range s.names {
			s.flush(name, func(*simNode) bool { return true })
		}
		s.rest()
		s.check()
		written += s.written
	}
	var all float64
	for reason, n := range plans {
		rewrites := float64(rewritten[reason]) / float64(written)
		t.Logf("%-10s  %4d plans, %.2f rewrites of a row", reason, n, rewrites)
		all += rewrites
	}
	require.Less(t, all, 10.0) // half of the policies are tight
	for _, reason := range []string{ReasonEmpty, ReasonSpace, ReasonTombstones, ReasonTier, ReasonReadBound, ReasonDead} {
		require.Greater(t, plans[reason], 40, "%q hardly happened: the test no longer covers it", reason)
	}
}

func randomStep(s *simTree, r *rand.Rand, i int, fewForks bool) {
	names := slices.Sorted(maps.Keys(s.names))
	name := names[r.Intn(len(names))]
	if r.Intn(3) > 0 {
		name = "main"
	}
	switch r.Intn(10) { // 9: the next pass finds what this one left
	case 0, 1, 2, 3:
		n := logUniform(r, i)
		it := Item{Bytes: n, Rows: n, Memory: r.Intn(4) > 0}
		switch r.Intn(6) {
		case 0, 1:
			it.Tombstones = n
		case 2:
			it.Bytes, it.Rows, it.Memory = 0, 0, false
		}
		if top := s.write(name, it); !it.Memory {
			s.markSome(r, top)
		}
	case 4, 5:
		if fewForks && r.Intn(20) > 0 {
			return
		}
		s.fork(fmt.Sprintf("fork %03d", i), name)
	case 6:
		if name != "main" {
			s.drop(name)
		}
	case 7:
		var flushed []*simNode
		s.flush(name, func(n *simNode) bool {
			if r.Intn(2) == 0 {
				return false
			}
			flushed = append(flushed, n)
			return true
		})
		for _, n := range flushed {
			s.markSome(r, n)
		}
	case 8: // a job begins, or ends
		_, path := s.path(s.names[name])
		if len(path) == 0 {
			return
		}
		n := s.names[name]
		for range r.Intn(len(path)) {
			n = n.older
		}
		n.item.Claimed, n.item.ClaimedRead = r.Intn(3) == 0, r.Intn(3) == 0
	}
}

// markSome puts some rows to death of a few of the runs that a node lies over, or
// all of them.
func (s *simTree) markSome(r *rand.Rand, n *simNode) {
	if r.Intn(2) == 0 {
		return
	}
	all := r.Intn(10) == 0
	nodes, _ := s.path(n)
	for i, older := range nodes {
		alive := s.alive(n, older)
		switch {
		case i == 0 || older.item.Memory || alive == 0 || !all && r.Intn(3) > 0:
		case all || r.Intn(4) == 0:
			s.mark(n, i, alive)
		default:
			s.mark(n, i, uint64(r.Int63n(int64(alive)+1)))
		}
	}
}

// A pick is cheap enough to be asked for every fork.
func BenchmarkPick(b *testing.B) {
	path, err := parsePath("m1 m1 4* 16* 60* 200* 900* 5000* 100000*")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Pick(path, Policy{}); ok {
			b.Fatal("the path should be at rest")
		}
	}
}

func one(*rand.Rand, int) uint64 { return 1 }

func logUniform(r *rand.Rand, _ int) uint64 { return uint64(math.Pow(1000, r.Float64())) }

func spiky(_ *rand.Rand, i int) uint64 { return pick(i%100 == 50, 1000, 1) }

func pick(first bool, a, b uint64) uint64 {
	if first {
		return a
	}
	return b
}
