package sstable

import (
	"bytes"
	"encoding/binary"
	"runtime/metrics"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/iterator"
)

// allocated is how many bytes this process has ever allocated. What runs beside a
// fuzz target allocates too, some 100 KiB at times: only millions mean something.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzPart: a stored block gives the payload of exactly the length that the index
// states, or is corrupt, and no more than that is allocated on the way. What
// compress makes of anything comes back.
func FuzzPart(f *testing.F) {
	raw := bytes.Repeat([]byte("compressible "), 50)
	packed := snappy.Encode(nil, raw)
	f.Add(raw, uint8(codecRaw), uint32(len(raw)))
	f.Add(packed, uint8(codecSnappy), uint32(len(raw)))
	f.Add(packed, uint8(codecSnappy), uint32(len(raw)-1))
	f.Add(packed, uint8(7), uint32(len(raw)))
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f, 0}, uint8(codecSnappy), uint32(64)) // claims 256 MiB
	f.Add(binary.AppendUvarint(nil, 1<<31), uint8(codecSnappy), uint32(64))
	m := &Meta{ID: 7, File: 1, Length: 1 << 20}
	f.Fuzz(func(t *testing.T, stored []byte, c uint8, rawBytes uint32) {
		rawBytes %= 1 << 20
		before := allocated()
		out, err := decompress(m, 0, stored, codec(c), int(rawBytes), passing)
		require.Less(t, allocated()-before, uint64(rawBytes)+4<<20, "allocated")
		if err != nil {
			require.ErrorIs(t, err, errs.ErrCorrupt)
		} else {
			require.Len(t, out, int(rawBytes))
		}

		made, chosen := compress(nil, stored)
		back, err := decompress(m, 0, made, chosen, len(stored), passing)
		require.NoError(t, err)
		require.True(t, bytes.Equal(stored, back))
		part := sealPart(made, m.ID, 3, chosen)
		opened, found, err := openPart(m, 3, part)
		require.NoError(t, err)
		require.Equal(t, chosen, found)
		require.True(t, bytes.Equal(made, opened))
		_, _, err = openPart(m, 4, part)
		require.ErrorIs(t, err, errs.ErrCorrupt, "in another place")
	})
}

// FuzzCaps: no decoder allocates much more than the bytes that it is given,
// whatever counts they state.
func FuzzCaps(f *testing.F) {
	huge := []byte{0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for decoder := range uint8(4) {
		f.Add(decoder, huge)
		f.Add(decoder, bytes.Repeat(huge, 20))
	}
	for _, table := range goldenTables() {
		content, m := buildTable(f, table.rows, 0, WriterOptions{BlockBytes: table.blockBytes})
		r := mustOpen(f, content, &m, 1)
		f.Add(uint8(0), r.index.separators)
		f.Add(uint8(1), r.filter.appendTo(nil))
		f.Add(uint8(2), r.properties.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, decoder uint8, payload []byte) {
		before := allocated()
		switch decoder % 4 {
		case 0:
			_, _ = decodeIndex(payload, 1<<40, 1<<40, nil)
		case 1:
			_, _ = decodeFilter(payload)
		case 2:
			_, _ = decodeProperties(payload)
		case 3:
			_, _ = decodeBlock(payload)
		}
		require.Less(t, allocated()-before, uint64(64*len(payload))+4<<20, "bytes allocated for %d", len(payload))
	})
}

// FuzzRows: a table of any rows, of blocks of any size, answers like a sorted
// slice. Of script, a byte says how much of the key before is kept (high four
// bits) and how many bytes follow; the next is the value's length, 255 for a
// tombstone.
func FuzzRows(f *testing.F) {
	f.Add([]byte("\x01a\x03\x11b\x00\x22cd\xff\x00\x05"), uint16(1))
	f.Add([]byte("\x08abcdefgh\x10\x81i\x20\x81j\x7f\x91\x00\x10\x91\x00\xff"), uint16(0))
	f.Add([]byte("\x08abcdefgh\x10\x08icdefghi\x10\x08kcdefghi\xff"), uint16(1)) // short separators
	f.Add(bytes.Repeat([]byte("\x03xyz\xfe\x21\xff\x01\x33\x00\x00\x00\x00"), 9), uint16(300))
	f.Fuzz(func(t *testing.T, script []byte, blockBytes uint16) {
		if len(script) > 2000 {
			return
		}
		rows := scriptedRows(script)
		if len(rows) == 0 {
			return
		}
		content, m := buildTable(t, rows, uint64(blockBytes%64), WriterOptions{BlockBytes: int(blockBytes)})
		r := mustOpen(t, content, &m, 1<<20)
		require.NoError(t, readAll(r, rows))
		require.NoError(t, r.Verify())
		it := r.NewIter(nil)
		for _, row := range rows {
			for _, key := range [][]byte{row.Key, append(bytes.Clone(row.Key), 0), row.Key[:len(row.Key)/2]} {
				at, exists := search(rows, key)
				_, _, found, err := r.Get(nil, key, nil)
				require.NoError(t, err)
				require.Equal(t, exists, found)
				require.Equal(t, at < len(rows), it.SeekGE(key))
				require.True(t, at == len(rows) || bytes.Equal(rows[at].Key, it.Key()))
				require.Equal(t, at > 0, it.SeekLT(key))
				require.True(t, at == 0 || bytes.Equal(rows[at-1].Key, it.Key()))
				if at > 0 {
					require.Equal(t, at < len(rows), it.Next(), "over the edge of a block, it may be")
				}
			}
		}
		require.NoError(t, it.Close())
	})
}

func scriptedRows(script []byte) []iterator.Row {
	var rows []iterator.Row
	var key []byte
	for len(script) >= 2 {
		kept := min(len(key), int(script[0]>>4))
		n := min(len(script)-2, int(script[0]&0x0f))
		key = append(key[:kept:kept], script[1:1+n]...)
		valueBytes := script[1+n]
		row := iterator.Row{Key: key, Kind: iterator.Tombstone}
		if valueBytes != 255 {
			row.Kind, row.Value = iterator.Set, bytes.Repeat([]byte{byte(len(script))}, 3*int(valueBytes))
			if valueBytes%2 == 0 {
				copy(row.Value, script)
			}
		}
		script = script[2+n:]
		if at, twice := search(rows, key); !twice {
			rows = append(rows[:at:at], append([]iterator.Row{row}, rows[at:]...)...)
		}
	}
	return rows
}
