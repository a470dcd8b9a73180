package wal

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

func TestTheIdleLogWritesOneMark(t *testing.T) {
	mem := newDir(t)
	marks := make(chan int64, 100)
	fs := &hookFS{FS: mem}
	fs.onWrite = func(_ string, offset int64, data []byte) error {
		if len(data) == markFrameBytes {
			marks <- offset
		}
		return nil
	}
	var files numbers
	opts := quiet(&files, 64<<10)
	opts.MarkDelay = time.Millisecond
	l, err := Start(fs, testDir, nil, 1, opts)
	require.NoError(t, err)
	<-marks // that the header is durable
	put(t, l, 1, 1000)
	require.NoError(t, l.Write(1))
	put(t, l, 2, 1000)
	require.NoError(t, l.Sync(2))
	<-marks
	// The mark is handed to the operating system; the log may note it later.
	eventually(func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.cur.claimed == l.cur.synced })
	_, rec, err := replayed(mem.AfterKill(), 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, rec.tail.provenLSN)
	require.NoError(t, l.Close())
	require.Empty(t, marks, "there was nothing more to claim")
}

func TestTheKeeperMakesSparesAhead(t *testing.T) {
	fs := newDir(t)
	var files numbers
	opts := quiet(&files, 4096)
	opts.MarkDelay = time.Hour
	l, err := Start(fs, testDir, nil, 1, opts)
	require.NoError(t, err)
	spares := func() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.room.spares) }
	for lsn := ids.LSN(1); lsn < 20; lsn++ {
		eventually(func() bool { return spares() >= keptSpares })
		made := files.last.Load()
		put(t, l, lsn, 2000)
		require.Equal(t, made, files.last.Load(), "Reserve need not make a segment")
		require.NoError(t, l.Write(lsn))
	}
	require.NoError(t, l.Close())
	require.Zero(t, fs.OpenFiles())
}

func TestCloseLeavesADurableMark(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	put(t, l, 1, 100)
	require.NoError(t, l.Close())
	_, rec, err := replayed(fs.PowerLossStrict(), 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, rec.Last)
	require.EqualValues(t, 1, rec.tail.provenLSN)
	require.False(t, rec.Torn)
	require.Empty(t, rec.tail.frames)
}

func TestTheKeeperFsyncsWhatPilesUp(t *testing.T) {
	var files numbers
	opts := quiet(&files, 8<<20)
	opts.MarkDelay = time.Hour
	l, err := Start(newDir(t), testDir, nil, 1, opts)
	require.NoError(t, err)
	put(t, l, 1, syncBehindBytes)
	require.NoError(t, l.Write(1))
	eventually(func() bool { return l.Durable() == 1 }) // nobody called Sync
	require.NoError(t, l.Close())
}
