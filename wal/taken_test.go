package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// A copy that somebody made of a spare segment may stand where the log wants to
// make its next one.
func TestATakenNumberIsPassedOver(t *testing.T) {
	fs := newDir(t)
	for _, taken := range []ids.FileNum{1, 3} {
		require.NoError(t, fs.WriteFile(testDir+"/"+ids.SegmentName(taken), make([]byte, 4096)))
	}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	put(t, l, 1, 10)
	require.NoError(t, l.Sync(1))
	require.NoError(t, l.Close())
	lsns, rec, err := replayed(fs, 0)
	require.NoError(t, err)
	require.Equal(t, []ids.LSN{1}, lsns)
	require.Equal(t, ids.FileNum(2), rec.Segments[0].Number)
	require.Contains(t, rec.Leftover, ids.FileNum(1))
	require.Contains(t, rec.Leftover, ids.FileNum(3))
}
