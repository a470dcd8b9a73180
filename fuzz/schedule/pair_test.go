package schedule

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// The test below fails if a pair that is listed comes about all the same, and if
// one that is not listed does not.
func TestEveryPairOfPoints(t *testing.T) {
	// Each run has a store of its own in memory, and so little of it is alive that the
	// garbage collector would else be half of the work.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	impossible := impossiblePairs(t)
	counts := fuzz.NewCounts()
	stride := 1
	if testing.Short() {
		stride = 7 // prime to the number of points: all come up, on both sides
	}
	tried := 0
	for held := range points.OrphanRemoving { // an open has a test of its own
		for reached := range points.OrphanRemoving {
			p := pair{held, reached}
			number := int(held)*int(points.OrphanRemoving) + int(reached)
			if number%stride != 0 {
				continue
			}
			photo := uint64(0)
			if number%6 == 0 || p.between(points.MarksStaged) || p.between(points.MarksSwept) {
				photo = uint64(number + 1)
			}
			happened, err := p.force(counts, photo, stride == 1 && impossible[p] == "")
			require.NoError(t, err)
			tried++
			if because := impossible[p]; because != "" {
				require.False(t, happened, "%s: it came about, although %s", p, because)
				counts.Add("pairs that are impossible", 1)
			} else {
				require.True(t, happened, "%s: it did not come about, and nothing is known that would prevent it", p)
			}
		}
	}
	t.Logf("met:\n%s", counts)
	require.Equal(t, tried, counts.Get("pairs forced, through")+counts.Get("pairs that are impossible"))
	if stride == 1 {
		require.Equal(t, counts.Get("pairs forced, through"), counts.Get("pairs forced, race"))
		require.Equal(t, counts.Get("pairs forced, through"), counts.Get("pairs forced, inside"))
		require.Greater(t, counts.Get("pairs forced, through"), 1500)
		require.Greater(t, counts.Get("images"), 500)
	}
}

func impossiblePairs(t *testing.T) map[pair]string {
	impossible := map[pair]string{}
	for _, e := range exclusions() {
		for _, held := range e.held {
			for _, reached := range e.reached {
				p := pair{held, reached}
				require.Empty(t, impossible[p], "%s is listed twice", p)
				impossible[p] = e.because
			}
		}
	}
	return impossible
}

// Beside every point forks are made, and dropped, many by one record: all or none,
// whatever comes in between, and whatever a crash leaves.
func TestEveryPointBesideForksMadeAndDroppedAtOnce(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	impossible := impossiblePairs(t)
	counts := fuzz.NewCounts()
	number := 0
	try := func(p pair, ways []way) {
		if number++; testing.Short() && number%7 != 0 {
			return
		}
		happened, err := p.forceBy(ways, counts, uint64(number), number%3 == 0 && impossible[p] == "")
		require.NoError(t, err)
		require.Equal(t, impossible[p] == "", happened, "%s: it came about, or did not", p)
	}
	for point, by := range several {
		for other := range points.OrphanRemoving {
			for _, d := range by {
				try(pair{point, other}, pair{point, other}.waysBy([]deed{d}, ways(other)))
				try(pair{other, point}, pair{other, point}.waysBy(ways(other), []deed{d}))
			}
		}
	}
	t.Logf("met:\n%s", counts)
	if !testing.Short() {
		require.Greater(t, counts.Get("pairs forced, through"), 200)
	}
}

// between tells whether somebody stops at x, where the tree holds marks that say nothing yet, or no more.
func (p pair) between(x points.Point) bool { return p.held == x || p.reached == x }

func TestTrials(t *testing.T) {
	for _, trial := range Trials() {
		t.Run(trial.Name, func(t *testing.T) {
			runs := 40 * fuzz.Soak()
			if testing.Short() {
				runs /= 4
			}
			counts := fuzz.NewCounts()
			require.NoError(t, trial.Repeat(1, runs, counts))
			t.Logf("met:\n%s", counts)
			if !testing.Short() {
				require.Empty(t, counts.Missing(trial.Sometimes))
			}
		})
	}
}
