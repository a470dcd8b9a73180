package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
)

func TestNoRequestCrashesANodeOrGetsBeyondItsBounds(t *testing.T) {
	scale := 1
	if testing.Short() {
		scale = 20
	}
	counts := fuzz.NewCounts()
	for seed := range uint64(fuzz.Soak()) {
		require.NoError(t, inDirectory(func(dir string) error { return attack(dir, seed, scale, counts) }))
	}
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range Hostile().Sometimes {
		demanded[state] = max(1, n/scale)
	}
	if scale > 1 {
		delete(demanded, "honest calls meanwhile") // as many as there is time for
	}
	require.Empty(t, counts.Missing(demanded))
}
