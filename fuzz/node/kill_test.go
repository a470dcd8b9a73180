package node

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/fuzz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneOrderOfAllCallsExplainsWhatClientsOfKilledNodesWereTold(t *testing.T) {
	trial, part := Kill(), 1
	runs := trial.Runs
	if testing.Short() {
		runs, part = 1, 12
	}
	counts := fuzz.NewCounts()
	require.NoError(t, trial.Repeat(0, runs*fuzz.Soak(), counts))
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = max(1, n/part)
	}
	require.Empty(t, counts.Missing(demanded))
}
