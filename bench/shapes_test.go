package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadsAndScansFindAsManyRunsInBothStores(t *testing.T) {
	const rows = 6000
	for name, shape := range map[string]struct {
		fill func(p peer) error
		runs int
	}{
		"a load is one run":                {func(p peer) error { return fillOneRun(p, rows) }, 1},
		"rows at random are in six":        {func(p peer) error { return fillRuns(p, rows) }, mergedRuns},
		"small runs lie above a large one": {func(p peer) error { return pileOnOneRun(p, rows) }, 1 + runsAbove},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := openTine(filepath.Join(t.TempDir(), "tine"), roomy)
			require.NoError(t, err)
			defer func() { require.NoError(t, p.close()) }()
			require.NoError(t, shape.fill(p))
			var tree strings.Builder
			require.NoError(t, p.(*tinePeer).store.DrawTree(&tree))
			require.Equal(t, shape.runs, strings.Count(tree.String(), " run "), tree.String())

			q, err := openPebble(filepath.Join(t.TempDir(), "pebble"), roomy)
			require.NoError(t, err)
			defer func() { require.NoError(t, q.close()) }()
			require.NoError(t, shape.fill(q))
			m := q.(*pebblePeer).db.Metrics()
			require.Equal(t, shape.runs, m.ReadAmp(), m.String())
		})
	}
}

func pileOnOneRun(p peer, rows int) error {
	if err := fillOneRun(p, rows); err != nil {
		return err
	}
	return pile(p, readSizes{rows: rows, delta: rows / 20, fresh: rows / 10})
}
