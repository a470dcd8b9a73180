package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

func onlyMemory(k compaction.Kind) bool { return k == compaction.KindConsolidate }

func onlyTables(k compaction.Kind) bool { return k != compaction.KindConsolidate }

// nested makes forks within forks, each with a row of its own, from one that is there.
func (w *watched) nested(parent, name string, forks int) (last string) {
	for i := range forks {
		child := fmt.Sprint(name, i)
		w.makeFork(parent, child)
		w.set(child, "b")
		parent = child
	}
	return parent
}

// described gives how many nodes passes of a kind look at until they find nothing to do.
func (w *watched) described(watch *forktree.Watch, wanted func(compaction.Kind) bool) uint64 {
	before := w.s.counter.nodesSeen.Load()
	for did := true; did; {
		var err error
		did, err = w.s.pass(watch, wanted, w.s.stopped)
		require.NoError(w, err)
	}
	return w.s.counter.nodesSeen.Load() - before
}

// Where a flush has left a run of each of many nested forks, every path goes through
// hundreds of them. Who looks after memory does not go over them again and again.
func TestALookForMemoryDoesNotGoOverLongPathsOfRuns(t *testing.T) {
	w := newWatched(t)
	const flushed, fresh = 400, 100
	last := w.nested(MainFork, "old-", flushed)
	w.flush()
	w.s.mu.Lock()
	memory := w.s.mu.tree.Watch()
	w.s.mu.Unlock()
	require.Zero(t, w.described(memory, onlyMemory), "nothing is in memory")

	last = w.nested(last, "new-", fresh)
	w.makeFork(last, "freezes")
	w.set("freezes", "b")
	depth := w.runs("freezes")
	require.GreaterOrEqual(t, depth, flushed+fresh)
	items := func(fork string, whole bool) int {
		n := w.top(fork)
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		return len(w.s.pathLocked(n, whole).items)
	}
	require.Equal(t, fresh+nearRuns, items(last, false), "all memory, and what lies near it")
	require.Equal(t, depth, items(last, true))
	looks := w.s.counter.pathsSeen.Load()
	seen := w.described(memory, onlyMemory)
	looks = w.s.counter.pathsSeen.Load() - looks
	require.Greater(t, w.s.Stats().Consolidations, uint64(0))
	memoryNodes := uint64(compaction.DefaultPolicy().MaxMemory) + 1
	require.LessOrEqual(t, looks, uint64(4*fresh))
	require.LessOrEqual(t, seen, looks*(nearRuns+memoryNodes), "%d looks at paths of up to %d nodes", looks, depth)
	w.described(w.watch, onlyTables)
	w.holds(w.s)
	w.sound()
}

// Memory that lies under more runs than that is merged when merges have made them fewer.
func TestMemoryDeepUnderRunsIsMergedWhenTheyAreFewer(t *testing.T) {
	w := newWatched(t)
	const deep = 8
	last := w.nested(MainFork, "deep-", deep)
	w.makeFork(last, "above")
	top := w.top("above")
	var held []*forktree.Claim
	for n := range forktree.Path(top) { // another job has them while the others are flushed
		held = append(held, w.claim(n, n))
	}
	require.Len(t, held, deep)
	last = w.nested("above", "new-", 2*nearRuns)
	w.makeFork(last, "end")
	require.NoError(t, w.s.freezeForks(func(*forktree.Fork) bool { return true }))
	_, err := w.s.flushNodes(w.s.inMemory(ids.NodeID(w.s.nextID.Load())), map[*forktree.Node]error{}, w.s.stopped)
	require.NoError(t, err)
	w.s.unclaim(held...)
	require.Equal(t, deep, w.s.Stats().MemoryNodes)

	w.s.mu.Lock()
	memory := w.s.mu.tree.Watch()
	w.s.mu.Unlock()
	w.described(memory, onlyMemory)
	w.described(w.watch, onlyTables)
	w.described(memory, onlyMemory)
	for _, name := range []string{"end", last, "new-70", "above"} {
		inMemory := 0
		for n := range forktree.Path(w.top(name)) {
			if n.Mem != nil {
				inMemory++
			}
		}
		require.LessOrEqual(t, inMemory, compaction.DefaultPolicy().MaxMemory, name)
	}
	w.sound()
}

// A merge that is short itself does not look at what else there is to do, and in the middle
// of a long one nobody looks at paths that no small merge brings within the read bound.
func TestATurnIsForShortPathsInTheMiddleOfALongMerge(t *testing.T) {
	w := newWatched(t)
	for range 4 {
		w.layer(MainFork, "abcdefgh")
	}
	n := w.top(MainFork)
	plan, claim, _ := w.s.plan(n, w.watch, onlyTables, w.s.crowd(nil, onlyTables))
	require.NotNil(t, claim)
	w.makeFork(MainFork, "other")
	for range 12 {
		w.layer("other", "a")
	}
	var bytes uint64
	for _, n := range claim.Range {
		bytes += n.Run.Bytes()
	}
	looked := func(tableBytes uint64) uint64 {
		w.s.opts.TableBytes = int64(tableBytes)
		step, end := w.s.between(w.watch, plan, claim, w.s.stopped)
		w.s.counter.installs.Add(1)
		before := w.s.counter.pathsSeen.Load()
		require.NoError(t, step())
		end()
		return w.s.counter.pathsSeen.Load() - before
	}
	require.Zero(t, looked(4*(bytes+1)))
	require.NotZero(t, looked(4*bytes))
	w.s.unclaim(claim)

	w.nested("other", "deep-", turnNodes)
	w.flush()
	for _, c := range []struct {
		fork string
		done bool
	}{{"other", true}, {fmt.Sprint("deep-", turnNodes-1), false}} {
		_, claim := w.s.planBound(w.top(c.fork), w.s.crowd(nil, onlyTables), 1<<40)
		require.Equal(t, c.done, claim != nil, c.fork)
		if claim != nil {
			w.s.unclaim(claim)
		}
	}
	w.rest()
	w.sound()
}
