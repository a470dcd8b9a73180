package compaction

import "github.com/stretchr/testify/require"

// checkPlan holds a plan against what Pick promises of every plan.
func checkPlan(t require.TestingT, path []Item, plan Plan) {
	picture := drawPath(path) + ": " + plan.String()
	require.True(t, 0 <= plan.First && plan.First <= plan.Last && plan.Last < len(path), picture)
	rng := path[plan.First : plan.Last+1]
	require.False(t, rng[0].ClaimedRead, "begins at an item that is read: %s", picture)
	rows, entered := 0, false
	for i, it := range rng {
		require.False(t, it.Claimed, "holds a claimed item: %s", picture)
		require.Equal(t, plan.Kind == KindConsolidate, it.Memory, "mixes memory and tables: %s", picture)
		if it.Bytes > 0 {
			rows++
		}
		entered = entered || i > 0 && it.Entered
	}
	switch plan.Reason {
	case ReasonEmpty:
		require.LessOrEqual(t, rows, 1, "two runs cannot be joined for nothing: %s", picture)
		require.Greater(t, len(rng), 1, picture)
		require.False(t, entered, "an empty node takes a shared one's run away: %s", picture)
	case ReasonReadBound:
		require.Greater(t, len(rng), 1, picture)
		var newer uint64
		for _, it := range rng[:len(rng)-1] {
			newer += it.Bytes
		}
		if plan.Kind == KindMerge && plan.Last == len(path)-1 {
			require.LessOrEqual(t, rng[len(rng)-1].Bytes, newer, "the base is copied for the read bound: %s", picture)
		}
	case ReasonDead:
		require.Positive(t, dropped(path, plan), picture)
		if plan.Kind == KindRewrite {
			require.True(t, len(rng) == 1 && rng[0].Rotten, picture)
			break
		}
		require.LessOrEqual(t, cost(path, plan), 3*dropped(path, plan), "more is copied than the dead rows pay for: %s", picture)
	case ReasonTombstones:
		require.False(t, entered, "reaches across a branch point: %s", picture)
		require.Equal(t, len(path)-1, plan.Last, picture)
	case ReasonSpace, ReasonTier, ReasonShadowed:
		require.False(t, entered, "reaches across a branch point: %s", picture)
		require.Greater(t, len(rng), 1, picture)
	default:
		require.Fail(t, "unknown reason", picture)
	}
}

// checkRest holds a path on which there is nothing to do and nothing is claimed
// against the bounds of the policy.
func checkRest(t require.TestingT, path []Item, p Policy) {
	picture := drawPath(path)
	require.LessOrEqual(t, len(path), p.MaxNodes, "nodes: %s", picture)
	memory, runs, mixed := 0, 0, false
	var rows, dead uint64
	for i, it := range path {
		require.False(t, it.Rotten, "rotten: %s", picture)
		rows += it.Rows
		for _, d := range it.DeadBy {
			dead += d.Rows
		}
		if !it.Memory {
			runs++
			memory = 0
			continue
		}
		mixed = mixed || runs > 0
		memory++
		require.LessOrEqual(t, memory, p.MaxMemory, "memtables in a row, from item %d: %s", i, picture)
	}
	if !mixed { // otherwise only a flush can bring runs together
		require.LessOrEqual(t, runs, p.MaxRuns+1, "runs: %s", picture)
		require.True(t, dead == 0 || float64(dead) < p.MaxSharedDeadRatio*float64(rows), "%d of %d rows are dead: %s", dead, rows, picture)
	}
	for i, it := range path {
		if it.Bytes == 0 {
			newer := i > 0 && !it.Entered && path[i-1].Memory == it.Memory
			older := i < len(path)-1 && !path[i+1].Entered && path[i+1].Memory == it.Memory
			require.False(t, newer || older, "an empty node is left: %s", picture)
		}
	}
}
