package churn

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/fuzz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repeat runs a trial with so many seeds, and demands that it met what it is there
// for. With -short it makes a tenth of the runs, those with background work
// first, and demands a fortieth.
func repeat(t *testing.T, trial fuzz.Trial, runs int) {
	t.Helper()
	first, part := uint64(0), 1
	if testing.Short() {
		first, runs, part = 3, max(1, runs/10), 40
	}
	counts := fuzz.NewCounts()
	require.NoError(t, trial.Repeat(first, runs*fuzz.Soak(), counts))
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = n / part
	}
	require.Empty(t, counts.Missing(demanded))
}

func TestForksComeAndGoAndLeaveNothing(t *testing.T) { repeat(t, Memory(), 36) }

func TestForksComeAndGoAndLeaveNothingOnDisk(t *testing.T) { repeat(t, Disk(), 4) }

func TestForksOfManyHandsComeAndGo(t *testing.T) { repeat(t, Hands(), 6) }
