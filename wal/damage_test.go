package wal

import (
	"encoding/binary"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// aLog makes a log of a few segments with records of many sizes, a trimmed
// start and a large record. closed: with the mark that Close leaves; else the
// last group was synced and no mark vouches for it yet.
func aLog(t *testing.T, closed bool) (fs *crashfs.FS, from, last ids.LSN) {
	fs = newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	lsn := ids.LSN(0)
	for i := range 24 {
		for range 1 + i%3 {
			lsn++
			size := 8 + i*23
			if i == 17 {
				size = 4200
			}
			put(t, l, lsn, size)
		}
		if i%5 != 4 {
			require.NoError(t, l.Sync(lsn))
		}
	}
	require.NoError(t, l.Sync(lsn))
	from = l.sealed[1].LastLSN + 1
	_, err = l.Trim(from)
	require.NoError(t, err)
	if closed {
		require.NoError(t, l.Close())
	} else {
		for _, s := range l.room.spares {
			s.discard(fs, testDir)
		}
		require.NoError(t, l.cur.file.Close())
	}
	return fs, from, lsn
}

// checkDamaged replays a damaged log. Nothing that a mark vouches for may be
// missing without an error, and an error names a file.
func checkDamaged(t *testing.T, fs *crashfs.FS, from, proven, last ids.LSN, what string, args ...any) (harmless bool) {
	lsns, rec, err := replayed(fs, from)
	if err != nil {
		corrupt := (*errs.CorruptError)(nil)
		if !errors.Is(err, errs.ErrNewerFormat) && !errors.Is(err, errs.ErrOldFormat) {
			require.ErrorAs(t, err, &corrupt, "%s %v", what, args)
			require.True(t, strings.HasSuffix(corrupt.File, ".wal"), corrupt.File)
		}
		return false
	}
	if rec.Last < proven || rec.Last > last || lsns[0] > from {
		require.Fail(t, "silent loss", "%s %v: records %d to %d of %d to %d, proven to %d", what, args, lsns[0], rec.Last, from, last, proven)
	}
	for i := range lsns {
		if i > 0 && lsns[i] != lsns[i-1]+1 {
			require.Fail(t, "silent gap", "%s %v", what, args)
		}
	}
	return rec.Last == last
}

func TestNoDamagedByteLosesAMarkedRecord(t *testing.T) {
	for _, closed := range []bool{true, false} {
		name := "after close"
		if !closed {
			name = "before the last mark"
		}
		t.Run(name, func(t *testing.T) {
			fs, from, last := aLog(t, closed)
			lsns, rec, err := replayed(fs, from)
			require.NoError(t, err)
			require.Equal(t, last, lsns[len(lsns)-1])
			require.Greater(t, len(rec.Segments), 3)
			proven := rec.tail.provenLSN
			require.Equal(t, closed, proven == last)
			found, harmless := 0, 0
			for _, s := range rec.Segments {
				name := path.Join(testDir, ids.SegmentName(s.Number))
				data, err := fs.ReadFile(name)
				require.NoError(t, err)
				for at := range s.EndBytes + 64 {
					if !closed && at%5 != 0 {
						continue
					}
					bad := slices.Clone(data)
					bad[at] ^= 1 << (at / 5 % 8)
					require.NoError(t, fs.WriteFile(name, bad))
					if checkDamaged(t, fs, from, proven, last, "a bit of byte %d of %s", at, name) {
						harmless++
					} else {
						found++
					}
				}
				for at := int64(0); at < s.EndBytes; at += sectorBytes {
					for _, fill := range []byte{0, 0xa5} {
						bad := slices.Clone(data)
						for i := at; i < at+sectorBytes; i++ {
							bad[i] = fill
						}
						require.NoError(t, fs.WriteFile(name, bad))
						checkDamaged(t, fs, from, proven, last, "sector at %d of %s filled with %x", at, name, fill)
					}
				}
				require.NoError(t, fs.WriteFile(name, data))
			}
			t.Logf("%d flips found, %d harmless", found, harmless)
			require.Less(t, harmless*20, found, "hardly a byte of a log is free to change")
		})
	}
}

func TestNoTruncationIsSilent(t *testing.T) {
	fs, from, last := aLog(t, true)
	_, rec, err := replayed(fs, from)
	require.NoError(t, err)
	for i, s := range rec.Segments {
		name := path.Join(testDir, ids.SegmentName(s.Number))
		data, err := fs.ReadFile(name)
		require.NoError(t, err)
		for length := range len(data) {
			if isLast := i == len(rec.Segments)-1; isLast && length < headerBytes || !isLast && length%9 != 0 {
				continue // without its header, the last segment is a spare that a crash cut short
			}
			require.NoError(t, fs.WriteFile(name, data[:length]))
			require.False(t, checkDamaged(t, fs, from, last, last, "%s cut to %d", name, length))
		}
		require.NoError(t, fs.WriteFile(name, append(slices.Clone(data), 0)))
		require.False(t, checkDamaged(t, fs, from, last, last, "%s is longer", name))
		require.NoError(t, fs.WriteFile(name, data))
	}
}

func TestMovedCopiedAndMissingSegmentsAreFound(t *testing.T) {
	fs, from, last := aLog(t, true)
	_, rec, err := replayed(fs, from)
	require.NoError(t, err)
	files := map[ids.FileNum][]byte{}
	name := func(n ids.FileNum) string { return path.Join(testDir, ids.SegmentName(n)) }
	for _, s := range rec.Segments {
		files[s.Number], err = fs.ReadFile(name(s.Number))
		require.NoError(t, err)
	}
	for _, a := range rec.Segments {
		for _, b := range rec.Segments {
			if a.Number != b.Number {
				require.NoError(t, fs.WriteFile(name(a.Number), files[b.Number]))
				require.False(t, checkDamaged(t, fs, from, last, last, "%d in the place of %d", b.Number, a.Number))
				require.NoError(t, fs.WriteFile(name(b.Number), files[a.Number]))
				require.False(t, checkDamaged(t, fs, from, last, last, "%d and %d swapped", b.Number, a.Number))
				require.NoError(t, fs.WriteFile(name(b.Number), files[b.Number]))
			}
		}
		require.NoError(t, fs.WriteFile(name(a.Number), files[a.Number]))
	}
	for i, s := range rec.Segments[:len(rec.Segments)-1] {
		image := fs.PowerLossAll()
		require.NoError(t, image.Remove(name(s.Number)))
		_, _, err := replayed(image, from)
		require.ErrorIs(t, err, errs.ErrCorrupt, "segment %d of %d is missing", i, len(rec.Segments))
		require.ErrorContains(t, err, ids.SegmentName(s.Number))
	}
	t.Run("every segment is missing", func(t *testing.T) {
		image := newDir(t)
		_, _, err := replayed(image, from)
		require.ErrorIs(t, err, errs.ErrCorrupt)
		_, rec, err := replayed(image, 1)
		require.NoError(t, err, "a new store has none")
		require.Zero(t, rec.Last)
	})
	t.Run("a segment of another log with the same number and size", func(t *testing.T) {
		other := newDir(t)
		var numbers numbers
		opts := quiet(&numbers, 4096)
		opts.logID++
		l, err := Start(other, testDir, nil, 1, opts)
		require.NoError(t, err)
		for lsn := ids.LSN(1); len(l.sealed) < int(rec.Segments[1].Number); lsn++ {
			put(t, l, lsn, 700)
			require.NoError(t, l.Sync(lsn))
		}
		require.NoError(t, l.Close())
		foreign, err := other.ReadFile(name(rec.Segments[1].Number))
		require.NoError(t, err)
		require.NoError(t, fs.WriteFile(name(rec.Segments[1].Number), foreign))
		require.False(t, checkDamaged(t, fs, from, last, last, "foreign segment"))
	})
}

// Headers and marks that pass their checksums are still checked against what
// they speak of.
func TestChecksummedNonsenseIsFound(t *testing.T) {
	header := func(at int, add byte) func([]byte) {
		return func(data []byte) {
			data[at] += add
			binary.LittleEndian.PutUint64(data[headerSum:], xxhash.Sum64(data[:headerSum]))
		}
	}
	firstMark := func(change func(frame []byte)) func([]byte) {
		return func(data []byte) {
			frame := data[headerBytes : headerBytes+markFrameBytes]
			change(frame)
			place{logID: 0x1122334455667788, number: ids.FileNum(data[headerNumber]), offset: headerBytes}.seal(frame)
		}
	}
	for _, c := range []struct {
		name   string
		change func(data []byte)
	}{
		{"a seal with another LSN", header(headerPrevLSN, 0xff)},
		{"a seal in the middle of a frame", header(headerPrevEnd, 0xf8)},
		{"a seal before the last frame", header(headerPrevEnd+1, 0xff)},
		{"a seal behind the last frame", header(headerPrevEnd, 8)},
		{"a first LSN that does not follow", header(headerFirstLSN, 0xff)},
		{"a first LSN above the first record's", header(headerFirstLSN, 1)},
		{"another ordinal", header(headerOrdinal, 1)},
		{"the ordinal of the segment before", header(headerOrdinal, 0xff)},
		{"ordinal zero", func(data []byte) { header(headerOrdinal, -data[headerOrdinal])(data) }},
		{"no segment before", func(data []byte) { header(headerPrevious, -data[headerPrevious])(data) }},
		{"another log's id", header(headerLogID, 1)},
		{"another number", header(headerNumber, 1)},
		{"another file length", header(headerFileBytes+1, 2)},
		{"version zero", header(headerVersion, 0x100-formatVersion)},
		{"a mark with an LSN that is too high", firstMark(func(f []byte) { f[frameLSN]++ })},
		{"a mark with an LSN that is too low", firstMark(func(f []byte) { f[frameLSN]-- })},
		{"a mark that claims what comes later", firstMark(func(f []byte) { f[framePayload+markThrough+1]++ })},
		{"a mark that follows nothing", firstMark(func(f []byte) { f[framePayload+markThrough+1]--; f[framePayload+markPrevious+1]-- })},
		{"a mark without magic", firstMark(func(f []byte) { f[framePayload]++ })},
		{"a frame of an unknown kind", firstMark(func(f []byte) { f[frameKind] = 77 })},
		{"a frame with a reserved byte set", firstMark(func(f []byte) { f[frameReserved+1] = 1 })},
		{"a record with an LSN that falls", firstMark(func(f []byte) { f[frameKind] = byte(KindDrop) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs, from, _ := aLog(t, true)
			_, rec, err := replayed(fs, from)
			require.NoError(t, err)
			for _, s := range rec.Segments[1:] {
				name := path.Join(testDir, ids.SegmentName(s.Number))
				good, err := fs.ReadFile(name)
				require.NoError(t, err)
				bad := slices.Clone(good)
				c.change(bad)
				require.NoError(t, fs.WriteFile(name, bad))
				_, _, err = replayed(fs, from)
				require.ErrorIs(t, err, errs.ErrCorrupt, "segment %d", s.Number)
				require.NoError(t, fs.WriteFile(name, good))
			}
		})
	}
}

// A frame in the middle of a torn group may begin a sector, valid in itself.
// What precedes it is lost, so it must not be accepted: the gap before it is
// not one that the log left.
func TestNoRecordIsAcceptedBehindALostSector(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	put(t, l, 1, sectorBytes-markFrameBytes-framePayload-96)
	require.NoError(t, l.Write(1)) // ends 96 bytes before a sector
	put(t, l, 2, 96-framePayload)
	put(t, l, 3, 300)
	require.NoError(t, l.Write(3))
	data, err := fs.ReadFile(path.Join(testDir, ids.SegmentName(1)))
	require.NoError(t, err)
	f, err := decodeFrame(place{logID: l.id, number: 1, offset: 2 * sectorBytes}, data[2*sectorBytes:])
	require.NoError(t, err)
	require.EqualValues(t, 3, f.lsn, "the test needs record 3 to begin a sector")
	clear(data[2*sectorBytes-96 : 2*sectorBytes])
	require.NoError(t, fs.WriteFile(path.Join(testDir, ids.SegmentName(1)), data))
	lsns, rec, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(1), lsns)
	require.True(t, rec.Torn)
}

// A client may write values that look like sync marks. Behind a torn record
// they must not turn an ordinary crash into a store that does not open.
func TestAValueThatLooksLikeAMarkIsNoEvidence(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	forged := make([]byte, 4*sectorBytes-framePayload-markFrameBytes)
	for at := int64(2 * sectorBytes); at < 4*sectorBytes; at += sectorBytes {
		// All that a client can know: not the log's id.
		putMark(forged[at-headerBytes-markFrameBytes-framePayload:], place{number: 1, offset: at}, mark{through: at, previous: at}, 1)
	}
	require.NoError(t, l.Reserve(len(forged), false))
	l.Append(1, KindDrop, forged)
	require.NoError(t, l.Write(1))
	name := path.Join(testDir, ids.SegmentName(1))
	data, err := fs.ReadFile(name)
	require.NoError(t, err)
	f, err := decodeFrame(place{number: 1, offset: 2 * sectorBytes}, data[2*sectorBytes:])
	require.NoError(t, err)
	require.Equal(t, kindMark, f.kind, "the test needs a forged mark that begins a sector")
	data[headerBytes+markFrameBytes+3] ^= 1 // torn
	require.NoError(t, fs.WriteFile(name, data))
	lsns, rec, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Empty(t, lsns)
	require.True(t, rec.Torn)
}
