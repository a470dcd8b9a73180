package sstable

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// A block that decodes can be walked and searched, and its keys rise.
func FuzzBlock(f *testing.F) {
	for _, table := range goldenTables() {
		var b blockBuilder
		for _, row := range table.rows {
			b.add(row.Key, row.Kind, row.Value, MaxBlockBytes)
		}
		f.Add(b.finish(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBlock(data)
		if err != nil {
			return
		}
		var key, last []byte
		var again blockBuilder
		for i := range b.rows {
			key = b.appendKey(key[:0], i)
			require.True(t, i == 0 || bytes.Compare(last, key) < 0)
			row, equal := b.seekGE(key)
			require.True(t, equal)
			require.Equal(t, i, row)
			row, equal = b.seekGE(append(slices.Clone(key), 0))
			if i+1 == b.rows {
				require.False(t, equal)
			}
			require.Equal(t, i+1, row)
			again.add(key, b.kind(i), b.value(i), 1<<30)
			key, last = last, key
		}
		// But for a prefix cut short, the form is the only one.
		whole := again.prefixBytes == len(b.prefix())
		made := again.finish(nil)
		if whole {
			require.Equal(t, data, made)
		}
	})
}

// An index that decodes leads every separator to its block.
func FuzzIndex(f *testing.F) {
	for _, table := range goldenTables() {
		content, m := buildTable(f, table.rows, 0, WriterOptions{BlockBytes: table.blockBytes})
		r := mustOpen(f, content, &m, 1)
		f.Add(r.index.separators, r.properties.DataBytes, m.Rows, m.Largest)
	}
	f.Fuzz(func(t *testing.T, payload []byte, dataBytes, rows uint64, largest []byte) {
		x, err := decodeIndex(payload, dataBytes, rows, largest)
		if err != nil {
			return
		}
		var sum uint64
		for i := range x.entries {
			separator := x.appendSeparator(nil, i)
			require.Equal(t, i, x.seekGE(separator))
			require.Equal(t, i+1, x.seekGE(append(separator, 0)))
			require.Zero(t, x.compareSeparator(i, separator))
			require.Equal(t, sum, x.entries[i].ordinal)
			require.Equal(t, i, x.seekOrdinal(sum))
			sum += x.rowsOf(i, rows)
			require.Equal(t, i, x.seekOrdinal(sum-1))
		}
		require.Equal(t, rows, sum)
	})
}

// A filter that decodes can be asked anything.
func FuzzFilter(f *testing.F) {
	for _, table := range goldenTables() {
		content, m := buildTable(f, table.rows, 0, WriterOptions{})
		r := mustOpen(f, content, &m, 1)
		f.Add(r.filter.appendTo(nil), uint64(1))
	}
	f.Add((&filter{}).appendTo(nil), uint64(1))
	f.Fuzz(func(t *testing.T, payload []byte, hash uint64) {
		decoded, err := decodeFilter(payload)
		if err != nil {
			return
		}
		for range 100 {
			decoded.mayContain(hash)
			hash = hash*0x9e3779b97f4a7c15 + 1
		}
		decoded.mayContain(0)
		decoded.mayContain(^uint64(0))
		require.Equal(t, payload, decoded.appendTo(nil), "the form is the only one")
	})
}

// A footer that decodes leaves no byte of its table unexplained.
func FuzzFooter(f *testing.F) {
	for _, table := range goldenTables() {
		content, m := buildTable(f, table.rows, 0, WriterOptions{BlockBytes: table.blockBytes})
		f.Add(content[len(content)-footerBytes:], m.Length, false)
		f.Add(content[len(content)-footerBytes:], m.Length, true)
	}
	f.Fuzz(func(t *testing.T, buf []byte, tableBytes uint64, seal bool) {
		if tableBytes < footerBytes {
			return // the reader has seen to this
		}
		if seal && len(buf) == footerBytes {
			buf = sealFooter(buf, tableBytes)
		}
		foot, err := decodeFooter(buf, tableBytes)
		if err != nil {
			return
		}
		require.Equal(t, tableBytes, foot.dataBytes+foot.filterBytes+foot.indexBytes+foot.propertiesBytes+footerBytes)
		require.Equal(t, buf, foot.appendTo(nil), "the form is the only one")
	})
}

func FuzzProperties(f *testing.F) {
	for _, table := range goldenTables() {
		content, m := buildTable(f, table.rows, 0, WriterOptions{BlockBytes: table.blockBytes})
		r := mustOpen(f, content, &m, 1)
		f.Add(r.properties.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := decodeProperties(payload)
		if err != nil {
			return
		}
		require.Equal(t, payload, p.appendTo(nil), "the form is the only one")
	})
}

// A whole table with some bytes overwritten gives right answers or corruption.
// If the checksums are made right again it may answer anything, but must neither
// panic nor hang nor go against the order of keys.
func FuzzTable(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "v1.sst"))
	require.NoError(f, err)
	f.Add(uint16(0), uint32(3), []byte{1}, false)
	f.Add(uint16(2), uint32(100), golden[200:230], false)
	f.Add(uint16(2), uint32(20), []byte{0xff, 0xff, 0xff, 0x7f}, true)
	f.Add(uint16(3), uint32(0), []byte{9}, true)
	tables := goldenTables()
	f.Fuzz(func(t *testing.T, which uint16, at uint32, overwrite []byte, seal bool) {
		table := tables[int(which)%len(tables)]
		content, m := buildTable(t, table.rows, 0, WriterOptions{BlockBytes: table.blockBytes})
		changed := slices.Clone(content)
		copy(changed[int(at)%len(changed):], overwrite)
		if !seal {
			err := openAndRead(changed, &m, table.rows)
			if !bytes.Equal(content, changed) {
				require.ErrorIs(t, err, errs.ErrCorrupt)
			} else {
				require.NoError(t, err)
			}
			return
		}
		p := mustOpen(t, content, &m, 1).properties
		sealAll(t, changed, content, &m, &p)
		r, err := openBytes(changed, &m, 1)
		if err != nil {
			return
		}
		_ = r.Verify()
		for _, row := range table.rows {
			_, _, _, _ = r.Get(nil, row.Key, nil)
		}
		it, rows := r.NewIter(nil), uint64(0)
		var last []byte
		for ok := it.First(); ok; ok = it.Next() {
			require.True(t, rows == 0 || bytes.Compare(last, it.Key()) < 0)
			require.Equal(t, rows, it.Ordinal())
			last = append(last[:0], it.Key()...)
			rows++
		}
		require.True(t, it.Error() != nil || rows == m.Rows)
	})
}

// sealFooter gives a copy of a footer whose checksum is right.
func sealFooter(buf []byte, tableBytes uint64) []byte {
	buf = slices.Clone(buf)
	id := ids.TableID(binary.LittleEndian.Uint64(buf))
	sum := partChecksum(id, tableBytes-footerBytes, buf[:footerChecksumAt])
	binary.LittleEndian.PutUint64(buf[footerChecksumAt:], sum)
	return buf
}

// sealAll gives every part of changed a right checksum, the parts lying where
// they lie in original.
func sealAll(t *testing.T, changed, original []byte, m *Meta, p *Properties) {
	seal := func(at, n uint64) {
		body := slices.Clone(changed[at : at+n-partTrailerBytes])
		c := codec(changed[at+n-partTrailerBytes])
		copy(changed[at:], sealPart(body, m.ID, at, c))
	}
	r := mustOpen(t, original, m, 1)
	for _, e := range r.index.entries {
		seal(e.offset, uint64(e.storedBytes))
	}
	at := p.DataBytes
	for _, n := range []uint64{p.FilterBytes, p.IndexBytes, p.PropertiesBytes} {
		seal(at, n)
		at += n
	}
	copy(changed[at:], sealFooter(changed[at:], m.Length))
}
