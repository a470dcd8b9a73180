package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// segmentWithoutMarkRoom is a log whose segment is full behind a mark that does not
// claim the last record, although that is durable: the record was written beside the
// fsync of the one before, up to where a record may end at most, and the mark in
// between two fsyncs.
func segmentWithoutMarkRoom(t *testing.T, dir vfs.FS) *Log {
	fs := &hookFS{FS: dir}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	put(t, l, 1, 8)
	last := l.cur.fileBytes - markRoomBytes
	fs.onSync = func(string) error {
		fs.onSync = nil
		room := last - (alignSector(l.cur.pos) + markFrameBytes) - framePayload
		put(t, l, 2, int(room))
		return l.Write(2)
	}
	require.NoError(t, l.Sync(1))
	require.Equal(t, last, l.cur.pos)
	require.True(t, l.markIdle())
	require.NoError(t, l.Sync(2))
	require.Less(t, l.cur.claimed, l.cur.synced)
	return l
}

func TestAnIdleLogWhoseSegmentIsFullWritesNoMark(t *testing.T) {
	dir := newDir(t)
	l := segmentWithoutMarkRoom(t, dir)
	at := l.cur.pos
	require.True(t, l.markIdle(), "it need not be asked again")
	require.Equal(t, at, l.cur.pos)
	put(t, l, 3, 100) // and goes on in the next segment
	require.NoError(t, l.Sync(3))
	require.NoError(t, l.Close())
	lsns, _, err := replayed(dir.PowerLossStrict(), 1)
	require.NoError(t, err)
	require.Equal(t, upTo(3), lsns)
}

func TestALogThatEndsWithoutAMarkForWantOfRoomIsWhole(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *Log){
		"closed": func(t *testing.T, l *Log) { require.NoError(t, l.Close()) },
		"killed": func(*testing.T, *Log) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			end(t, segmentWithoutMarkRoom(t, dir))
			for _, image := range []*crashfs.FS{dir.AfterKill(), dir.PowerLossStrict(), dir.PowerLossAll()} {
				for last := ids.LSN(2); last < 5; last++ { // each open copies the tail and goes on
					lsns, rec, err := replayed(image, 1)
					require.NoError(t, err)
					require.Equal(t, upTo(last), lsns)
					require.False(t, rec.Torn)
					files := numbers{}
					files.last.Store(100 * uint64(last))
					l, err := Start(image, testDir, rec, last+1, quiet(&files, 4096))
					require.NoError(t, err)
					put(t, l, last+1, 100)
					require.NoError(t, l.Sync(last+1))
					require.NoError(t, l.Close())
					image = image.PowerLossStrict()
				}
			}
		})
	}
}
