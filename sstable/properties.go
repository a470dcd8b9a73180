package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tinedb/tine/internal/ids"
)

// Properties is what a table says about itself. Smallest and Largest alias the
// reader's memory and must not be changed.
type Properties struct {
	ID         ids.TableID
	Version    uint32 // of the format
	Rows       uint64
	Tombstones uint64 // of Rows
	KeyBytes   uint64 // of all keys
	ValueBytes uint64 // of all values
	Smallest   []byte
	Largest    []byte

	Blocks       uint64 // number of data blocks
	BlockBytes   uint64 // their target size
	RawDataBytes uint64 // of all data blocks before compression

	DataBytes       uint64 // of all data blocks as stored
	FilterBytes     uint64 // of each part as stored, trailer included
	IndexBytes      uint64
	PropertiesBytes uint64
	TotalBytes      uint64 // of the table, footer included
}

// propertiesFixedBytes is what stands before the two bounds.
const propertiesFixedBytes = 7 * 8

// appendTo appends the payload of the properties to dst. What the footer states
// is not in it.
func (p *Properties) appendTo(dst []byte) []byte {
	le := binary.LittleEndian
	for _, n := range []uint64{p.Rows, p.Tombstones, p.KeyBytes, p.ValueBytes, p.Blocks, p.BlockBytes, p.RawDataBytes} {
		dst = le.AppendUint64(dst, n)
	}
	dst = le.AppendUint32(dst, uint32(len(p.Smallest)))
	dst = append(dst, p.Smallest...)
	dst = le.AppendUint32(dst, uint32(len(p.Largest)))
	return append(dst, p.Largest...)
}

// decodeProperties decodes and validates properties, which alias payload.
func decodeProperties(payload []byte) (Properties, error) {
	var p Properties
	if len(payload) < propertiesFixedBytes {
		return p, fmt.Errorf("properties of %d bytes", len(payload))
	}
	for i, field := range []*uint64{&p.Rows, &p.Tombstones, &p.KeyBytes, &p.ValueBytes, &p.Blocks, &p.BlockBytes, &p.RawDataBytes} {
		*field = binary.LittleEndian.Uint64(payload[8*i:])
	}
	rest := payload[propertiesFixedBytes:]
	for _, bound := range []*[]byte{&p.Smallest, &p.Largest} {
		if len(rest) < 4 {
			return p, fmt.Errorf("properties end inside the bounds")
		}
		n := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if n > MaxKeyBytes || uint64(n) > uint64(len(rest)) {
			return p, fmt.Errorf("properties with a bound of %d bytes", n)
		}
		*bound, rest = rest[:n:n], rest[n:]
	}
	switch {
	case len(rest) != 0:
		return p, fmt.Errorf("properties with %d bytes left over", len(rest))
	case p.Rows == 0 || p.Rows > MaxRows || p.Tombstones > p.Rows || p.Blocks == 0 || p.Blocks > p.Rows:
		return p, fmt.Errorf("properties with %d rows, %d tombstones, %d blocks", p.Rows, p.Tombstones, p.Blocks)
	case p.BlockBytes == 0 || p.BlockBytes > MaxBlockBytes:
		return p, fmt.Errorf("properties with blocks of %d bytes", p.BlockBytes)
	}
	if c := bytes.Compare(p.Smallest, p.Largest); c > 0 || (c == 0) != (p.Rows == 1) {
		return p, fmt.Errorf("properties with %d rows from %q to %q", p.Rows, p.Smallest, p.Largest)
	}
	return p, nil
}

// matches says in what the table differs from what the manifest says about it,
// nil if in nothing.
func (p *Properties) matches(m *Meta) error {
	if p.ID == m.ID && p.TotalBytes == m.Length && p.Rows == m.Rows && p.Tombstones == m.Tombstones &&
		p.KeyBytes == m.KeyBytes && p.ValueBytes == m.ValueBytes &&
		bytes.Equal(p.Smallest, m.Smallest) && bytes.Equal(p.Largest, m.Largest) {
		return nil
	}
	for _, f := range []struct {
		name        string
		table, meta uint64
	}{
		{"id", uint64(p.ID), uint64(m.ID)},
		{"length", p.TotalBytes, m.Length},
		{"rows", p.Rows, m.Rows},
		{"tombstones", p.Tombstones, m.Tombstones},
		{"key bytes", p.KeyBytes, m.KeyBytes},
		{"value bytes", p.ValueBytes, m.ValueBytes},
	} {
		if f.table != f.meta {
			return fmt.Errorf("table's %s is %d, the manifest says %d", f.name, f.table, f.meta)
		}
	}
	return fmt.Errorf("table reaches from %q to %q, the manifest says %q to %q", p.Smallest, p.Largest, m.Smallest, m.Largest)
}
