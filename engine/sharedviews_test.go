package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
)

// A view costs as much as the vectors on its path, so a flush makes one for all nodes
// that lie above the same one.
func TestAFlushOfManyForksOfOneMakesOneView(t *testing.T) {
	m := newMarking(t, 1<<20)
	m.layer(MainFork, "abc")
	for i := range 20 {
		name := fmt.Sprint("f", i)
		m.makeFork(MainFork, name)
		m.delete(name, "a")
	}
	m.s.forgetViews()
	m.at(schedule.FlushPicked, func() {
		m.s.mu.Lock()
		defer m.s.mu.Unlock()
		require.Len(t, m.s.mu.claims, 20)
		require.Len(t, m.s.mu.views, 1)
	})
	m.flush()
	m.sound()
}

// A table of which nothing is alive is left out of each iterator, but looked for
// once a view only.
func TestIteratorsOfOneViewShareWhatIsAlive(t *testing.T) {
	m := newMarking(t, 1)
	top := m.layer(MainFork, "abcdefgh")
	require.Len(t, top.Run.Tables, 8)
	m.deleteRange(MainFork, "b", "g")
	m.flush()
	f := m.fork(MainFork)
	v, err := f.acquire()
	require.NoError(t, err)
	defer v.release()
	alive := v.dead.aliveIn(top.Run)
	require.Len(t, alive, 3)
	require.Same(t, &alive[0], &v.dead.aliveIn(top.Run)[0])
	m.holds(m.s)
}

func TestAllHandlesOfASnapshotReadThroughOneView(t *testing.T) {
	m := newMarking(t, 1<<20)
	m.layer(MainFork, "abc")
	_, err := m.fork(MainFork).Snapshot("s")
	require.NoError(t, err)
	m.s.forgetViews()
	for range 10 {
		for _, open := range []func(string) (*Snapshot, error){m.s.Snapshot, m.s.SnapshotWhileNamed} {
			n, err := open("s")
			require.NoError(t, err)
			_, err = n.Get([]byte("a"))
			require.NoError(t, err)
		}
	}
	require.Len(t, m.s.mu.views, 1)
	m.sound()
}
