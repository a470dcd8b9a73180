package node

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/fuzz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneOrderOfAllCallsExplainsWhatClientsOfKilledNodesWereTold(t *testing.T) {
	trial, counts, part := Kill(), fuzz.NewCounts(), 1
	if testing.Short() {
		const few = 16
		part = 2 * trial.Runs * killsPerRun / few
		require.NoError(t, inDirectory(func(dir string) error { return kill(dir, 0, few, counts) }))
	} else {
		require.NoError(t, trial.Repeat(0, trial.Runs*fuzz.Soak(), counts))
	}
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = max(1, n/part)
	}
	require.Empty(t, counts.Missing(demanded))
}
