package wal

import (
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/ids"
)

// evidenceChunkBytes is how much of a segment the search for sync marks holds
// in memory at a time; a multiple of sectorBytes.
const evidenceChunkBytes = 256 << 10

// remains is what stands behind a bad offset of a segment.
type remains struct {
	blank  bool // nothing but zeros
	proven bool // a sync mark proves that the offset was durable once
	mark   mark // that one
}

// behind looks for a sync mark in [from, size) that claims more than bad
// bytes of the segment durable. Such a mark was written after an fsync that
// covered the bad offset, so the bytes there are damage and not the torn end of
// an interrupted write. Marks begin sectors, so one pass of a checksum of 48
// bytes per sector decides; records are no evidence, because the sectors of an
// unsynced write reach the disk in any order.
//
// All of it is read, up to the end of the file: a disk that lost a page gives
// zeros, and the mark that tells may lie anywhere behind them.
//
// logIDs are the ids under which a mark counts: more than one if the segment's
// own header is in doubt.
func behind(r io.ReaderAt, size int64, number ids.FileNum, logIDs []uint64, from, bad int64) (remains, error) {
	found := remains{blank: true}
	size = min(size, maxFileBytes)
	buf := make([]byte, min(max(size, 0), evidenceChunkBytes))
	for at := from &^ (sectorBytes - 1); at < size; at += evidenceChunkBytes {
		b := buf[:min(evidenceChunkBytes, size-at)]
		if err := readFull(r, b, at); err != nil {
			return remains{}, fmt.Errorf("search for sync marks: %w", err)
		}
		if at < from { // what is good already
			clear(b[:min(from-at, int64(len(b)))])
		}
		if allZero(b) {
			continue
		}
		found.blank = false
		for i := int64(0); i+markFrameBytes <= int64(len(b)); i += sectorBytes {
			if at+i < from || b[i+frameKind] != byte(kindMark) {
				continue
			}
			for _, id := range logIDs {
				f, err := decodeFrame(place{logID: id, number: number, offset: at + i}, b[i:i+markFrameBytes])
				if err == nil && f.mark.through > bad {
					found.proven, found.mark = true, f.mark
					return found, nil
				}
			}
		}
	}
	return found, nil
}
