package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// sectorBytes is the unit that a disk may tear, lose or garble as a whole while
// it is being written. The log never writes into a sector that holds fsynced
// bytes: the header has one to itself, and what follows an fsync begins with a
// sync mark in the next one.
const sectorBytes = 512

// formatVersion is the segment format that this package writes and reads. Version
// 1 knew no range deletes, version 2 no records about many forks; neither was ever
// released.
const formatVersion = 3

// The segment header. The place of magic, version and checksum is the same in
// every version.
const (
	headerMagic     = 0  // 8 bytes
	headerVersion   = 8  // uint32
	headerReserved  = 12 // uint32, zero
	headerNumber    = 16 // uint64, the number in the file's name
	headerOrdinal   = 24 // uint64, place in the chain, from 1
	headerLogID     = 32 // uint64, random, the same in all segments of a log
	headerFileBytes = 40 // uint64, length of the file
	headerFirstLSN  = 48 // uint64, no record of the segment has a lower one
	headerPrevious  = 56 // uint64, number of the segment before, 0 for none
	headerPrevEnd   = 64 // uint64, offset where that one ends
	headerPrevLSN   = 72 // uint64, last LSN of the chain before this segment
	headerZero      = 80 // zeros
	headerSum       = 504
	headerBytes     = sectorBytes
)

const headerMagicValue = "tine-wal"

// maxFileBytes caps the length of a segment file: the largest record with its
// header and marks, rounded up.
const maxFileBytes = 2 * MaxPayloadBytes

// header is the decoded first sector of a segment. It seals the segment before
// it: that one is whole up to exactly prevEnd, and what lies behind is never
// read again.
type header struct {
	number    ids.FileNum
	ordinal   uint64
	logID     uint64
	fileBytes int64
	firstLSN  ids.LSN
	previous  ids.FileNum
	prevEnd   int64
	prevLSN   ids.LSN
}

// sameSeal tells whether two headers seal the same segment at the same end.
func (h header) sameSeal(o header) bool {
	return h.logID == o.logID && h.previous == o.previous && h.prevEnd == o.prevEnd && h.prevLSN == o.prevLSN
}

func (h header) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, headerBytes)...)
	b := dst[start:]
	copy(b[headerMagic:], headerMagicValue)
	binary.LittleEndian.PutUint32(b[headerVersion:], formatVersion)
	binary.LittleEndian.PutUint64(b[headerNumber:], uint64(h.number))
	binary.LittleEndian.PutUint64(b[headerOrdinal:], h.ordinal)
	binary.LittleEndian.PutUint64(b[headerLogID:], h.logID)
	binary.LittleEndian.PutUint64(b[headerFileBytes:], uint64(h.fileBytes))
	binary.LittleEndian.PutUint64(b[headerFirstLSN:], uint64(h.firstLSN))
	binary.LittleEndian.PutUint64(b[headerPrevious:], uint64(h.previous))
	binary.LittleEndian.PutUint64(b[headerPrevEnd:], uint64(h.prevEnd))
	binary.LittleEndian.PutUint64(b[headerPrevLSN:], uint64(h.prevLSN))
	binary.LittleEndian.PutUint64(b[headerSum:], xxhash.Sum64(b[:headerSum]))
	return dst
}

// errNoHeader says that a file has no valid header: a spare that was never
// used, a header that a crash tore, or damage.
var errNoHeader = errors.New("no valid segment header")

// decodeHeader decodes the first sector of the named segment. errNoHeader,
// errs.ErrNewerFormat and errs.ErrOldFormat are told apart from the rest, which is
// damage: the checksum holds, yet the fields make no sense in this file.
func decodeHeader(name string, number ids.FileNum, b []byte) (header, error) {
	if len(b) < headerBytes || !bytes.Equal(b[headerMagic:headerVersion], []byte(headerMagicValue)) {
		return header{}, errNoHeader
	}
	if xxhash.Sum64(b[:headerSum]) != binary.LittleEndian.Uint64(b[headerSum:]) {
		return header{}, errNoHeader
	}
	if v := binary.LittleEndian.Uint32(b[headerVersion:]); v > formatVersion {
		return header{}, fmt.Errorf("wal: segment %s has format %d, this program knows %d: %w", name, v, formatVersion, errs.ErrNewerFormat)
	} else if v == 0 {
		return header{}, errs.Corruptf(name, headerVersion, "format version 0 never was")
	} else if v < formatVersion {
		return header{}, fmt.Errorf("wal: segment %s has format %d, this program knows %d: %w", name, v, formatVersion, errs.ErrOldFormat)
	}
	h := header{
		number:   ids.FileNum(binary.LittleEndian.Uint64(b[headerNumber:])),
		ordinal:  binary.LittleEndian.Uint64(b[headerOrdinal:]),
		logID:    binary.LittleEndian.Uint64(b[headerLogID:]),
		firstLSN: ids.LSN(binary.LittleEndian.Uint64(b[headerFirstLSN:])),
		previous: ids.FileNum(binary.LittleEndian.Uint64(b[headerPrevious:])),
		prevLSN:  ids.LSN(binary.LittleEndian.Uint64(b[headerPrevLSN:])),
	}
	fileBytes := binary.LittleEndian.Uint64(b[headerFileBytes:])
	prevEnd := binary.LittleEndian.Uint64(b[headerPrevEnd:])
	switch {
	case h.number != number || number == 0: // 0 stands for "no segment before"
		return header{}, errs.Corruptf(name, headerNumber, "the file holds segment %d", h.number)
	case fileBytes < headerBytes || fileBytes > maxFileBytes || prevEnd > maxFileBytes:
		return header{}, errs.Corruptf(name, headerFileBytes, "file length %d or end %d of the segment before is impossible", fileBytes, prevEnd)
	case h.firstLSN <= h.prevLSN:
		return header{}, errs.Corruptf(name, headerFirstLSN, "first LSN %d does not follow %d", h.firstLSN, h.prevLSN)
	case h.previous == number:
		return header{}, errs.Corruptf(name, headerPrevious, "segment %d follows itself", number)
	case h.ordinal == 0 || (h.ordinal == 1) != (h.previous == 0) || (h.previous == 0) != (prevEnd == 0) || h.previous != 0 && prevEnd < headerBytes:
		return header{}, errs.Corruptf(name, headerPrevious, "segment %d of the chain follows file %d at %d", h.ordinal, h.previous, prevEnd)
	}
	h.fileBytes, h.prevEnd = int64(fileBytes), int64(prevEnd)
	return h, nil
}
