package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestDumpAndStatsShowWhatIsDead(t *testing.T) {
	dir := t.TempDir()
	store, err := engine.Open(dir, &engine.Options{Manual: true})
	require.NoError(t, err)
	main, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "c", "d"} {
		require.NoError(t, main.Set([]byte(key), []byte("value")))
	}
	require.NoError(t, store.Flush())
	_, err = main.Snapshot("all")
	require.NoError(t, err)
	require.NoError(t, main.Delete([]byte("a")))
	require.NoError(t, main.DeleteRange([]byte("c"), nil))
	require.NoError(t, store.Flush())
	require.NoError(t, store.Close())

	text := ok(t, in(dir, "dump", "sst")...)
	require.Contains(t, text, "dead rows   marked by 1 nodes")
	require.Regexp(t, `on paths through node \d+: 3 of 4 rows\n`, text)
	require.Regexp(t, `on paths through node \d+: 3 of 4 rows, \[0 2 3\]\n`, ok(t, in(dir, "dump", "sst", "--rows")...))
	require.Regexp(t, `node \d+.*table \d+.*3 of 4`, ok(t, in(dir, "dump", "manifest")...))
	stats := ok(t, in(dir, "stats")...)
	require.Regexp(t, `vectors +1\n`, stats)
	require.Regexp(t, `marked rows +3\n`, stats)
	require.Equal(t, "b\n", ok(t, in(dir, "scan", "--keys-only")...))
	ok(t, in(dir, "check", "--level", "deep")...)
}
