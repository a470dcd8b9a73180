package wal

import (
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/ids"
)

// evidenceChunkBytes is how much of a segment the search for sync marks holds
// in memory at a time; a multiple of sectorBytes.
const evidenceChunkBytes = 1 << 20

// durableBeyond looks for a sync mark in [from, size) that claims more than bad
// bytes of the segment durable. Such a mark was written after an fsync that
// covered the bad offset, so the bytes there are damage and not the torn end of
// an interrupted write. Marks begin sectors, so one pass of a checksum of 48
// bytes per sector decides; records are no evidence, because the sectors of an
// unsynced write reach the disk in any order.
//
// logIDs are the ids under which a mark counts: more than one if the segment's
// own header is in doubt.
func durableBeyond(r io.ReaderAt, size int64, number ids.FileNum, logIDs []uint64, from, bad int64) (mark, bool, error) {
	size = min(size, maxFileBytes)
	buf := make([]byte, min(max(size, 0), evidenceChunkBytes))
	for at := alignSector(from); at < size; at += evidenceChunkBytes {
		b := buf[:min(evidenceChunkBytes, size-at)]
		if err := readFull(r, b, at); err != nil {
			return mark{}, false, fmt.Errorf("search for sync marks: %w", err)
		}
		for i := int64(0); i+markFrameBytes <= int64(len(b)); i += sectorBytes {
			if b[i+frameKind] != byte(kindMark) {
				continue
			}
			for _, id := range logIDs {
				f, err := decodeFrame(place{logID: id, number: number, offset: at + i}, b[i:i+markFrameBytes])
				if err == nil && f.mark.through > bad {
					return f.mark, true, nil
				}
			}
		}
	}
	return mark{}, false, nil
}
