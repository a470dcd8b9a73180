package sstable

import (
	"bytes"

	"github.com/tinedb/tine/internal/iterator"
)

// Verify reads the whole table from disk, around the cache, and checks what is
// not already checked at every opening and reading: that counts and bounds are
// those of the rows, that keys rise from block to block, that each row has the
// ordinal that the index gives it, and that the filter misses no key. It gives
// the first fault that it finds.
func (r *Reader) Verify() error {
	fresh, err := openReader(&r.meta, r.files)
	if err != nil {
		return err
	}
	var rows, tombstones, keyBytes, valueBytes, rawBytes uint64
	var key, last []byte
	for number := range fresh.index.entries {
		entry := &fresh.index.entries[number]
		b, err := fresh.readBlock(number)
		if err != nil {
			return err
		}
		if entry.ordinal != rows {
			return r.meta.corruptf(entry.offset, "block begins with row %d, the index says %d", rows, entry.ordinal)
		}
		for i := range b.rows {
			key = b.appendKey(key[:0], i)
			switch {
			case rows > 0 && bytes.Compare(last, key) >= 0:
				return r.meta.corruptf(entry.offset, "row %d: key %q does not come after %q", rows, key, last)
			case !fresh.MayContain(key):
				return r.meta.corruptf(entry.offset, "row %d: bounds or filter deny key %q", rows, key)
			case fresh.index.seekGE(key) != number:
				return r.meta.corruptf(entry.offset, "row %d: the index does not lead to key %q", rows, key)
			}
			if found, equal := b.seekGE(key); !equal || found != i {
				return r.meta.corruptf(entry.offset, "row %d: key %q is not found in its block", rows, key)
			}
			if b.kind(i) == iterator.Tombstone {
				tombstones++
			}
			rows++
			keyBytes += uint64(len(key))
			valueBytes += uint64(len(b.value(i)))
			key, last = last, key
		}
		rawBytes += uint64(entry.rawBytes)
	}
	p := &fresh.properties
	for _, f := range []struct {
		name          string
		counted, said uint64
	}{
		{"rows", rows, p.Rows},
		{"tombstones", tombstones, p.Tombstones},
		{"key bytes", keyBytes, p.KeyBytes},
		{"value bytes", valueBytes, p.ValueBytes},
		{"raw data bytes", rawBytes, p.RawDataBytes},
	} {
		if f.counted != f.said {
			return r.meta.corruptf(p.TotalBytes-footerBytes-p.PropertiesBytes,
				"table has %d %s, its properties say %d", f.counted, f.name, f.said)
		}
	}
	if !bytes.Equal(last, p.Largest) {
		return r.meta.corruptf(p.TotalBytes-footerBytes-p.PropertiesBytes,
			"table ends with key %q, its properties say %q", last, p.Largest)
	}
	return nil
}
