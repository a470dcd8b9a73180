package damage

import (
	"iter"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
)

// stride is which share of the cases a test does.
func stride(n uint64) uint64 {
	if testing.Short() {
		return n * 8
	}
	return n
}

func specimens(t *testing.T) (closed, killed, again *Specimen) {
	t.Helper()
	all, err := Specimens()
	require.NoError(t, err)
	return all[0], all[1], all[2]
}

// run puts the three stores to the cases; of the third, whose tables are those of
// the second, a share.
func run(t *testing.T, cases func(*Specimen) iter.Seq[Case], sometimes map[string]int) {
	t.Helper()
	counts := fuzz.NewCounts()
	closed, killed, again := specimens(t)
	require.NoError(t, closed.Run(cases(closed), stride(1), counts))
	require.NoError(t, killed.Run(cases(killed), stride(1), counts))
	require.NoError(t, again.Run(cases(again), stride(3), counts))
	t.Logf("met:\n%s", counts)
	if !testing.Short() {
		require.Empty(t, counts.Missing(sometimes))
	}
}

func TestEveryByteDamaged(t *testing.T) {
	run(t, (*Specimen).EveryByte, map[string]int{
		"cases": 40000, "damage: one bit flipped": 30000, "damage: all bits flipped": 5000, "damage: set to zero": 4000,
		"CURRENT: refused at open": 200, "manifest: refused at open": 7000, "segment: refused at open": 10000,
		"table: error at read": 10000, "table: harmless, yet found by check": 50, "segment: end of the log lost that no mark vouched for": 100,
		"forks and snapshots that fail to read": 40000, "forks and snapshots beside them that read": 40000,
		"read-only opens": 10000, "compact refused for damage": 100, "stores repaired or reopened, and whole": 10000,
	})
}

func TestEveryLength(t *testing.T) {
	run(t, (*Specimen).EveryLength, map[string]int{
		"cases": 35000, "damage: cut off": 30000, "damage: noise appended": 100, "damage: zeros appended": 100,
		"CURRENT: refused at open": 150, "manifest: refused at open": 4000, "manifest: harmless": 1000,
		"segment: refused at open": 10000, "table: error at read": 5000, "table: harmless, yet found by check": 50,
		"segment: end of the log lost with the marks that vouched for it": 300,
	})
}

func TestEverySectorAndRange(t *testing.T) {
	run(t, (*Specimen).EverySector, map[string]int{
		"cases": 20000, "damage: sector zeroed": 80, "damage: sector is noise": 80, "damage: sectors exchanged": 400, "damage: range zeroed": 20000,
		"CURRENT: refused at open": 100, "manifest: refused at open": 2000, "segment: refused at open": 3000, "table: error at read": 4000,
		"segment: end of the log lost that no mark vouched for": 30,
	})
}

func TestEveryPartInAnothersPlace(t *testing.T) {
	counts := fuzz.NewCounts()
	closed, killed, _ := specimens(t)
	require.NoError(t, closed.Run(closed.EveryPart(), 1, counts))
	require.NoError(t, killed.Run(killed.EveryPart(), 1, counts))
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(map[string]int{"damage: part in another's place": 50, "table: error at read": 50}))
}

func TestEveryFile(t *testing.T) {
	counts := fuzz.NewCounts()
	closed, killed, again := specimens(t)
	for _, s := range []*Specimen{closed, killed, again} {
		require.NoError(t, s.Run(s.EveryFile(), 1, counts))
	}
	t.Logf("met:\n%s", counts)
	require.Empty(t, counts.Missing(map[string]int{
		"damage: missing": 15, "damage: empty": 15, "damage: holds another file": 100, "damage: files exchanged": 10, "damage: there twice": 300,
		"damage: older version is back": 20, "damage: removed file is back": 10, "damage: older manifest and CURRENT are back": 5,
		"segment: end of the log lost with the marks that vouched for it": 5, "table: error at read": 20, "manifest: harmless": 30,
	}))
}

// A store that was closed knows how far its log reached: nothing of it is lost in
// silence, whatever becomes of the log.
func TestAClosedStoreLosesNothing(t *testing.T) {
	counts := fuzz.NewCounts()
	closed, _, _ := specimens(t)
	all := len(closed.states) - 1
	for c := range closed.EveryFile() {
		if _, touched := c.Files[closed.tip.name]; touched && kindOf(c.Target) == "segment" {
			require.Equal(t, all, closed.floor(c), c.Where)
			counts.Add("cases", 1)
		}
	}
	require.GreaterOrEqual(t, counts.Get("cases"), 8)
}

func TestRandomDamageToRandomStores(t *testing.T) {
	counts := fuzz.NewCounts()
	trial := Trials()[0]
	runs := 30 * fuzz.Soak()
	if testing.Short() {
		runs = 4
	}
	require.NoError(t, trial.Repeat(1, runs, counts))
	t.Logf("met:\n%s", counts)
	if !testing.Short() {
		require.Empty(t, counts.Missing(trial.Sometimes))
	}
}

// The judge must not be asleep: what it is told to be wrong, it finds wrong.
func TestTheJudge(t *testing.T) {
	_, killed, _ := specimens(t)
	var table string
	for _, name := range killed.names() {
		if kindOf(name) == "table" {
			table = name
			break
		}
	}
	zeroed := one("set to zero", table, table, make([]byte, len(killed.files[table])))
	nothing := one("nothing", table, table, killed.files[table])
	all := len(killed.states) - 1

	t.Run("is content with a store that is as it should be", func(t *testing.T) {
		require.NoError(t, killed.Judge(nothing, 1, fuzz.NewCounts()))
		require.NoError(t, killed.Judge(zeroed, 1, fuzz.NewCounts()))
	})
	for name, change := range map[string]func(model.State) (model.State, error){
		"sees a value that is not the right one": func(s model.State) (model.State, error) { return s.Put("apart", "own", "else") },
		"sees a row that is missing":             func(s model.State) (model.State, error) { return s.Put("apart", "zz", "more") },
		"sees a row too many":                    func(s model.State) (model.State, error) { return s.Delete("apart", "own") },
		"sees a fork that is missing":            func(s model.State) (model.State, error) { return s.Fork("main", "more") },
		"sees a fork too many":                   func(s model.State) (model.State, error) { return s.Drop("last") },
	} {
		t.Run(name, func(t *testing.T) {
			state, err := change(killed.states[all])
			require.NoError(t, err)
			killed.mu.Lock()
			before := killed.expected[all]
			killed.expected[all] = expectState(state)
			killed.mu.Unlock()
			require.ErrorContains(t, killed.Judge(nothing, 1, fuzz.NewCounts()), "wrong data")
			killed.expected[all] = before
		})
	}
	t.Run("sees an error where nothing is damaged", func(t *testing.T) {
		prints := killed.prints
		killed.prints = maps.Clone(prints)
		killed.prints["main"] = footprint{}
		require.Error(t, killed.Judge(zeroed, 1, fuzz.NewCounts()))
		killed.prints = prints
	})
}
