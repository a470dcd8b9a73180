package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func startAt(t *testing.T, fs *crashfs.FS, files *numbers, next ids.LSN) *Log {
	t.Helper()
	_, rec, err := replayed(fs, 0)
	require.NoError(t, err)
	l, err := Start(fs, testDir, rec, next, quiet(files, 4096))
	require.NoError(t, err)
	return l
}

func TestStartIsDurableWhenItReturns(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 5, quiet(&files, 4096))
	require.NoError(t, err)
	_, rec, err := replayed(fs.PowerLossStrict(), 1)
	require.NoError(t, err)
	require.Len(t, rec.Segments, 1)
	require.EqualValues(t, 5, rec.Segments[0].FirstLSN)
	require.Zero(t, rec.Last)
	require.EqualValues(t, 4, l.Durable())
	require.EqualValues(t, 5, l.FirstLSN())
	require.NoError(t, l.Close())
}

func TestLSNsMayJumpFromOneLifeToTheNext(t *testing.T) {
	fs := newDir(t)
	var files numbers
	want := []ids.LSN{}
	next := ids.LSN(1)
	for range 4 {
		l := startAt(t, fs, &files, next)
		for range 6 {
			put(t, l, next, 900)
			require.NoError(t, l.Sync(next))
			want = append(want, next)
			next += 1 + ids.LSN(len(want)%3)
		}
		next += 1000
		require.NoError(t, l.Close())
		l = startAt(t, fs, &files, next) // a life without records
		require.NoError(t, l.Reserve(6000, false))
		require.NoError(t, l.Close())
		next += 10
	}
	l := startAt(t, fs, &files, next)
	put(t, l, next, 6000) // ends a segment that has no record
	want = append(want, next)
	require.NoError(t, l.Sync(next))
	require.NoError(t, l.Close())
	lsns, rec, err := replayed(fs, 0)
	require.NoError(t, err)
	require.Equal(t, want, lsns)
	_, err = Start(fs, testDir, rec, rec.Last, quiet(&files, 4096))
	require.Error(t, err, "an LSN that the log holds is never given out again")
	for _, lo := range want { // wherever it is trimmed, the rest is still there
		image := fs.PowerLossAll()
		l := startAt(t, image, &files, next+1)
		_, err := l.Trim(lo)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		lsns, _, err := replayed(image, lo)
		require.NoError(t, err)
		require.Subset(t, lsns, want[slices.Index(want, lo):])
	}
}

// What lies behind a seal is never read again: neither a record that a second
// process wrote there late, nor one whose sectors appear only later.
func TestNothingBehindASealIsRead(t *testing.T) {
	fs := newDir(t)
	var files numbers
	late, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	put(t, late, 1, 100)
	require.NoError(t, late.Sync(1))
	l := startAt(t, fs, &files, 2)
	put(t, late, 2, 50) // still in the old segment, with an LSN of its own
	require.NoError(t, late.Sync(2))
	put(t, l, 2, 100)
	require.NoError(t, l.Sync(2))
	require.NoError(t, l.Close())
	sizes := []int{}
	_, err = Replay(fs, testDir, 0, func(r Record) error { sizes = append(sizes, len(r.Payload)); return nil })
	require.NoError(t, err)
	require.Equal(t, []int{100, 100}, sizes)
}

func TestASegmentWithoutADurableHeaderIsSuperseded(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	put(t, l, 1, 100)
	require.NoError(t, l.Close())
	startAt(t, fs, &files, 2) // killed before it writes anything
	second := startAt(t, fs, &files, 2)
	require.EqualValues(t, 2, second.cur.header.ordinal)
	put(t, second, 2, 100)
	require.NoError(t, second.Close())
	lsns, rec, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(2), lsns)
	require.Len(t, rec.Segments, 2)
	require.Contains(t, rec.Leftover, ids.FileNum(3), "the superseded segment")
}

// What Start copies into the fresh segment is durable when it returns, and a mark
// says so: rot in it is damage, also if the process is killed before it does
// anything else.
func TestRotInACopiedTailIsDamage(t *testing.T) {
	for _, marked := range []bool{false, true} {
		name := "the old segment has no mark at all"
		if marked {
			name = "a mark vouches for the start of the old segment"
		}
		t.Run(name, func(t *testing.T) {
			fs := newDir(t)
			var files numbers
			old := startAt(t, fs, &files, 1)
			if marked {
				put(t, old, 1, 100)
				require.NoError(t, old.Sync(1))
				require.True(t, old.markIdle())
			}
			first := old.appended + 1
			for lsn := first; lsn < first+3; lsn++ {
				put(t, old, lsn, 100)
			}
			require.NoError(t, old.Write(first+2)) // and killed: no fsync, no mark
			l := startAt(t, fs, &files, first+3)
			killed := fs.AfterKill()
			lsns, rec, err := replayed(killed, 0)
			require.NoError(t, err)
			require.Equal(t, upTo(first+2), lsns)
			fresh := rec.Segments[len(rec.Segments)-1]
			require.Equal(t, first, fresh.FirstLSN, "the tail was copied")
			segment := path.Join(testDir, ids.SegmentName(fresh.Number))
			require.Greater(t, l.cur.synced, int64(headerBytes+300))
			for _, image := range []*crashfs.FS{killed, fs.PowerLossAll()} {
				data, err := image.ReadFile(segment)
				require.NoError(t, err)
				for at := int64(headerBytes); at < l.cur.synced; at++ {
					bad := slices.Clone(data)
					bad[at] ^= 4
					require.NoError(t, image.WriteFile(segment, bad))
					_, _, err := replayed(image, 0)
					require.ErrorIs(t, err, errs.ErrCorrupt, "byte %d", at)
				}
			}
		})
	}
}

func TestAPowerLossMayUndoAnyRemoval(t *testing.T) {
	build := func() (*crashfs.FS, *Log, ids.LSN) {
		fs := newDir(t)
		var files numbers
		l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
		require.NoError(t, err)
		lsn := ids.LSN(0)
		for len(l.sealed) < 5 {
			lsn++
			put(t, l, lsn, 700)
			require.NoError(t, l.Sync(lsn))
		}
		return fs, l, lsn
	}
	_, l, _ := build()
	segments := len(l.sealed)
	for undone := range 1 << segments {
		fs, l, _ := build()
		kept := map[string][]byte{}
		for i, s := range l.sealed {
			if undone&(1<<i) != 0 {
				name := path.Join(testDir, ids.SegmentName(s.Number))
				data, err := fs.ReadFile(name)
				require.NoError(t, err)
				kept[name] = data
			}
		}
		lo := l.sealed[segments-1].LastLSN + 1
		removed, err := l.Trim(lo)
		require.NoError(t, err)
		require.Len(t, removed, segments)
		require.Equal(t, lo, l.FirstLSN())
		for name, data := range kept {
			require.NoError(t, fs.WriteFile(name, data))
		}
		lsns, rec, err := replayed(fs, lo)
		require.NoError(t, err, "undone %b", undone)
		require.Contains(t, lsns, lo)
		for i := range lsns[1:] {
			require.Equal(t, lsns[i]+1, lsns[i+1])
		}
		require.Len(t, rec.Leftover, len(kept)-(len(rec.Segments)-1)+1, "and the spare")
	}
}

func TestTrimKeepsWhatReplayNeeds(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	for lsn := ids.LSN(1); lsn <= 40; lsn++ {
		put(t, l, lsn, 700)
	}
	require.NoError(t, l.Sync(40))
	before := l.Bytes()
	for lo := ids.LSN(1); lo <= 41; lo++ {
		_, err := l.Trim(lo)
		require.NoError(t, err)
		lsns, _, err := replayed(fs, lo)
		require.NoError(t, err)
		if lo <= 40 {
			require.LessOrEqual(t, lsns[0], lo)
		}
		require.LessOrEqual(t, l.FirstLSN(), lo)
		if len(l.sealed) > 0 {
			require.GreaterOrEqual(t, l.sealed[0].LastLSN, lo, "trimming stops no earlier than it must")
		}
	}
	require.Less(t, l.Bytes(), before/2)
	require.Empty(t, l.sealed)
	require.NoError(t, l.Close())
}

func TestReplayErrors(t *testing.T) {
	fs, from, _ := aLog(t, true)
	_, rec, err := replayed(fs, from)
	require.NoError(t, err)
	stop := errors.New("stop")
	calls := 0
	_, err = Replay(fs, testDir, from, func(r Record) error { calls++; return stop })
	require.ErrorIs(t, err, stop)
	require.Equal(t, 1, calls)

	corrupt := (*errs.CorruptError)(nil)
	_, err = Replay(fs, testDir, from, func(r Record) error { _, err := DecodeBatch(r.Payload); return err })
	require.ErrorAs(t, err, &corrupt, "a payload that does not decode is damage with a place")
	require.Equal(t, ids.SegmentName(rec.Segments[0].Number), corrupt.File)
	require.EqualValues(t, headerBytes+markFrameBytes, corrupt.Offset)

	name := path.Join(testDir, ids.SegmentName(rec.Segments[2].Number))
	data, err := fs.ReadFile(name)
	require.NoError(t, err)
	for version, want := range map[uint32]error{formatVersion + 1: errs.ErrNewerFormat, formatVersion - 1: errs.ErrOldFormat} {
		binary.LittleEndian.PutUint32(data[headerVersion:], version)
		binary.LittleEndian.PutUint64(data[headerSum:], xxhash.Sum64(data[:headerSum]))
		require.NoError(t, fs.WriteFile(name, data))
		_, _, err = replayed(fs, from)
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, name[len(testDir)+1:])
		require.ErrorContains(t, err, fmt.Sprintf("format %d, this program knows %d", version, formatVersion))
		require.NotErrorIs(t, err, errs.ErrCorrupt)
		require.Equal(t, err.Error(), Dump(io.Discard, fs, testDir).Error())
	}
}

func TestReplayChangesNothing(t *testing.T) {
	fs, from, _ := aLog(t, false)
	mutations := fs.Mutations()
	_, _, err := replayed(fs, from)
	require.NoError(t, err)
	require.Equal(t, mutations, fs.Mutations())
}
