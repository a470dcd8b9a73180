package churn

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/fuzz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repeat runs a trial with so many seeds, and demands that it met what it is there
// for. With -short it makes a sixth of the runs and demands a twelfth.
func repeat(t *testing.T, trial fuzz.Trial, runs int) {
	t.Helper()
	part := 1
	if testing.Short() {
		runs, part = max(1, runs/6), 12
	}
	counts := fuzz.NewCounts()
	require.NoError(t, trial.Repeat(0, runs*fuzz.Soak(), counts))
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = n / part
	}
	require.Empty(t, counts.Missing(demanded))
}

func TestForksComeAndGoAndLeaveNothing(t *testing.T) { repeat(t, Memory(), 24) }

func TestForksComeAndGoAndLeaveNothingOnDisk(t *testing.T) { repeat(t, Disk(), 4) }
