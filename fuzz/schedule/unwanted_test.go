package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// All forks on a run go while its merge has carried some of their marks over, and
// their nodes are taken apart before it goes on.
func TestAMergeThatNobodyWantsAnyMoreLeavesNoMarks(t *testing.T) {
	for photo := range uint64(3) {
		r, err := newRun(roomy)
		require.NoError(t, err)
		staged := newStop(points.MarksStaged)
		r.watch.arm(nil, staged, nil)
		r.watch.open(points.MergeTurn)
		there, err := r.crowd.until(staged.reached)
		require.NoError(t, err)
		require.True(t, there)

		for _, name := range []string{"m0", "h0", "g1", "g2"} {
			require.NoError(t, r.actors[0].drop(name, false))
		}
		nodes := r.world.store.Stats().Nodes
		r.watch.open(points.MemoryTurn)
		require.NoError(t, r.settleDown())
		require.Less(t, r.world.store.Stats().Nodes, nodes)
		require.Zero(t, r.world.store.Stats().Discarded)
		r.photograph(photo, fuzz.NewCounts())
		release(staged)
		require.NoError(t, r.settleDown())
		require.EqualValues(t, 1, r.world.store.Stats().Discarded)
		require.NoError(t, r.finish())
	}
}
