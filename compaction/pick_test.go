package compaction

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPickOfPassesOverPlansThatAreNotWanted(t *testing.T) {
	path, err := parsePath("0 m1 m1 m1 m1 m1 60% 100 0")
	require.NoError(t, err)
	for _, c := range []struct {
		kind Kind
		want string
	}{
		{KindConsolidate, "consolidate 1..5 read bound"},
		{KindMerge, "merge 7..8 empty"},
		{KindRewrite, "rewrite 6..6 dead"},
	} {
		plan, ok := PickOf(path, Policy{}, func(k Kind) bool { return k == c.kind })
		require.True(t, ok)
		require.Equal(t, c.want, plan.String())
	}
	_, ok := PickOf(path, Policy{}, func(Kind) bool { return false })
	require.False(t, ok)
}

// Memory is not merged for the sake of a path that small runs in tables make long: each
// path through them would merge all of it again. Where memory is what is cheapest to
// merge, it is, and nobody else waits for that in vain.
func TestALongPathIsMadeShorterWhereThatIsCheapest(t *testing.T) {
	items := func(memory, tables uint64) (path []Item) {
		for i := range 40 {
			it := Item{Entered: true, Bytes: tables, Rows: 1}
			if i%4 == 0 || i%4 == 1 && memory < tables {
				it.Bytes, it.Memory = memory, true
			}
			path = append(path, it)
		}
		path[1].Memory, path[1].Bytes = true, memory
		return append(path, Item{Bytes: 1 << 40, Rows: 1})
	}
	for _, c := range []struct {
		memory, tables uint64
		kind           Kind
	}{{1 << 20, 8 << 10, KindMerge}, {4 << 10, 8 << 20, KindConsolidate}} {
		path := items(c.memory, c.tables)
		for _, kind := range []Kind{KindConsolidate, KindMerge} {
			k := picker{path: path, policy: DefaultPolicy(), wanted: func(wanted Kind) bool { return wanted == kind }}
			plan, ok := k.nodeBound()
			require.Equal(t, kind == c.kind, ok, "%v for memory of %d and tables of %d", kind, c.memory, c.tables)
			if ok {
				require.Equal(t, kind, plan.Kind)
			}
		}
		for i := range path {
			path[i].Claimed = i >= 10 // they are about to go
		}
		k := picker{path: path, policy: DefaultPolicy(), wanted: func(Kind) bool { return true }}
		_, ok := k.nodeBound()
		require.False(t, ok)
	}
}

func TestAZeroPolicyIsTheDefault(t *testing.T) {
	require.Equal(t, DefaultPolicy(), Policy{}.withDefaults())
	odd := Policy{
		MaxMemory: 1, MaxRuns: 2, MaxNodes: 3, MinMerge: 5,
		MaxSizeRatio: 6, MaxSpaceRatio: 7, MaxTombstoneRatio: 8,
		MaxDeadRatio: 9, MaxSharedDeadRatio: 10, MaxShadowedRatio: 11,
	}
	require.Equal(t, odd, odd.withDefaults())
	require.Equal(t, 2, Policy{MinMerge: 1}.withDefaults().MinMerge, "merging one run with itself would never end")
}

func TestDegreeInvertsTheBinomial(t *testing.T) {
	for place := 1; place <= 12; place++ {
		for c := place - 1; c < 60; c++ {
			binomial := 1.0
			for i := range place {
				binomial = binomial * float64(c-i) / float64(i+1)
			}
			require.InDelta(t, c, degree(binomial, place), 1e-9, "C(%d, %d)", c, place)
		}
	}
	require.InDelta(t, 1e18, degree(1e18, 1), 1e5, "huge sizes do not overflow")
}

func TestHugeSizesDoNotOverflow(t *testing.T) {
	const huge = ^uint64(0)
	path := make([]Item, 12)
	for i := range path {
		path[i] = Item{Bytes: huge, Rows: huge, Tombstones: huge / 8, Entered: true}
	}
	plan, ok := Pick(path, Policy{})
	require.True(t, ok)
	require.Equal(t, ReasonReadBound, plan.Reason)
}

func TestPickBoundPassesOverAllButTheReadBoundInTables(t *testing.T) {
	for _, c := range []struct{ path, plan, bound string }{
		{"m1 m1 m1 m1 m1 1 2", "consolidate 0..4 read bound", ""},
		{"1 1 1 1 9* 9* 9* 9* 9* 99*", "merge 0..3 tier", "merge 0..3 read bound"},
		{"1 9* 1* 9* 1* 9* 1* 9* 1* 99%", "rewrite 9..9 dead", "merge 0..8 read bound"},
		{"1 9", "", ""},
	} {
		path, err := parsePath(c.path)
		require.NoError(t, err)
		plan, ok := Pick(path, Policy{})
		require.Equal(t, c.plan != "", ok)
		if ok {
			require.Equal(t, c.plan, plan.String())
		}
		plan, ok = PickBound(path, Policy{})
		require.Equal(t, c.bound != "", ok)
		if ok {
			require.Equal(t, c.bound, plan.String())
		}
	}
}
