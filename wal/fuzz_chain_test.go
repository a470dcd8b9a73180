package wal

import (
	"bytes"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// The segments that FuzzChain makes: at most five, of three sectors, each field
// of a header from one byte.
const (
	chainFields   = 8
	chainSegments = 5
	chainBytes    = 3 * sectorBytes
)

// FuzzChain: segments whose headers are whole but say anything are linked to a
// chain or refused. Per segment the bytes are: number, ordinal, log id, first LSN,
// previous segment, its end in frames, its last LSN, own records (low four bits)
// and whether a mark stands before them (the highest). Whatever replays was
// appended to one log, in rising order, and can be started behind.
func FuzzChain(f *testing.F) {
	f.Add([]byte{1, 1, 0, 1, 0, 0, 0, 2, 2, 2, 0, 3, 1, 2, 2, 3}, uint8(1))
	f.Add([]byte{1, 1, 0, 1, 0, 0, 0, 2, 2, 2, 0, 3, 1, 1, 1, 3, 3, 2, 0, 3, 1, 1, 1, 3}, uint8(1))    // a superseded segment
	f.Add([]byte{1, 1, 0, 1, 0, 0, 0, 2, 3, 3, 0, 5, 2, 2, 4, 0x83}, uint8(5))                         // one is missing
	f.Add([]byte{1, 1, 0, 1, 0, 0, 0, 2, 2, 2, 1, 3, 1, 2, 2, 3}, uint8(1))                            // another log
	f.Add([]byte{1, 2, 0, 3, 2, 2, 2, 1, 2, 1, 0, 3, 1, 2, 2, 1}, uint8(1))                            // a circle
	f.Add([]byte{1, 1, 0, 1, 0, 0, 0, 2, 2, 2, 0, 3, 1, 7, 2, 1, 3, 3, 0, 9, 2, 0, 9, 0x8f}, uint8(3)) // ends that are not there
	f.Fuzz(func(t *testing.T, script []byte, from uint8) {
		fs := crashfs.New()
		require.NoError(t, fs.MkdirAll(testDir))
		appended := map[ids.LSN][]uint64{} // the logs that have a record of this LSN
		for i := 0; i < chainSegments && len(script) >= chainFields; i++ {
			number, content := segmentOf(script[:chainFields], appended)
			require.NoError(t, fs.WriteFile(path.Join(testDir, ids.SegmentName(number)), content))
			script = script[chainFields:]
		}
		_ = Dump(&bytes.Buffer{}, fs, testDir)
		got, rec, err := replayed(fs, ids.LSN(from))
		require.Zero(t, fs.OpenFiles())
		if err != nil {
			require.ErrorIs(t, err, errs.ErrCorrupt)
			return
		}
		last := ids.LSN(0)
		for _, lsn := range got {
			require.Greater(t, lsn, last)
			require.NotEmpty(t, appended[lsn])
			last = lsn
		}
		require.GreaterOrEqual(t, rec.Last, last)
		var numbers numbers
		numbers.last.Store(1000)
		// Above every number that a header can say, as the reserved ones are.
		next := max(rec.Last, 1<<16) + 1
		l, err := Start(fs, testDir, rec, next, quiet(&numbers, 4096))
		require.NoError(t, err)
		put(t, l, next, 8)
		require.NoError(t, l.Sync(next))
		require.NoError(t, l.Close())
		again, _, err := replayed(fs, ids.LSN(from))
		require.NoError(t, err)
		require.Equal(t, append(got, next), again)
	})
}

// segmentOf makes a segment from eight bytes of a script.
func segmentOf(b []byte, appended map[ids.LSN][]uint64) (ids.FileNum, []byte) {
	const recordBytes = framePayload + 8
	h := header{
		number: ids.FileNum(b[0] % 8), ordinal: uint64(b[1] % 8), logID: 7 + uint64(b[2]%2), fileBytes: chainBytes,
		firstLSN: ids.LSN(b[3] % 32), previous: ids.FileNum(b[4] % 8), prevLSN: ids.LSN(b[6] % 32),
	}
	if h.previous != 0 || b[5] > 200 {
		h.prevEnd = headerBytes + recordBytes*int64(b[5]%32)
	}
	content := h.appendTo(nil)
	content = append(content, make([]byte, chainBytes-len(content))...)
	at, lsn := int64(headerBytes), h.firstLSN
	if b[7]&0x80 != 0 {
		putMark(content[at:], place{h.logID, h.number, at}, mark{through: headerBytes, previous: headerBytes}, h.prevLSN)
		at += markFrameBytes
	}
	for range b[7] & 0x0f {
		frame := appendFrame(nil, lsn, KindDrop, [][]byte{recordPayload(lsn, 8)})
		place{h.logID, h.number, at}.seal(frame)
		at += int64(copy(content[at:], frame))
		appended[lsn] = append(appended[lsn], h.logID)
		lsn++
	}
	return h.number, content
}
