package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// The stored form of a vector (see FORMAT.md): a header of 32 bytes, the bitmap,
// a checksum over both. Length, version and checksum keep their places in every
// version, so that an older program can tell a newer vector from a damaged one.
const (
	vectorVersion = 1

	vectorFormRows  = 1 // a bitmap says which
	vectorFormWhole = 2 // every row; no bitmap

	vectorFixedBytes = 32
)

// EncodedBytes is the length of what AppendTo appends.
func (v *Vector) EncodedBytes() int { return vectorFixedBytes + len(v.bitmap) + checksumBytes }

// AppendTo appends the vector's stored form to dst, as node's marks on table.
func (v *Vector) AppendTo(dst []byte, node ids.NodeID, table ids.TableID) []byte {
	le := binary.LittleEndian
	form := uint16(vectorFormRows)
	if v.Whole() {
		form = vectorFormWhole
	}
	start := len(dst)
	dst = le.AppendUint16(dst, vectorVersion)
	dst = le.AppendUint16(dst, form)
	dst = le.AppendUint32(dst, uint32(len(v.bitmap)))
	dst = le.AppendUint64(dst, uint64(node))
	dst = le.AppendUint64(dst, uint64(table))
	dst = le.AppendUint32(dst, v.rows)
	dst = le.AppendUint32(dst, v.dead)
	dst = append(dst, v.bitmap...)
	return le.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// DecodeVector decodes the vector that b begins with, and gives whose it is and
// what follows it. Anything odd is an error, and then there is no vector: an
// empty one would bring rows back to life. Nothing of b is kept.
//
// errs.ErrNewerFormat is returned for a whole vector of a newer version only.
func DecodeVector(b []byte) (node ids.NodeID, table ids.TableID, v *Vector, rest []byte, err error) {
	node, table, v, rest, err = decodeVector(b)
	if err != nil {
		return 0, 0, nil, nil, fmt.Errorf("deletion vector: %w", err)
	}
	return node, table, v, rest, nil
}

func decodeVector(b []byte) (node ids.NodeID, table ids.TableID, v *Vector, rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < vectorFixedBytes+checksumBytes {
		return 0, 0, nil, nil, fmt.Errorf("%d bytes are too few", len(b))
	}
	bitmapBytes := uint64(le.Uint32(b[4:]))
	if bitmapBytes > uint64(len(b)-vectorFixedBytes-checksumBytes) {
		return 0, 0, nil, nil, fmt.Errorf("a bitmap of %d bytes in %d", bitmapBytes, len(b))
	}
	end := vectorFixedBytes + int(bitmapBytes)
	sum := le.Uint64(b[end:])
	if got := xxhash.Sum64(b[:end]); got != sum {
		return 0, 0, nil, nil, fmt.Errorf("checksum is %016x, stored is %016x", got, sum)
	}
	switch version := le.Uint16(b[0:]); {
	case version > vectorVersion:
		return 0, 0, nil, nil, fmt.Errorf("format %d, this program knows %d: %w", version, vectorVersion, errs.ErrNewerFormat)
	case version == 0:
		return 0, 0, nil, nil, fmt.Errorf("format 0 never was")
	}
	node, table = ids.NodeID(le.Uint64(b[8:])), ids.TableID(le.Uint64(b[16:]))
	v = &Vector{rows: le.Uint32(b[24:]), dead: le.Uint32(b[28:])}
	if v.dead == 0 || v.dead > v.rows {
		return 0, 0, nil, nil, fmt.Errorf("%d of %d rows are dead", v.dead, v.rows)
	}
	packed := b[vectorFixedBytes:end]
	switch form := le.Uint16(b[2:]); form {
	case vectorFormWhole:
		if v.dead != v.rows || len(packed) != 0 {
			return 0, 0, nil, nil, fmt.Errorf("form of a whole table for %d of %d rows, with %d bytes", v.dead, v.rows, len(packed))
		}
	case vectorFormRows:
		if v.dead == v.rows {
			return 0, 0, nil, nil, fmt.Errorf("a bitmap for all of %d rows", v.rows)
		}
		if err := checkBitmap(packed, v.rows, v.dead); err != nil {
			return 0, 0, nil, nil, err
		}
		v.bitmap = bytes.Clone(packed)
	default:
		return 0, 0, nil, nil, fmt.Errorf("unknown form %d", form)
	}
	return node, table, v, b[end+checksumBytes:], nil
}

// checkBitmap tells what is wrong with a bitmap of which the header states dead
// of rows rows.
func checkBitmap(packed []byte, rows, dead uint32) error {
	if err := checkBitmapLayout(packed, rows, dead); err != nil {
		return err
	}
	b := roaring.New()
	n, err := b.ReadFrom(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("bitmap: %w", err)
	}
	if n != int64(len(packed)) {
		return fmt.Errorf("bitmap takes %d bytes of %d", n, len(packed))
	}
	if err := b.Validate(); err != nil {
		return fmt.Errorf("bitmap: %w", err)
	}
	if count := b.GetCardinality(); count != uint64(dead) {
		return fmt.Errorf("bitmap has %d rows, the header says %d", count, dead)
	}
	if most := b.Maximum(); most >= rows {
		return fmt.Errorf("row %d is dead in a table of %d", most, rows)
	}
	return nil
}
