package sstable

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// Fault is one part of a table that cannot be trusted. The keys in [Lower, Upper)
// are those that it may answer wrongly or not at all: of a block what lies
// between its neighbours, of any other part everything in the table.
type Fault struct {
	File   string
	Offset int64 // of the part in the file
	Length int64 // of the part; 0 if unknown
	Lower  []byte
	Upper  []byte
	Err    error // what is wrong; a *errs.CorruptError, or why it could not be read
}

// Verify reads the whole table from disk, around the cache, and checks what is
// not already checked at every opening and reading: that counts and bounds are
// those of the rows, that keys rise from block to block, that each row has the
// ordinal that the index gives it, and that the filter misses no key. It gives
// the first fault that it finds.
func (r *Reader) Verify() error {
	var first error
	err := verify(r.place.Meta(), r.files, func(f Fault) {
		if first == nil {
			first = f.Err
		}
	})
	return errors.Join(first, err)
}

// Verify is Reader.Verify for a table that may not even open, and it goes on
// behind a fault with whatever can still be found: it calls fault for each bad
// part, in no particular order. It returns an error only for a table in a newer
// format. Memory: index, filter and one block.
func (t *Tables) Verify(m *Meta, fault func(Fault)) error { return verify(m, t.files, fault) }

func verify(m *Meta, files *descriptors, fault func(Fault)) error {
	v := verifier{m: m, fault: fault}
	if err := checkPlace(m, files); err != nil {
		v.whole(0, m.Length, err)
		return nil
	}
	var footBuf [footerBytes]byte
	footAt := m.Length - footerBytes
	if err := files.readAt(m, footBuf[:], footAt); err != nil {
		v.whole(footAt, footerBytes, err)
		return nil
	}
	foot, err := decodeFooter(footBuf[:], m.Length)
	switch {
	case errors.Is(err, errs.ErrNewerFormat):
		return fmt.Errorf("open %s: %w", m.name(), err)
	case err != nil:
		v.whole(footAt, footerBytes, m.corruptf(footAt, "%w", err))
		return nil
	case foot.id != m.ID:
		v.whole(footAt, footerBytes, m.corruptf(footAt, "footer is that of table %d", foot.id))
		return nil
	}
	v.r = &Reader{meta: *m, place: NewPlace(*m), files: files}
	if !v.parts(&foot) {
		return nil // no index: neither blocks nor their number are known
	}
	v.blocks()
	if v.properties && v.read == len(v.r.index.entries) {
		v.totals()
	}
	return nil
}

// verifier is one pass over one table.
type verifier struct {
	m     *Meta
	r     *Reader
	fault func(Fault)

	properties, filter    bool // they can be used
	filterAt, filterBytes uint64

	read                                            int // blocks read without a fault
	rows, tombstones, keyBytes, valueBytes, rawSize uint64
	last                                            []byte // key of the last row read
}

// whole reports a part that every key of the table depends on.
func (v *verifier) whole(at, length uint64, err error) {
	v.report(at, length, v.m.Smallest, after(v.m.Largest), err)
}

func (v *verifier) report(at, length uint64, lower, upper []byte, err error) {
	f := Fault{
		File: ids.TableFileName(v.m.File), Offset: int64(v.m.Offset + at), Length: int64(length),
		Lower: lower, Upper: upper, Err: err,
	}
	v.fault(f)
}

// after is the key right behind key.
func after(key []byte) []byte { return append(bytes.Clone(key), 0) }

// parts reads properties, index and filter, each by itself, and tells whether
// the index is there to read the blocks by.
func (v *verifier) parts(foot *footer) bool {
	m, r := v.m, v.r
	filterAt := foot.dataBytes
	indexAt := filterAt + foot.filterBytes
	propertiesAt := indexAt + foot.indexBytes
	v.filterAt, v.filterBytes = filterAt, foot.filterBytes
	part := func(at, length uint64, what string, decode func([]byte) error) bool {
		buf := make([]byte, length) // the footer's parts fill the table: the length is safe
		err := r.files.readAt(m, buf, at)
		if err == nil {
			var payload []byte
			if payload, err = openRawPart(m, at, buf, what); err == nil {
				if err = decode(payload); err != nil {
					err = m.corruptf(at, "%w", err)
				}
			}
		}
		if err != nil {
			v.whole(at, length, err)
		}
		return err == nil
	}
	v.properties = part(propertiesAt, foot.propertiesBytes, "properties part", func(payload []byte) (err error) {
		if r.properties, err = decodeProperties(payload); err != nil {
			return err
		}
		r.properties.ID, r.properties.TotalBytes = foot.id, foot.tableBytes
		r.properties.PropertiesBytes = foot.propertiesBytes
		return r.properties.matches(m)
	})
	index := part(indexAt, foot.indexBytes, "index", func(payload []byte) (err error) {
		if r.index, err = decodeIndex(payload, foot.dataBytes, m.Rows, m.Largest); err != nil {
			return err
		}
		if n := uint64(len(r.index.entries)); v.properties && n != r.properties.Blocks {
			return fmt.Errorf("index has %d blocks, the properties say %d", n, r.properties.Blocks)
		}
		if common := commonPrefix(m.Smallest, m.Largest); !bytes.Equal(r.index.prefix, m.Smallest[:common]) {
			return fmt.Errorf("index has prefix %q, the bounds have %q", r.index.prefix, m.Smallest[:common])
		}
		return nil
	})
	v.filter = part(filterAt, foot.filterBytes, "filter", func(payload []byte) (err error) {
		r.filter, err = decodeFilter(payload)
		return err
	})
	return index
}

// blocks reads every block that the index names.
func (v *verifier) blocks() {
	for number := range v.r.index.entries {
		entry := &v.r.index.entries[number]
		if err := v.block(number, entry); err != nil {
			lower := v.m.Smallest
			if number > 0 {
				lower = after(v.r.index.appendSeparator(nil, number-1))
			}
			upper := after(v.r.index.appendSeparator(nil, number))
			v.report(entry.offset, uint64(entry.storedBytes), lower, upper, err)
			continue
		}
		v.read++
	}
}

// block reads one block and all its rows, up to the first fault.
func (v *verifier) block(number int, entry *indexEntry) error {
	r, m := v.r, v.m
	b, err := r.readBlock(number, passing)
	if err != nil {
		return err
	}
	var key []byte
	for i := range b.rows {
		key = b.appendKey(key[:0], i)
		row := entry.ordinal + uint64(i)
		switch {
		case v.last != nil && bytes.Compare(v.last, key) >= 0:
			return m.corruptf(entry.offset, "row %d: key %q does not come after %q", row, key, v.last)
		case !m.covers(key):
			return m.corruptf(entry.offset, "row %d: the bounds deny key %q", row, key)
		case r.index.seekGE(key) != number:
			return m.corruptf(entry.offset, "row %d: the index does not lead to key %q", row, key)
		}
		if found, equal := b.seekGE(key); !equal || found != i {
			return m.corruptf(entry.offset, "row %d: key %q is not found in its block", row, key)
		}
		if v.filter && !r.filter.mayContain(KeyHash(key)) {
			v.filter = false // said once
			v.whole(v.filterAt, v.filterBytes, m.corruptf(v.filterAt, "the filter denies key %q, which is row %d", key, row))
		}
		if b.kind(i) == iterator.Tombstone {
			v.tombstones++
		}
		v.rows++
		v.keyBytes += uint64(len(key))
		v.valueBytes += uint64(len(b.value(i)))
		v.last = append(v.last[:0], key...)
	}
	v.rawSize += uint64(entry.rawBytes)
	return nil
}

// totals compares what was counted over all blocks with the properties.
func (v *verifier) totals() {
	p := &v.r.properties
	at, length := p.TotalBytes-footerBytes-p.PropertiesBytes, p.PropertiesBytes
	for _, f := range []struct {
		name          string
		counted, said uint64
	}{
		{"rows", v.rows, p.Rows},
		{"tombstones", v.tombstones, p.Tombstones},
		{"key bytes", v.keyBytes, p.KeyBytes},
		{"value bytes", v.valueBytes, p.ValueBytes},
		{"raw data bytes", v.rawSize, p.RawDataBytes},
	} {
		if f.counted != f.said {
			v.whole(at, length, v.m.corruptf(at, "table has %d %s, its properties say %d", f.counted, f.name, f.said))
		}
	}
	if !bytes.Equal(v.last, p.Largest) {
		v.whole(at, length, v.m.corruptf(at, "table ends with key %q, its properties say %q", v.last, p.Largest))
	}
}

// WholeTable is the fault of a table of which nothing can be read. offset is one
// in the file, -1 if unknown.
func WholeTable(m *Meta, offset int64, err error) Fault {
	return Fault{File: ids.TableFileName(m.File), Offset: offset, Lower: m.Smallest, Upper: after(m.Largest), Err: err}
}
