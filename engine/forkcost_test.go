package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
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

// What need not be durable costs no call of the system: the log is shared memory.
func TestUnsyncedRecordsAreNoCalls(t *testing.T) {
	calls := func() int {
		b, err := os.ReadFile("/proc/self/io")
		if err != nil {
			t.Skip("the system does not count calls:", err)
		}
		_, b, _ = bytes.Cut(b, []byte("syscw: "))
		b, _, _ = bytes.Cut(b, []byte("\n"))
		n, err := strconv.Atoi(string(b))
		require.NoError(t, err)
		return n
	}
	const records = 200
	s, err := engine.Open(t.TempDir(), nil)
	require.NoError(t, err)
	defer s.Close()
	main := fork(t, s, engine.MainFork)
	var made int
	for round := range 1000 {
		before := calls()
		for i := range records / 2 {
			require.NoError(t, main.Set(fmt.Append(nil, "key", i), []byte("value"), engine.NoSync))
			_, err := main.Fork(fmt.Sprint("f", round, "-", i), engine.NoSync)
			require.NoError(t, err)
		}
		if made = calls() - before; made < records/4 {
			return
		}
	}
	t.Fatalf("%d records are %d calls, in every round", records, made) // while the log is synced, each is one
}
