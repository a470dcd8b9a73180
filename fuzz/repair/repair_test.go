package repair

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
)

func TestARepairRemovesNothingThatAPowerLossNeedsAgain(t *testing.T) {
	trial := Trials()[0]
	runs, part := trial.Runs*fuzz.Soak(), 1
	if testing.Short() {
		runs, part = runs/6, 12
	}
	counts := fuzz.NewCounts()
	require.NoError(t, trial.Repeat(0, runs, counts))
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = n / part
	}
	require.Empty(t, counts.Missing(demanded))
}
