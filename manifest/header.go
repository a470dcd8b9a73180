package manifest

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// FormatVersion is the version of the manifest's format that this package
// writes, and the only one that it reads. Version 1, without marks, and version 2,
// without chunks, were never in a release.
const FormatVersion = 3

// A manifest file begins with a header of headerBytes. In every version of the
// format magic, version and checksum stay where they are, so that an old
// program can tell a newer file from a damaged one.
const (
	headerMagic = "TINEMANI"

	headerVersionAt  = 8  // uint32
	headerZeroAt     = 12 // uint32, 0
	headerNumberAt   = 16 // uint64
	headerStoreAt    = 24 // 16 bytes
	headerBaseAt     = 40 // uint64
	headerChecksumAt = 48 // uint64, XXH64 of the bytes before it
	headerBytes      = 56
)

// header is what a manifest file says of itself.
type header struct {
	number ids.FileNum
	store  [16]byte
	base   Position // the last transaction that the slices are sure to contain
}

// appendHeader extends dst with the header's bytes. Its checksum, the last
// eight of them, is what the first frame chains to.
func appendHeader(dst []byte, h header) []byte {
	begin := len(dst)
	dst = append(dst, headerMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, FormatVersion)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.number))
	dst = append(dst, h.store[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.base))
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[begin:]))
}

// decodeHeader reads the header of the manifest file with the given number from
// its first headerBytes. It returns a CorruptError, or an error that wraps
// errs.ErrNewerFormat or errs.ErrOldFormat.
func decodeHeader(b []byte, number ids.FileNum) (header, uint64, error) {
	name := ids.ManifestName(number)
	if len(b) < headerBytes {
		return header{}, 0, errs.Corruptf(name, int64(len(b)), "file ends inside the header")
	}
	checksum := binary.LittleEndian.Uint64(b[headerChecksumAt:])
	if string(b[:len(headerMagic)]) != headerMagic {
		return header{}, 0, errs.Corruptf(name, 0, "not a manifest: wrong magic")
	}
	if xxhash.Sum64(b[:headerChecksumAt]) != checksum {
		return header{}, 0, errs.Corruptf(name, 0, "header checksum does not match")
	}
	switch version := binary.LittleEndian.Uint32(b[headerVersionAt:]); {
	case version > FormatVersion:
		return header{}, 0, fmt.Errorf("%s: format version %d, this program knows %d: %w", name, version, FormatVersion, errs.ErrNewerFormat)
	case version == 1 || version == 2:
		return header{}, 0, fmt.Errorf("%s: format version %d, this program knows %d: %w", name, version, FormatVersion, errs.ErrOldFormat)
	case version != FormatVersion:
		return header{}, 0, errs.Corruptf(name, headerVersionAt, "format version %d never was", version)
	}
	if binary.LittleEndian.Uint32(b[headerZeroAt:]) != 0 {
		return header{}, 0, errs.Corruptf(name, headerZeroAt, "reserved bytes are not zero")
	}
	h := header{
		number: ids.FileNum(binary.LittleEndian.Uint64(b[headerNumberAt:])),
		base:   Position(binary.LittleEndian.Uint64(b[headerBaseAt:])),
	}
	copy(h.store[:], b[headerStoreAt:])
	if h.number != number {
		return header{}, 0, errs.Corruptf(name, headerNumberAt, "header of manifest %d", h.number)
	}
	return h, checksum, nil
}

// headerChecksum is the checksum of an encoded header.
func headerChecksum(b []byte) uint64 { return binary.LittleEndian.Uint64(b[headerChecksumAt:]) }
