package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// watched is a store whose passes a test calls itself.
type watched struct {
	*marking
	watch *forktree.Watch
}

func newWatched(t *testing.T) *watched {
	m := newMarking(t, 1<<10)
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return &watched{m, m.s.mu.tree.Watch()}
}

// pass runs one and tells how many paths it has looked at.
func (w *watched) pass(stop func() error) (did bool, paths uint64, err error) {
	before := w.s.counter.pathsSeen.Load()
	did, err = w.s.pass(w.watch, func(compaction.Kind) bool { return true }, stop)
	return did, w.s.counter.pathsSeen.Load() - before, err
}

// rest runs passes until there is nothing to do.
func (w *watched) rest() (paths uint64) {
	for {
		did, n, err := w.pass(w.s.stopped)
		require.NoError(w, err)
		paths += n
		if !did {
			return paths
		}
	}
}

// Among many forks that have nothing to do, those that have something cost what they
// cost alone.
func TestAPassLooksAtPathsThatHaveChanged(t *testing.T) {
	w := newWatched(t)
	const forks = 300
	w.layer(MainFork, "abcdef")
	for i := range forks {
		w.makeFork(MainFork, fmt.Sprint(i))
		w.set(fmt.Sprint(i), "g")
	}
	w.flush()
	require.GreaterOrEqual(t, w.rest(), uint64(forks), "all of them are new")
	require.Zero(t, w.rest())
	for _, c := range []struct {
		name  string
		do    func()
		paths uint64 // at most
	}{
		{"nothing", func() {}, 0},
		{"a write", func() { w.set("7", "h") }, 0},
		{"a flush of one fork", func() { w.layer("7", "h") }, 2},
		{"flushes of one fork until there is something to merge", func() {
			merges := w.s.Stats().Merges
			for range 4 {
				w.layer("7", "h")
				w.rest()
			}
			require.Greater(t, w.s.Stats().Merges, merges)
		}, 2},
		{"a fork of the node that all lie on", func() {
			base := w.top("7")
			for base.Older != nil {
				base = base.Older
			}
			snap, err := w.fork("8").Snapshot("8")
			require.NoError(t, err)
			_, err = snap.Fork("again")
			require.NoError(t, err)
			w.want["again"] = w.want["8"]
		}, 2},
		{"a drop", func() { w.drop("again"); require.NoError(t, w.s.afterSwap()) }, 2},
		{"a write to the fork that they came from", func() { w.layer(MainFork, "a") }, 2},
	} {
		c.do()
		require.LessOrEqual(t, w.rest(), c.paths, c.name)
	}
	w.sound()
}

// A swap at a node serves all paths through it, and all of them are looked at.
func TestAPassLooksAtAllPathsThroughASwap(t *testing.T) {
	w := newWatched(t)
	old, young := w.layer(MainFork, "abcdef"), w.layer(MainFork, "bg")
	for i := range 20 {
		w.makeFork(MainFork, fmt.Sprint(i))
		w.set(fmt.Sprint(i), "g")
	}
	w.flush()
	w.rest()
	w.merge(young, old)
	require.GreaterOrEqual(t, w.rest(), uint64(20))
	w.sound()
}

// What a pass could not do the next one does, although nothing has changed: because
// the nodes were in the hands of another job, because the job failed, or because the
// pass was ended.
func TestAPassGoesOnWithWhatIsLeft(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		do   func(w *watched)
	}{
		{"the node is claimed", func(w *watched) {
			c := w.claim(w.top("two"), w.top("two"))
			_, _, err := w.pass(w.s.stopped)
			require.NoError(w, err)
			w.s.unclaim(c)
		}},
		{"a node below is claimed", func(w *watched) {
			c := w.claim(w.top("two").Older, w.top("two").Older)
			_, _, err := w.pass(w.s.stopped)
			require.NoError(w, err)
			w.s.unclaim(c)
		}},
		{"the job fails", func(w *watched) {
			asked := 0
			did, _, err := w.pass(func() error {
				if asked++; asked == 2 { // first it is asked by the pass, then by the job
					return broken
				}
				return nil
			})
			require.ErrorIs(w, err, broken)
			require.True(w, did, "the other fork's job is done all the same")
		}},
		{"the pass is ended at once", func(w *watched) {
			_, paths, err := w.pass(func() error { return broken })
			require.ErrorIs(w, err, broken)
			require.Zero(w, paths)
		}},
		{"a job fails, and then it is enough", func(w *watched) {
			asked := 0
			_, _, err := w.pass(func() error {
				switch asked++; asked {
				case 1:
					return nil
				case 2:
					return broken
				}
				return errEnough
			})
			require.ErrorIs(w, err, broken, "what has failed is told")
			require.NotErrorIs(w, err, errEnough)
		}},
		{"the pass is ended between two", func(w *watched) {
			merges := w.s.Stats().Merges
			_, _, err := w.pass(func() error {
				if w.s.Stats().Merges > merges {
					return broken
				}
				return nil
			})
			require.ErrorIs(w, err, broken)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatched(t)
			w.layer(MainFork, "abcdef")
			w.makeFork(MainFork, "one")
			w.makeFork(MainFork, "two")
			w.rest()
			for range 4 { // as many as are merged
				w.set("one", "az")
				w.set("two", "az")
				w.flush()
			}
			merges := w.s.Stats().Merges
			c.do(w)
			w.rest()
			require.EqualValues(t, merges+2, w.s.Stats().Merges)
			require.Len(t, w.top("one").Run.Tables, 1)
			require.Len(t, w.top("two").Run.Tables, 1)
			require.Zero(t, w.rest())
			w.sound()
		})
	}
}
