package limits

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// repeat runs a trial with so many seeds, and demands that it met what it is there
// for. With -short it makes a quarter of the runs and demands an eighth, yet each
// state once.
func repeat(t *testing.T, trial fuzz.Trial, runs int) {
	t.Helper()
	part := 1
	if testing.Short() {
		runs, part = (runs+3)/4, 8
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

func TestAFullDiskRefusesAndResumes(t *testing.T) { repeat(t, Full(), 10) }

func TestMissingDescriptorsRefuseAndNothingElse(t *testing.T) { repeat(t, Handles(), 12) }

// Everything of the greatest length passes through log, tables and reopens.
func TestSizesAtTheLimitWorkAndOneOverIsRefused(t *testing.T) {
	counts := fuzz.NewCounts()
	require.NoError(t, Sizes(t.TempDir(), engine.Options{Manual: true}, counts))
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(map[string]int{
		"done: at the limit": 11, "refused: one over": 12, "rows compared": 22, "reopens": 2,
	}))
}

func TestMain(m *testing.M) {
	RunChild()
	goleak.VerifyTestMain(m)
}

// inChild does something in a process of its own and demands that it met what it
// is there for.
func inChild(t *testing.T, name string, environment ...string) {
	t.Helper()
	if testing.Short() {
		environment = append(environment, partVariable+"=5")
	}
	out, err := startChild(name, t.TempDir(), nil, environment...)
	require.NoError(t, err, out)
	t.Logf("met:\n%s", out)
}

func TestAHundredThousandForksInLittleMemory(t *testing.T) { inChild(t, "forks", memoryLimitInEnv) }

func TestAHundredThousandForksOfOneCutInLittleMemory(t *testing.T) {
	inChild(t, "at-once", memoryLimitInEnv)
}

func TestMoreThanThereIsMemoryFor(t *testing.T) { inChild(t, "memory", memoryLimitInEnv) }
