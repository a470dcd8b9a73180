package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/ops"
)

func soakOf(t *testing.T, out *bytes.Buffer, rounds int, all ...fuzz.Trial) *soak {
	t.Helper()
	s := &soak{out: out, dir: t.TempDir(), seed: 5, rounds: rounds, stuck: time.Hour, began: time.Now()}
	for _, trial := range all {
		s.trials = append(s.trials, &soaked{Trial: trial, counts: fuzz.NewCounts()})
	}
	return s
}

func TestFailuresAreSavedAndDoNotEndIt(t *testing.T) {
	var seeds []uint64
	good := fuzz.Trial{
		Name: "good", Sometimes: map[string]int{"met": 1, "unmet": 1},
		Run: func(seed uint64, counts *fuzz.Counts) error {
			seeds = append(seeds, seed)
			counts.Add("met", 1)
			return nil
		},
	}
	bad := fuzz.Trial{Name: "bad", Run: func(uint64, *fuzz.Counts) error {
		fails := func(list []ops.Op) error {
			for _, op := range list {
				if op.Kind == ops.Flush {
					return errors.New("it flushed")
				}
			}
			return nil
		}
		list := []ops.Op{{N: 1, Kind: ops.Sync}, {N: 2, Kind: ops.Flush}, {N: 3, Kind: ops.Sync}}
		return &fuzz.Failure{Name: "bad-list", List: list, Err: fails(list), Again: fails}
	}}
	panics := fuzz.Trial{Name: "panics", Run: func(uint64, *fuzz.Counts) error { panic("at the disco") }}
	var out bytes.Buffer
	s := soakOf(t, &out, 3, good, bad, panics)
	s.run(context.Background())
	require.Equal(t, 9, s.runs())
	require.Equal(t, 6, s.failures())
	require.Len(t, seeds, 3)
	require.NotEqual(t, seeds[0], seeds[1])
	require.Contains(t, out.String(), "NEVER: unmet")
	saved, err := filepath.Glob(filepath.Join(s.dir, "*.txt"))
	require.NoError(t, err)
	require.Len(t, saved, 3+3+1)
	text, err := os.ReadFile(filepath.Join(s.dir, "tine-bad-list.txt"))
	require.NoError(t, err)
	require.Equal(t, "# bad-list: it flushed\n2 flush\n", string(text))

	again := soakOf(t, &out, 1, good)
	again.run(context.Background())
	require.Equal(t, seeds[0], seeds[3], "the same seed gives the same runs")
}

func TestARunWithoutEndIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var out bytes.Buffer
	s := soakOf(t, &out, 4, fuzz.Trial{Name: "endless", Run: func(uint64, *fuzz.Counts) error { <-release; return nil }})
	s.stuck = time.Millisecond
	s.run(context.Background())
	require.Equal(t, 1, s.runs())
	require.Equal(t, 1, s.failures())
	require.Contains(t, out.String(), "hangs")
}

func TestASignalEndsItWithTheTable(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	s := soakOf(t, &out, 1000, fuzz.Trial{Name: "one", Run: func(uint64, *fuzz.Counts) error { cancel(); return nil }})
	s.run(ctx)
	require.Equal(t, 1, s.runs())
	require.Contains(t, out.String(), "trial")
}

func TestTimeIsSharedAmongTrials(t *testing.T) {
	s := soakOf(t, nil, 0, fuzz.Trial{Name: "long"}, fuzz.Trial{Name: "short"})
	s.end = time.Now().Add(time.Hour)
	s.trials[0].took = time.Second
	require.Equal(t, "short", s.next().Name)
	s.trials[1].took = 2 * time.Second
	require.Equal(t, "long", s.next().Name)
	s.end = time.Now()
	require.Nil(t, s.next())
}

func TestNamesOfTrialsAreUniqueAndKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, trial := range trials() {
		require.False(t, seen[trial.Name], trial.Name)
		seen[trial.Name] = true
		require.NotNil(t, trial.Run, trial.Name)
	}
	_, err := choose(trials(), "model,nonsense")
	require.ErrorContains(t, err, "nonsense")
	chosen, err := choose(trials(), "clients,model")
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	var out bytes.Buffer
	require.Equal(t, 2, run([]string{"-only", "nonsense"}, &out, &out))
	require.Equal(t, 0, run([]string{"-only", "clients", "-exact", "3", "-out", t.TempDir()}, &out, &out), out.String())
}
