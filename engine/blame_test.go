package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A fork reads through the tables of those that it comes from, however many nodes
// of its own lie above them, and is named with them. One that has been reset away
// is not.
func TestAnErrorNamesTheHeirsOfADamagedTable(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	main := fork(t, s, engine.MainFork)
	empty, err := main.Snapshot("empty")
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	require.NoError(t, s.Flush())
	at := main
	for _, name := range []string{"child", "grandchild"} {
		at, err = at.Fork(name)
		require.NoError(t, err)
		require.NoError(t, at.Set([]byte(name), []byte("2")))
		require.NoError(t, s.Flush())
	}
	away, err := main.Fork("away")
	require.NoError(t, err)
	require.NoError(t, away.Reset(empty))
	oldest := ""
	for name := range tableFiles(disk) {
		if oldest == "" || name < oldest {
			oldest = name
		}
	}
	require.NoError(t, s.Close())
	data, err := disk.ReadFile(oldest)
	require.NoError(t, err)
	data[20] ^= 0x40
	require.NoError(t, disk.WriteFile(oldest, data))

	s = open(t, "/db", small(disk))
	_, err = fork(t, s, "grandchild").Get([]byte("a"))
	var ce *engine.CorruptError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, []string{"child", "grandchild", engine.MainFork}, ce.Forks)
	v, err := fork(t, s, "grandchild").Get([]byte("child"))
	require.NoError(t, err, "what lies above is read")
	require.Equal(t, "2", string(v))
}
