package wal

import (
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

const testDir = "db"

// newDir makes a crashing file system with a durable, empty directory.
func newDir(t testing.TB) *crashfs.FS {
	t.Helper()
	fs := crashfs.New()
	require.NoError(t, fs.MkdirAll(testDir))
	require.NoError(t, fs.SyncDir(""))
	return fs
}

// numbers gives rising file numbers.
type numbers struct{ last atomic.Uint64 }

func (n *numbers) next() ids.FileNum { return ids.FileNum(n.last.Add(1)) }

// quiet are options without a goroutine, so that runs are repeatable.
func quiet(n *numbers, segmentBytes int64) Options {
	return Options{SegmentBytes: segmentBytes, NextFile: n.next, MarkDelay: -1, logID: 0x1122334455667788}
}

// recordPayload is what the tests log under an LSN: its size and every byte
// follow from the LSN.
func recordPayload(lsn ids.LSN, bytes int) []byte {
	p := make([]byte, max(bytes, 8))
	binary.LittleEndian.PutUint64(p, uint64(lsn))
	for i := 8; i < len(p); i++ {
		p[i] = byte(uint64(lsn)*31 + uint64(i))
	}
	return p
}

// put reserves and appends a record of the given size.
func put(t testing.TB, l *Log, lsn ids.LSN, bytes int) {
	t.Helper()
	p := recordPayload(lsn, bytes)
	require.NoError(t, l.Reserve(len(p), false))
	l.Append(lsn, KindDrop, p)
}

// replayed reads the log and checks every record's bytes.
func replayed(fs vfs.FS, from ids.LSN) (lsns []ids.LSN, rec *Recovered, err error) {
	rec, err = Replay(fs, testDir, from, func(r Record) error {
		want := recordPayload(r.LSN, len(r.Payload))
		if r.Kind != KindDrop || string(want) != string(r.Payload) {
			return errWrongRecord
		}
		lsns = append(lsns, r.LSN)
		return nil
	})
	return lsns, rec, err
}

type wrongRecord struct{}

func (wrongRecord) Error() string { return "replay handed out a record that was never appended" }

var errWrongRecord = wrongRecord{}

// upTo is 1, 2, … last.
func upTo(last ids.LSN) []ids.LSN {
	var out []ids.LSN
	for lsn := ids.LSN(1); lsn <= last; lsn++ {
		out = append(out, lsn)
	}
	return out
}
