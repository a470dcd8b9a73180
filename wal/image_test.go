package wal

import (
	"errors"
	"path"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// longLog makes a log whose segments are read in many steps: records of all
// lengths, one of them longer than several steps, with marks between. It stays
// open, so its end is what no mark vouches for.
func longLog(t testing.TB, fs vfs.FS, records int) (last ids.LSN) {
	t.Helper()
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4<<20))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for last < ids.LSN(records) {
		last++
		size := int(last*7919) % 30_000
		if last%100 == 50 {
			size = 3*imageStepBytes + int(last)
		}
		if last == 1 { // what the first step reads ends between the record and the mark behind it
			size = imageStepBytes - markFrameBytes - framePayload - 104
		}
		put(t, l, last, size)
		if last == 1 || last%37 == 0 {
			require.NoError(t, l.Sync(last))
		}
	}
	require.NoError(t, l.Write(last))
	require.GreaterOrEqual(t, len(l.sealed), 2, "the test needs sealed segments")
	require.Greater(t, l.cur.pos, int64(4*imageStepBytes), "the test needs a last segment of several steps")
	return last
}

func TestSegmentsAreReadInSteps(t *testing.T) {
	fs := newDir(t)
	last := longLog(t, fs, 1000)
	lsns, rec, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(last), lsns)
	require.False(t, rec.Torn)
	require.NotEmpty(t, rec.tail.frames, "the test needs records that no mark vouches for")

	var files numbers
	files.last.Store(1000)
	l, err := Start(fs, testDir, rec, last+1, quiet(&files, 4<<20))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	lsns, _, err = replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(last), lsns, "the tail was not copied as it was")
}

// What a replay reads is what there is: of a sealed segment no more than its
// successor says, and nothing twice but what is copied.
func TestReplayReadsASealedSegmentUpToItsSeal(t *testing.T) {
	const segmentBytes = 1 << 20
	mem := newDir(t)
	var files numbers
	l, err := Start(mem, testDir, nil, 1, quiet(&files, segmentBytes))
	require.NoError(t, err)
	put(t, l, 1, 100)
	require.NoError(t, l.Sync(1))
	put(t, l, 2, segmentBytes-1500) // leaves the first segment nearly empty
	require.NoError(t, l.Sync(2))
	require.NoError(t, l.Close())
	sealed := l.sealed
	require.Len(t, sealed, 1)
	require.Less(t, sealed[0].EndBytes, int64(4<<10))

	fs := &readCounter{FS: mem}
	lsns, rec, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(2), lsns)
	headers := int64(2 * headerBytes)
	behind := segmentBytes - rec.Segments[1].EndBytes + sectorBytes // is looked at twice
	require.LessOrEqual(t, fs.bytes.Load(), headers+sealed[0].EndBytes+segmentBytes+behind)
	require.Equal(t, sealed[0].EndBytes, rec.Segments[0].EndBytes)
}

// A read that fails says nothing about the bytes: it must not be told as damage.
func TestAReadThatFailsInTheMiddleIsNoDamage(t *testing.T) {
	mem := newDir(t)
	longLog(t, mem, 500)
	var reads int
	for nth := 1; ; nth++ {
		fs := faultfs.New(mem)
		fs.Inject(faultfs.Rule{Op: faultfs.OpRead, Nth: nth})
		_, _, err := replayed(fs, 1)
		if fs.Injected() == 0 {
			require.NoError(t, err)
			break
		}
		reads++
		require.ErrorIs(t, err, syscall.EIO)
		var damage *errs.CorruptError
		require.False(t, errors.As(err, &damage), "read %d: %v", nth, err)
		fs.Inject(faultfs.Rule{Op: faultfs.OpRead, Nth: nth})
		err = Verify(fs, testDir, func(Record) error { return nil }, func(ce *errs.CorruptError) {
			require.Fail(t, "a failed read is told as damage", "read %d: %v", nth, ce)
		})
		require.ErrorIs(t, err, syscall.EIO)
	}
	require.Greater(t, reads, 20, "the test needs reads in the middle of segments")
}

// A disk that lost pages gives zeros. A mark far behind them tells.
func TestZerosBeforeAFarMarkAreDamage(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 8<<20))
	require.NoError(t, err)
	for lsn := ids.LSN(1); lsn <= 8; lsn++ {
		put(t, l, lsn, 2*imageStepBytes)
	}
	require.NoError(t, l.Close())
	name := path.Join(testDir, ids.SegmentName(1))
	data, err := fs.ReadFile(name)
	require.NoError(t, err)
	end := alignSector(l.cur.synced)
	clear(data[4<<10 : end-sectorBytes]) // all but the mark that Close left
	require.NoError(t, fs.WriteFile(name, data))
	_, _, err = replayed(fs, 1)
	require.ErrorIs(t, err, errs.ErrCorrupt)
}

// readCounter counts the bytes that are asked of files.
type readCounter struct {
	vfs.FS
	bytes atomic.Int64
}

func (fs *readCounter) Open(name string) (vfs.File, error) {
	f, err := fs.FS.Open(name)
	return &countedFile{f, fs}, err
}

type countedFile struct {
	vfs.File
	fs *readCounter
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.bytes.Add(int64(len(p)))
	return f.File.ReadAt(p, off)
}
