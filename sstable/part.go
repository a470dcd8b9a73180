package sstable

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/golang/snappy"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// A part is the unit in which a table is stored and read: a data block, the
// filter, the index or the properties. Its payload is followed by a trailer of
// one codec byte and a checksum.
//
// The checksum covers payload, codec, table id and offset inside the table. So a
// part that is whole but in the wrong place, or of another table, fails like a
// damaged one, while a table moved to another file as it is stays valid.
const (
	checksumBytes    = 8
	partTrailerBytes = 1 + checksumBytes
)

// codec says how the payload of a part is stored.
type codec uint8

const (
	codecRaw    codec = 0
	codecSnappy codec = 1
)

// partChecksum is the checksum of a part that lies at offset in table id. body
// is the payload as stored, with the codec byte behind it.
func partChecksum(id ids.TableID, offset uint64, body []byte) uint64 {
	var place [16]byte
	binary.LittleEndian.PutUint64(place[0:], uint64(id))
	binary.LittleEndian.PutUint64(place[8:], offset)
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(body) // a Digest never fails
	_, _ = d.Write(place[:])
	return d.Sum64()
}

// sealPart turns buf, which holds a stored payload, into a part by appending the
// trailer.
func sealPart(buf []byte, id ids.TableID, offset uint64, c codec) []byte {
	buf = append(buf, byte(c))
	return binary.LittleEndian.AppendUint64(buf, partChecksum(id, offset, buf))
}

// openPart checks the part that was read from offset of table m and gives its
// stored payload, which aliases buf.
func openPart(m *Meta, offset uint64, buf []byte) ([]byte, codec, error) {
	if len(buf) < partTrailerBytes {
		return nil, 0, m.corruptf(offset, "a part of %d bytes is shorter than its trailer", len(buf))
	}
	body, sum := buf[:len(buf)-checksumBytes], binary.LittleEndian.Uint64(buf[len(buf)-checksumBytes:])
	if got := partChecksum(m.ID, offset, body); got != sum {
		return nil, 0, m.corruptf(offset, "checksum is %016x, stored is %016x", got, sum)
	}
	n := len(body) - 1
	return body[:n:n], codec(body[n]), nil
}

// openRawPart is openPart for the parts that are never compressed.
func openRawPart(m *Meta, offset uint64, buf []byte, what string) ([]byte, error) {
	payload, c, err := openPart(m, offset, buf)
	if err != nil {
		return nil, err
	}
	if c != codecRaw {
		return nil, m.corruptf(offset, "the %s has codec %d", what, c)
	}
	return payload, nil
}

// compress appends raw to dst as snappy, if that saves at least 12 %, or as it
// is: what saves less costs more time at every read than it is worth.
func compress(dst, raw []byte) ([]byte, codec) {
	start, most := len(dst), snappy.MaxEncodedLen(len(raw))
	invariant.Check(most >= 0, "a block of %d bytes is too large for snappy", len(raw))
	dst = grow(dst, most)
	packed := snappy.Encode(dst[start:start+most], raw)
	if uint64(len(packed))*100 <= uint64(len(raw))*88 {
		return dst[:start+len(packed)], codecSnappy
	}
	return append(dst[:start], raw...), codecRaw
}

// grow gives dst room for n more bytes without changing its length.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	bigger := make([]byte, len(dst), len(dst)+n)
	copy(bigger, dst)
	return bigger
}

// decompress gives the payload of a data block whose raw length the index states
// as rawBytes. Nothing is allocated before that length has been found to be the
// one that the compressed bytes claim.
func decompress(m *Meta, offset uint64, stored []byte, c codec, rawBytes int, memory blockMemory) ([]byte, error) {
	switch c {
	case codecRaw:
		if len(stored) != rawBytes {
			return nil, m.corruptf(offset, "block has %d bytes, the index says %d", len(stored), rawBytes)
		}
		return stored, nil
	case codecSnappy:
		n, err := snappy.DecodedLen(stored)
		if err != nil {
			return nil, m.corruptf(offset, "compressed block: %w", err)
		}
		if n != rawBytes {
			return nil, m.corruptf(offset, "block decompresses to %d bytes, the index says %d", n, rawBytes)
		}
		raw, err := snappy.Decode(memory(n), stored)
		if err != nil {
			return nil, m.corruptf(offset, "compressed block: %w", err)
		}
		if len(raw) != n {
			return nil, m.corruptf(offset, "block decompressed to %d bytes of %d", len(raw), n)
		}
		return raw, nil
	}
	return nil, m.corruptf(offset, "block has unknown codec %d", c)
}
