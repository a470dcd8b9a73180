package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
)

// runs counts the nodes of a fork's path.
func (w *watched) runs(fork string) (n int) {
	for range forktree.Path(w.top(fork)) {
		n++
	}
	return n
}

// Forks of a fork whose path holds as many runs as it may are flushed together: one
// merge at the node that they share makes room for all of them.
func TestForksThatAreFlushedTogetherMergeWhatTheyShareOnce(t *testing.T) {
	w := newWatched(t)
	const (
		forks = 50
		most  = 9
	)
	for i := range most {
		w.layer(MainFork, "abcdefghijklmnopqrs"[:19-2*i])
		w.makeFork(MainFork, fmt.Sprint("keeps-", i))
	}
	w.rest()
	require.Equal(t, most, w.runs(MainFork))
	for i := range forks {
		w.makeFork(MainFork, fmt.Sprint(i))
		w.set(fmt.Sprint(i), "b")
	}
	w.flush()
	before := w.s.Stats()
	w.rest()
	require.Equal(t, uint64(1), w.s.Stats().Merges-before.Merges)
	for i := range forks {
		require.LessOrEqual(t, w.runs(fmt.Sprint(i)), most)
	}
	w.holds(w.s)
	require.NoError(t, w.s.Settle())
	require.NoError(t, w.s.Verify())
}
