package wal

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// aheadWrites are the writes of a log to its first segment.
type aheadWrites struct {
	frames, zeros       int
	inZeros             int   // frames that went where zeros had been written
	end, zeroed, filled int64 // of the frames; of the zeros; how many zeros
}

// watchAhead starts a log and notes what it writes. Zeros must begin where the frames
// end.
func watchAhead(t *testing.T, inner vfs.FS) (*Log, *aheadWrites) {
	t.Helper()
	w := &aheadWrites{}
	var files numbers
	fs := &hookFS{FS: inner, onWrite: func(name string, offset int64, data []byte) error {
		if name != path.Join(testDir, ids.SegmentName(1)) || offset == 0 {
			return nil
		}
		end := offset + int64(len(data))
		if allZero(data) {
			require.Equal(t, w.end, offset)
			require.LessOrEqual(t, end, int64(16<<20))
			w.zeros++
			w.filled += int64(len(data))
			w.zeroed = end
			return nil
		}
		w.frames++
		if end <= w.zeroed {
			w.inZeros++
		}
		w.end = end
		return nil
	}}
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 16<<20))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, w
}

func TestSmallSyncedGroupsGoWhereZerosWereWritten(t *testing.T) {
	const groups = 2000
	fs := newDir(t)
	l, w := watchAhead(t, fs)
	for lsn := ids.LSN(1); lsn <= groups; lsn++ {
		put(t, l, lsn, 700)
		require.NoError(t, l.Sync(lsn))
	}
	require.Equal(t, groups, w.frames)
	require.Greater(t, w.inZeros, groups*97/100)
	require.LessOrEqual(t, w.filled, w.end+aheadBytes, "more zeros than log")
	require.LessOrEqual(t, int64(w.zeros), w.end/aheadBytes*10/9+8, "doubling up to a stretch, and then one a stretch")
	lsns, rec, err := replayed(fs.AfterKill(), 1)
	require.NoError(t, err)
	require.Equal(t, upTo(groups), lsns)
	require.False(t, rec.Torn)
}

func TestNoZerosAreWrittenAheadOfLargeOrUnsyncedGroups(t *testing.T) {
	for name, write := range map[string]func(l *Log, lsn ids.LSN) error{
		"unsynced": func(l *Log, lsn ids.LSN) error { return l.Write(lsn) },
		"synced now and then": func(l *Log, lsn ids.LSN) error {
			if lsn%200 != 0 {
				return l.Write(lsn)
			}
			return l.Sync(lsn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, w := watchAhead(t, newDir(t))
			for lsn := ids.LSN(1); lsn <= 2000; lsn++ {
				put(t, l, lsn, 700)
				require.NoError(t, write(l, lsn))
			}
			require.NoError(t, l.Sync(2000))
			require.Equal(t, 2000, w.frames)
			require.Zero(t, w.zeros)
		})
	}
}

// Segments end before a whole stretch would.
func TestZerosEndWithTheSegment(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 6<<10))
	require.NoError(t, err)
	for lsn := ids.LSN(1); lsn <= 40; lsn++ {
		put(t, l, lsn, 700)
		require.NoError(t, l.Sync(lsn))
	}
	require.NotEmpty(t, l.sealed)
	require.NoError(t, l.Close())
	lsns, _, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(40), lsns)
}
