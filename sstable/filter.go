package sstable

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/FastFilter/xorfilter"
	"github.com/cespare/xxhash/v2"
)

// The filter is a binary fuse filter with eight bits a slot (Graf and Lemire,
// "Binary Fuse Filters", 2022): about 9.2 bits a key, three memory accesses, 0.4 %
// false positives. Only its fingerprints come from the library; parameters are
// stored by us and checked, so that no byte on disk can send a lookup out of
// bounds.
const (
	filterHeaderBytes = 24

	filterNone        = 0 // every key may be there
	filterBinaryFuse8 = 1

	// maxFilterSegment is the largest segment that the library makes.
	maxFilterSegment = 1 << 18
	// maxFilterRows is where the library's 32-bit sizes come near their end. A
	// table of more rows goes without a filter.
	maxFilterRows = 1 << 31
)

// KeyHash is the hash by which filters know a key: those of tables, of whose format it
// is part, and those of memtables, so that a lookup in many layers computes it once.
func KeyHash(key []byte) uint64 { return xxhash.Sum64(key) }

// filter is the set of a table's keys, with a few false positives and no false
// negatives. It is immutable and may be used concurrently.
type filter struct {
	fuse *xorfilter.BinaryFuse8 // nil: every key may be there
}

func (f *filter) mayContain(hash uint64) bool {
	return f.fuse == nil || f.fuse.Contains(hash)
}

func (f *filter) memoryBytes() int {
	if f.fuse == nil {
		return 0
	}
	return len(f.fuse.Fingerprints)
}

// buildFilter makes the filter of the keys with these hashes, which it may
// reorder. Where the library gives up, as it may on many keys of equal hash, the
// hashes are made unique and tried again; if that fails too, the table goes
// without a filter, which is slow and right.
func buildFilter(hashes []uint64, populate func([]uint64) (*xorfilter.BinaryFuse8, error)) filter {
	if len(hashes) > maxFilterRows {
		return filter{}
	}
	fuse, err := populate(hashes)
	if err != nil {
		slices.Sort(hashes)
		fuse, err = populate(slices.Compact(hashes))
	}
	if err != nil {
		return filter{}
	}
	return filter{fuse: fuse}
}

// appendTo appends the payload of the filter to dst.
func (f *filter) appendTo(dst []byte) []byte {
	le := binary.LittleEndian
	if f.fuse == nil {
		return append(dst, make([]byte, filterHeaderBytes)...)
	}
	dst = le.AppendUint32(dst, filterBinaryFuse8)
	dst = le.AppendUint32(dst, f.fuse.SegmentLength)
	dst = le.AppendUint32(dst, f.fuse.SegmentCount)
	dst = le.AppendUint32(dst, uint32(len(f.fuse.Fingerprints)))
	dst = le.AppendUint64(dst, f.fuse.Seed)
	return append(dst, f.fuse.Fingerprints...)
}

// decodeFilter decodes and validates a filter, which aliases payload.
func decodeFilter(payload []byte) (filter, error) {
	if len(payload) < filterHeaderBytes {
		return filter{}, fmt.Errorf("filter of %d bytes", len(payload))
	}
	le := binary.LittleEndian
	kind := le.Uint32(payload[0:])
	segmentLength, segmentCount := le.Uint32(payload[4:]), le.Uint32(payload[8:])
	fingerprints, seed := le.Uint32(payload[12:]), le.Uint64(payload[16:])
	if uint64(len(payload)) != filterHeaderBytes+uint64(fingerprints) {
		return filter{}, fmt.Errorf("filter of %d bytes states %d fingerprints", len(payload), fingerprints)
	}
	switch kind {
	case filterNone:
		if segmentLength != 0 || segmentCount != 0 || fingerprints != 0 || seed != 0 {
			return filter{}, fmt.Errorf("filter of kind none has content")
		}
		return filter{}, nil
	case filterBinaryFuse8:
	default:
		return filter{}, fmt.Errorf("filter of unknown kind %d", kind)
	}
	// A lookup reads one fingerprint in each of three neighbouring segments, the
	// first being any of segmentCount: this is what keeps it in bounds.
	if segmentLength == 0 || segmentLength > maxFilterSegment || segmentLength&(segmentLength-1) != 0 ||
		segmentCount == 0 || (uint64(segmentCount)+2)*uint64(segmentLength) != uint64(fingerprints) {
		return filter{}, fmt.Errorf("filter of %d fingerprints states %d segments of %d", fingerprints, segmentCount, segmentLength)
	}
	return filter{fuse: &xorfilter.BinaryFuse8{
		Seed:               seed,
		SegmentLength:      segmentLength,
		SegmentLengthMask:  segmentLength - 1,
		SegmentCount:       segmentCount,
		SegmentCountLength: segmentCount * segmentLength,
		Fingerprints:       payload[filterHeaderBytes:],
	}}, nil
}
