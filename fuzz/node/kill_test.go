package node

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/fuzz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneOrderOfAllCallsExplainsWhatClientsOfKilledNodesWereTold(t *testing.T) {
	counts := fuzz.NewCounts()
	if testing.Short() { // too few kills to demand what only chance brings
		const few = 16
		require.NoError(t, inDirectory(func(dir string) error { return kill(dir, 0, few, counts) }))
		require.Empty(t, counts.Missing(map[string]int{"kills": few, "stretches judged": 1, "answers": 1, "nodes stopped": 1}))
		return
	}
	trial := Kill()
	require.NoError(t, trial.Repeat(0, trial.Runs*fuzz.Soak(), counts))
	// What a kill meets is a matter of chance, and of the machine: a run that met too
	// little of something is not a failure yet.
	for seed := trial.Runs * fuzz.Soak(); seed < 4*trial.Runs*fuzz.Soak() && len(counts.Missing(trial.Sometimes)) > 0; seed++ {
		require.NoError(t, trial.Repeat(uint64(seed), 1, counts))
	}
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(trial.Sometimes))
}
