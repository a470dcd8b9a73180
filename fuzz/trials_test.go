package fuzz

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// The stores of these tests are tiny and short-lived: with the usual settings a
// third of the time would go into collecting them.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// common are the states that one run in eight meets too.
const common = 250

// try runs a trial with its fixed seeds and demands the states it is there for.
func try(t *testing.T, trial Trial) {
	t.Helper()
	runs, share := trial.Runs*Soak(), 1
	if testing.Short() {
		runs, share = max(1, runs/8), 256 // some of the states come in few of the runs
	}
	counts := NewCounts()
	err := trial.Repeat(0, runs, counts)
	var failure *Failure
	if errors.As(err, &failure) {
		if shrinks() {
			failure = failure.Shrunk(20 * time.Second)
		}
		file, saveErr := failure.Save(os.TempDir())
		require.NoError(t, saveErr)
		t.Fatalf("%v\nsaved in %s, shrunk: %v\n%s", err, file, failure, failure.Text())
	}
	require.NoError(t, err)
	t.Logf("met:\n%s", counts)
	demanded := map[string]int{}
	for state, n := range trial.Sometimes {
		demanded[state] = n / share
		if n >= common {
			demanded[state] = max(1, n/share)
		}
	}
	require.Empty(t, counts.Missing(demanded))
}

func TestModelAndStoreAgree(t *testing.T)                          { try(t, modelTrial()) }
func TestModelAndStoreAgreeOnDisk(t *testing.T)                    { try(t, diskTrial()) }
func TestCrashAtEveryCallOfShortScripts(t *testing.T)              { try(t, scriptTrial()) }
func TestCrashWhileManyForksAreMadeAndDropped(t *testing.T)        { try(t, manyTrial()) }
func TestCrashWhileGarbageGoes(t *testing.T)                       { try(t, garbageTrial()) }
func TestCrashWhileTablesAreRelocated(t *testing.T)                { try(t, packTrial()) }
func TestCrashAtEveryCallOfRandomRuns(t *testing.T)                { try(t, randomCrashTrial()) }
func TestCrashAroundMergesOfSharedTables(t *testing.T)             { try(t, mergeCrashTrial()) }
func TestCrashAroundConsolidations(t *testing.T)                   { try(t, freezeCrashTrial()) }
func TestCrashUnderBackgroundWork(t *testing.T)                    { try(t, backgroundCrashTrial()) }
func TestFaultsAreSurfacedAndLoseNothing(t *testing.T)             { try(t, faultTrial()) }
func TestFaultsUnderReadsHideNoRow(t *testing.T)                   { try(t, readFaultTrial()) }
func TestModelAndStoreAgreeOnDeletes(t *testing.T)                 { try(t, deleteTrial()) }
func TestCrashAroundDeletes(t *testing.T)                          { try(t, deleteCrashTrial()) }
func TestFaultsAroundDeletes(t *testing.T)                         { try(t, deleteFaultTrial()) }
func TestConcurrentClientsDeleteFromSharedTables(t *testing.T)     { try(t, deletersTrial()) }
func TestConcurrentClientsKeepOneOrderThroughCrashes(t *testing.T) { try(t, crowdTrial()) }

// The store makes its directory, and must see to it that it stays.
func TestCrashWithADirectoryThatTheStoreMade(t *testing.T) {
	p := crashes{config: CrashConfig(), seed: 16, creation: true, stride: 1, powers: 4, depth: 1}
	require.NoError(t, p.runOn(crashfs.New(), script(0, 3, 14), NewCounts()))
}

// Lists that once failed are replayed in every configuration.
func TestModelReplaysSavedLists(t *testing.T) {
	files, err := filepath.Glob("testdata/ops/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.Open(file)
		require.NoError(t, err)
		list, err := ops.Parse(text)
		text.Close()
		require.NoError(t, err, file)
		require.NoError(t, runConfigs("saved", list, Configs(), NewCounts()), file)
	}
}
