package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheMemoryOfOpenTablesIsBounded(t *testing.T) {
	m := newMarking(t, 1)
	m.layer(MainFork, "abcdefghijklmnopqrstuvwxyz")
	m.holds(m.s)
	all := m.s.Stats()
	require.GreaterOrEqual(t, all.OpenTables, 26)
	require.Zero(t, all.TablesEvicted)
	require.NoError(t, m.s.Close())

	var err error
	m.s, err = Open("/db", &Options{FS: m.disk, Manual: true, TableCacheBytes: all.TableCacheBytes / 3})
	require.NoError(t, err)
	m.holds(m.s)
	few := m.s.Stats()
	require.LessOrEqual(t, few.TableCacheBytes, all.TableCacheBytes/3)
	require.Positive(t, few.TablesEvicted)
	require.Less(t, few.OpenTables, 13)
}
