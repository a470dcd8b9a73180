package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/invariant"
)

// What a fork and a drop allocate: the handle, and now and then a page of records.
func TestForksAndDropsAllocateLittle(t *testing.T) {
	if invariant.Expensive {
		t.Skip("assertions allocate")
	}
	const runs, budget = 1000, 4
	s, err := engine.Open(t.TempDir(), &engine.Options{Manual: true})
	require.NoError(t, err)
	defer s.Close()
	main := fork(t, s, engine.MainFork)
	var names []string
	for i := range runs + 1 { // it is run once more to begin with
		names = append(names, fmt.Sprintf("agent-%d", i))
	}
	var made []*engine.Fork
	forking := testing.AllocsPerRun(runs, func() {
		f, err := main.Fork(names[len(made)], engine.NoSync)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, f)
	})
	require.LessOrEqual(t, forking, float64(budget))
	dropping := testing.AllocsPerRun(runs, func() {
		if err := made[0].Drop(engine.NoSync); err != nil {
			t.Fatal(err)
		}
		made = made[1:]
	})
	require.LessOrEqual(t, dropping, float64(budget))
	t.Logf("%v allocations a fork, %v a drop", forking, dropping)
}
