package wal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A record that comes to stand in a wrong place has an LSN that is not too low and
// nothing else that is wrong: only its place tells that it does not follow the
// record before it. Replay must end there or fail, never go on with it.
func TestARecordCountsOnlyInItsPlace(t *testing.T) {
	const frame = 512
	at := func(n int) int { return headerBytes + markFrameBytes + n*frame } // of record n of a segment
	for _, c := range []struct {
		name string
		move func(t *testing.T, fs *crashfs.FS)
		most ids.LSN // of what may be replayed
	}{
		{"a later record of the segment stands in the place of an earlier one", func(t *testing.T, fs *crashfs.FS) {
			first := readFile(t, fs, ids.SegmentName(1))
			copy(first[at(1):], first[at(2):at(3)])
			clear(first[at(2):])
			writeFile(t, fs, ids.SegmentName(1), first)
		}, 1},
		{"a record of the next segment, which is lost, stands where its own would", func(t *testing.T, fs *crashfs.FS) {
			first, next := readFile(t, fs, ids.SegmentName(1)), readFile(t, fs, ids.SegmentName(2))
			copy(first[at(2):], next[at(2):at(3)])
			clear(first[at(3):])
			writeFile(t, fs, ids.SegmentName(1), first)
			require.NoError(t, fs.Remove(join(testDir, ids.SegmentName(2))))
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := newDir(t)
			var files numbers
			l, err := Start(mem, testDir, nil, 1, quiet(&files, 8*sectorBytes))
			require.NoError(t, err)
			for lsn := ids.LSN(1); l.Segments() < 2 || lsn < 10; lsn++ {
				put(t, l, lsn, frame-framePayload)
				require.NoError(t, l.Write(lsn))
			}
			disk := mem.AfterKill()
			lsns, _, err := replayed(disk, 1)
			require.NoError(t, err)
			require.Greater(t, len(lsns), 6)
			_ = l.Close()
			// What was written behind is gone, as if it had never been.
			for _, name := range disk.Names() {
				if kind, n := ids.ParseFileName(name[len(testDir)+1:]); kind == ids.FileSegment && n > 2 {
					require.NoError(t, disk.Remove(name))
				}
			}
			c.move(t, disk)
			if c.most == 1 {
				require.NoError(t, disk.Remove(join(testDir, ids.SegmentName(2))))
			}
			lsns, _, err = replayed(disk, 1)
			if err != nil {
				require.ErrorIs(t, err, errs.ErrCorrupt)
				return
			}
			require.Equal(t, upTo(c.most), lsns)
		})
	}
}

func readFile(t *testing.T, fs *crashfs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(join(testDir, name))
	require.NoError(t, err)
	return data
}

func writeFile(t *testing.T, fs *crashfs.FS, name string, data []byte) {
	t.Helper()
	require.NoError(t, fs.WriteFile(join(testDir, name), data))
}
