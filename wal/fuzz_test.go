package wal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// FuzzRecord: hostile payloads of every kind give an error or a value that
// encodes to the same bytes.
func FuzzRecord(f *testing.F) {
	for _, c := range codecs() {
		f.Add(uint8(c.kind), c.encoded)
		f.Add(uint8(c.kind), c.encoded[:len(c.encoded)/2])
	}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		again, err := reencode(Kind(kind), payload)
		if err != nil {
			require.ErrorIs(t, err, ErrBadPayload)
		} else {
			require.True(t, bytes.Equal(payload, again), "%v: %x became %x", Kind(kind), payload, again)
		}
		_, _ = summary(Kind(kind), payload)
	})
}

func reencode(kind Kind, payload []byte) ([]byte, error) {
	switch kind {
	case KindBatch:
		v, err := DecodeBatch(payload)
		return AppendBatch(nil, v), err
	case KindFork:
		return encoded(DecodeFork(payload))
	case KindSnapshot:
		return encoded(DecodeSnapshot(payload))
	case KindDrop:
		return encoded(DecodeDrop(payload))
	case KindDropSnapshot:
		return encoded(DecodeDropSnapshot(payload))
	case KindRename:
		return encoded(DecodeRename(payload))
	case KindRenameSnapshot:
		return encoded(DecodeRenameSnapshot(payload))
	case KindReset:
		return encoded(DecodeReset(payload))
	case KindFreeze:
		return encoded(DecodeFreeze(payload))
	case KindForkMany:
		return encoded(DecodeForkMany(payload))
	case KindDropMany:
		return encoded(DecodeDropMany(payload))
	case KindNodeImage:
		return encoded(DecodeNodeImage(payload))
	}
	return nil, ErrBadPayload
}

func encoded[T interface{ AppendTo([]byte) []byte }](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.AppendTo(nil), nil
}

// FuzzReplay: a log whose segment has bytes changed, or is another file
// altogether, replays to a prefix or is refused; never a panic, never a record
// that was not appended. Whatever replays can be started behind and read again.
// With fix, checksums are made right again, so that what lies behind them is
// reached.
func FuzzReplay(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.wal"))
	require.NoError(f, err)
	golden := crashfs.New()
	require.NoError(f, golden.MkdirAll(testDir))
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		require.NoError(f, golden.WriteFile(path.Join(testDir, filepath.Base(file)), data))
	}
	var want [][]byte
	_, err = Replay(golden, testDir, 1, func(r Record) error { want = append(want, slices.Clone(r.Payload)); return nil })
	require.NoError(f, err)
	f.Add(uint8(0), uint16(600), []byte{1, 2, 3}, false, uint16(0))
	f.Add(uint8(1), uint16(headerPrevEnd), []byte{0, 9}, true, uint16(0))
	f.Add(uint8(2), uint16(headerBytes+frameLength), []byte{0xff, 0xff, 0xff, 0xff}, true, uint16(3000))
	f.Add(uint8(3), uint16(headerBytes+framePayload+markThrough), []byte{0, 8}, true, uint16(0))
	f.Add(uint8(2), uint16(headerBytes+markFrameBytes+frameLSN), []byte{0, 0, 0}, true, uint16(0))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, change []byte, fix bool, cut uint16) {
		fs := golden.PowerLossAll()
		name := path.Join(testDir, filepath.Base(files[int(which)%len(files)]))
		data, err := fs.ReadFile(name)
		require.NoError(t, err)
		copy(data[min(int(at), len(data)):], change)
		if fix {
			resum(data, int64(at))
		}
		if cut > 0 {
			data = data[:int(cut)%(len(data)+1)]
		}
		require.NoError(t, fs.WriteFile(name, data))
		var got [][]byte
		rec, err := Replay(fs, testDir, 1, func(r Record) error { got = append(got, slices.Clone(r.Payload)); return nil })
		_ = Dump(&bytes.Buffer{}, fs, testDir)
		if err != nil {
			return
		}
		if !fix {
			require.LessOrEqual(t, len(got), len(want))
			require.Equal(t, want[:len(got)], got)
		}
		var numbers numbers
		numbers.last.Store(1000)
		if rec.Last > 1<<62 {
			return
		}
		l, err := Start(fs, testDir, rec, rec.Last+1, quiet(&numbers, 4096))
		require.NoError(t, err)
		require.NoError(t, l.Close())
		var again [][]byte
		_, err = Replay(fs, testDir, 1, func(r Record) error { again = append(again, slices.Clone(r.Payload)); return nil })
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

// resum makes the checksum of the header or frame at an offset right again.
func resum(data []byte, at int64) {
	if at < headerBytes {
		binary.LittleEndian.PutUint64(data[headerSum:], xxhash.Sum64(data[:headerSum]))
		return
	}
	number := ids.FileNum(data[headerNumber])
	for offset := int64(headerBytes); offset+framePayload <= int64(len(data)); offset += frameAlign {
		if offset > at {
			return
		}
		f := data[offset:]
		n := frameBytes(int(uint32(f[frameLength]) | uint32(f[frameLength+1])<<8))
		if at < offset+n && n <= int64(len(f)) && Kind(f[frameKind]).known() {
			place{logID: 0x1122334455667788, number: number, offset: offset}.seal(f[:n])
		}
	}
}
