package sstable

import (
	"encoding/binary"
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

const (
	footerBytes   = 128
	formatVersion = 1
	magic         = "tine.sst"

	footerLengthAt   = 8
	footerReservedAt = 48
	footerVersionAt  = 104
	footerChecksumAt = 112
	footerMagicAt    = 120
)

// footer is the last thing in a table: whose it is and how long its parts are.
// They lie behind each other without gaps, in the order of the fields.
//
// Length, version, checksum and magic keep their places in every version of the
// format, so that an older program can tell a newer table from a damaged one.
type footer struct {
	id              ids.TableID
	tableBytes      uint64
	dataBytes       uint64
	filterBytes     uint64
	indexBytes      uint64
	propertiesBytes uint64
}

func (f *footer) appendTo(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	for _, n := range []uint64{uint64(f.id), f.tableBytes, f.dataBytes, f.filterBytes, f.indexBytes, f.propertiesBytes} {
		dst = le.AppendUint64(dst, n)
	}
	dst = append(dst, make([]byte, footerVersionAt-footerReservedAt)...)
	dst = le.AppendUint32(dst, formatVersion)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, partChecksum(f.id, f.tableBytes-footerBytes, dst[start:]))
	return append(dst, magic...)
}

// decodeFooter decodes and validates the footer of a table of tableBytes bytes.
// errs.ErrNewerFormat is returned for a whole footer of a newer version only.
func decodeFooter(buf []byte, tableBytes uint64) (footer, error) {
	if len(buf) != footerBytes {
		return footer{}, fmt.Errorf("footer of %d bytes", len(buf))
	}
	if string(buf[footerMagicAt:]) != magic {
		return footer{}, fmt.Errorf("no table ends here: magic is %q", buf[footerMagicAt:])
	}
	le := binary.LittleEndian
	var f footer
	f.id = ids.TableID(le.Uint64(buf[0:]))
	for i, field := range []*uint64{&f.tableBytes, &f.dataBytes, &f.filterBytes, &f.indexBytes, &f.propertiesBytes} {
		*field = le.Uint64(buf[8+8*i:])
	}
	sum := le.Uint64(buf[footerChecksumAt:])
	if got := partChecksum(f.id, tableBytes-footerBytes, buf[:footerChecksumAt]); got != sum {
		return footer{}, fmt.Errorf("checksum of the footer is %016x, stored is %016x", got, sum)
	}
	switch version := le.Uint32(buf[footerVersionAt:]); {
	case version > formatVersion:
		return footer{}, fmt.Errorf("table format %d, this program knows %d: %w", version, formatVersion, errs.ErrNewerFormat)
	case version == 0:
		return footer{}, fmt.Errorf("table format 0 never was")
	}
	for _, c := range buf[footerReservedAt:footerVersionAt] {
		if c != 0 {
			return footer{}, fmt.Errorf("reserved bytes of the footer are not zero")
		}
	}
	if le.Uint32(buf[footerVersionAt+4:]) != 0 {
		return footer{}, fmt.Errorf("reserved bytes of the footer are not zero")
	}
	if f.tableBytes != tableBytes {
		return footer{}, fmt.Errorf("footer states a table of %d bytes, it has %d", f.tableBytes, tableBytes)
	}
	// Each part is taken from what is left, so that no sum can overflow.
	left := tableBytes - footerBytes
	for _, n := range []uint64{f.dataBytes, f.filterBytes, f.indexBytes, f.propertiesBytes} {
		if n <= partTrailerBytes || n > left {
			return footer{}, fmt.Errorf("footer states a part of %d bytes", n)
		}
		left -= n
	}
	if left != 0 {
		return footer{}, fmt.Errorf("footer leaves %d bytes of the table to no part", left)
	}
	return f, nil
}
