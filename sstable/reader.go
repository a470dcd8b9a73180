package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// Reader answers from one table. It holds index and filter in memory, about 1.5
// bytes a row, and borrows a descriptor only while it reads a block. It is
// immutable, may be used concurrently, and needs no release. It stays usable as
// long as its file can be opened, also after Tables.Forget.
type Reader struct {
	meta       Meta   // as it was opened: it may lie elsewhere by now
	place      *Place // where it lies
	properties Properties
	filter     filter
	index      *index
	blocks     *tableBlocks
	files      *descriptors
	used       atomic.Bool // see readerRing
}

// Row is one row as it lies in memory. Value must not be changed; it stays good
// for as long as it is held.
type Row struct {
	Ordinal uint64 // number of the row in its table, from 0
	Kind    iterator.Kind
	Value   []byte
}

// firstReadBytes is read from the end of a table at first: for a small table all
// but the data, so that opening it costs one read.
const firstReadBytes = 8 << 10

// openPlace is openReader for a table that may be moved meanwhile.
func openPlace(p *Place, files *descriptors) (*Reader, error) {
	for {
		m := p.Meta()
		r, err := openReader(m, files)
		if err == nil {
			r.place = p
			return r, nil
		}
		if !p.moved(m) {
			return nil, err
		}
	}
}

// openReader reads and checks everything of a table but its data blocks. It sets
// all of the Reader but place and blocks.
func openReader(m *Meta, files *descriptors) (*Reader, error) {
	if err := checkPlace(m, files); err != nil {
		return nil, err
	}
	tailBytes := min(m.Length, firstReadBytes)
	tailAt := m.Length - tailBytes
	tail := make([]byte, tailBytes)
	if err := files.readAt(m, tail, tailAt); err != nil {
		return nil, err
	}
	foot, err := decodeFooter(tail[tailBytes-footerBytes:], m.Length)
	if errors.Is(err, errs.ErrNewerFormat) {
		return nil, fmt.Errorf("open %s: %w", m.name(), err)
	}
	if err != nil {
		return nil, m.corruptf(m.Length-footerBytes, "%w", err)
	}
	if foot.id != m.ID {
		return nil, m.corruptf(m.Length-footerBytes, "footer is that of table %d", foot.id)
	}

	// The Reader keeps these bytes, so they are copied out of a read that holds
	// more than them. The length is safe: the footer's parts fill the table.
	partsBytes := m.Length - footerBytes - foot.dataBytes
	parts := partsMemory(partsBytes)
	if foot.dataBytes >= tailAt {
		copy(parts, tail[foot.dataBytes-tailAt:])
	} else if err := files.readAt(m, parts, foot.dataBytes); err != nil {
		return nil, err
	}
	return decodeParts(m, files, &foot, parts)
}

// nearBytes is how much a processor has at hand whatever pages it lies in. There may be very many
// tables whose filters and indexes are smaller than that, and they lie all over the heap.
const nearBytes = 64 << 10

func partsMemory(bytes uint64) []byte {
	if bytes < nearBytes {
		return passing(int(bytes))
	}
	return lasting(int(bytes))
}

// checkPlace refuses a Meta that no table can have, and one that reaches over
// the end of its file, before anything is allocated by its lengths.
func checkPlace(m *Meta, files *descriptors) error {
	if m.Length < footerBytes || m.Offset > math.MaxInt64 || m.Length > math.MaxInt64-m.Offset {
		return m.corruptf(0, "no table has %d bytes at offset %d", m.Length, m.Offset)
	}
	fileBytes, err := files.size(m.File)
	if err != nil {
		return err
	}
	if m.Offset+m.Length > uint64(fileBytes) {
		return &errs.CorruptError{
			File:   ids.TableFileName(m.File),
			Offset: max(fileBytes, int64(m.Offset)), // the first byte of this table that is not there
			Err:    fmt.Errorf("table %d: the file ends at %d, the table at %d", m.ID, fileBytes, m.Offset+m.Length),
		}
	}
	return nil
}

// decodeParts decodes filter, index and properties, which lie in parts one after
// the other, and compares them with the Meta and each other.
func decodeParts(m *Meta, files *descriptors, foot *footer, parts []byte) (*Reader, error) {
	filterAt := foot.dataBytes
	indexAt := filterAt + foot.filterBytes
	propertiesAt := indexAt + foot.indexBytes

	payload, err := openRawPart(m, propertiesAt, parts[propertiesAt-filterAt:], "properties part")
	if err != nil {
		return nil, err
	}
	r := &Reader{files: files}
	if r.properties, err = decodeProperties(payload); err != nil {
		return nil, m.corruptf(propertiesAt, "%w", err)
	}
	r.properties.ID = foot.id
	r.properties.Version = formatVersion
	r.properties.DataBytes = foot.dataBytes
	r.properties.FilterBytes = foot.filterBytes
	r.properties.IndexBytes = foot.indexBytes
	r.properties.PropertiesBytes = foot.propertiesBytes
	r.properties.TotalBytes = foot.tableBytes
	if err := r.properties.matches(m); err != nil {
		return nil, m.corruptf(propertiesAt, "%w", err)
	}
	r.meta = *m
	r.meta.Smallest, r.meta.Largest = r.properties.Smallest, r.properties.Largest

	payload, err = openRawPart(m, indexAt, parts[indexAt-filterAt:propertiesAt-filterAt], "index")
	if err != nil {
		return nil, err
	}
	if r.index, err = decodeIndex(payload, foot.dataBytes, m.Rows, r.meta.Largest); err != nil {
		return nil, m.corruptf(indexAt, "%w", err)
	}
	if n := uint64(len(r.index.entries)); n != r.properties.Blocks {
		return nil, m.corruptf(indexAt, "index has %d blocks, the properties say %d", n, r.properties.Blocks)
	}
	if common := commonPrefix(r.meta.Smallest, r.meta.Largest); !bytes.Equal(r.index.prefix, r.meta.Smallest[:common]) {
		return nil, m.corruptf(indexAt, "index has prefix %q, the bounds have %q", r.index.prefix, r.meta.Smallest[:common])
	}

	payload, err = openRawPart(m, filterAt, parts[:indexAt-filterAt], "filter")
	if err != nil {
		return nil, err
	}
	if r.filter, err = decodeFilter(payload); err != nil {
		return nil, m.corruptf(filterAt, "%w", err)
	}
	return r, nil
}

// Properties gives what the table says about itself.
func (r *Reader) Properties() Properties { return r.properties }

// MayContain tells whether key can be in the table: false is certain, true is
// wrong for about 0.4 % of the keys inside the bounds that are not there. It
// reads nothing from disk.
func (r *Reader) MayContain(key []byte) bool {
	return r.meta.covers(key) && r.filter.mayContain(KeyHash(key))
}

// Find gives the row of key, whatever its kind, without copying. It asks bounds
// and filter first, so most keys that are not there cost no block.
func (r *Reader) Find(key []byte) (row Row, found bool, err error) {
	return r.find(key, KeyHash(key))
}

func (r *Reader) find(key []byte, hash uint64) (row Row, found bool, err error) {
	// The filter of a small table is nearer than its bounds.
	if !r.filter.mayContain(hash) || !r.meta.covers(key) {
		return Row{}, false, nil
	}
	// There is such a block: key is within bounds, and the last separator is the
	// upper one.
	number := r.index.seekGE(key)
	b, err := r.load(number, true)
	if err != nil {
		return Row{}, false, err
	}
	i, equal := b.seekGE(key)
	if !equal {
		return Row{}, false, nil
	}
	return Row{Ordinal: r.index.entries[number].ordinal + uint64(i), Kind: b.kind(i), Value: b.value(i)}, true, nil
}

// Get is Find with the value appended to dst, and a row of dead, which may be
// nil, is not found. It allocates nothing if the block is cached and dst has
// room. A tombstone is found and has no value.
func (r *Reader) Get(dst, key []byte, dead *Dead) (out []byte, kind iterator.Kind, found bool, err error) {
	return r.GetHashed(dst, key, KeyHash(key), dead)
}

// GetHashed is Get for a caller that has the KeyHash of the key.
func (r *Reader) GetHashed(dst, key []byte, hash uint64, dead *Dead) (out []byte, kind iterator.Kind, found bool, err error) {
	row, found, err := r.find(key, hash)
	if !found || err != nil {
		return dst, 0, false, err
	}
	// Only now: most keys that are not there end in the filter.
	if dead != nil && dead.Contains(row.Ordinal) {
		return dst, 0, false, nil
	}
	return append(dst, row.Value...), row.Kind, true, nil
}

// checkDead asserts that dead rows, if there are any, are of a table like this.
func (r *Reader) checkDead(dead *Dead) {
	if dead != nil && dead.rows != r.meta.Rows { // asked here, because the name takes longer than a block search
		invariant.Check(false, "dead rows of a table of another size are read with %s", r.meta.name())
	}
}

// OrdinalGE gives the number of the first row whose key is ≥ key, the number of
// rows if there is none. It reads one block at most, and leaves the cache as it
// is.
func (r *Reader) OrdinalGE(key []byte) (uint64, error) {
	if bytes.Compare(key, r.meta.Smallest) <= 0 {
		return 0, nil
	}
	if bytes.Compare(key, r.meta.Largest) > 0 {
		return r.meta.Rows, nil
	}
	number := r.index.seekGE(key)
	b, err := r.load(number, false)
	if err != nil {
		return 0, err
	}
	row, _ := b.seekGE(key)
	return r.index.entries[number].ordinal + uint64(row), nil
}
