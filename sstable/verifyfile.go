package sstable

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// VerifyFile checks a table file by what it says itself, for when there is no
// manifest to tell which tables are in it: it begins with the footer at the
// file's end and goes to the front, table by table, because the tables of a file
// fill it without a gap. from is where it stops: 0, or the end of what is
// accounted for already. It calls fault as Verify does and tells how many tables
// it found. Behind a table whose footer or properties are bad nothing more can be
// found; that is a fault whose Length reaches back to from.
//
// deep says whether blocks are read, too; without it only footers and properties
// are.
func (t *Tables) VerifyFile(num ids.FileNum, from uint64, deep bool, fault func(Fault)) (tables int, err error) {
	size, err := t.files.size(num)
	if err != nil {
		return 0, err
	}
	for end := uint64(size); end > from; tables++ {
		m, err := t.lastTable(num, from, end)
		if errors.Is(err, errs.ErrNewerFormat) {
			return tables, err
		}
		if err != nil {
			fault(Fault{File: ids.TableFileName(num), Offset: int64(from), Length: int64(end - from), Err: err})
			return tables, nil
		}
		if deep {
			if err := t.Verify(&m, fault); err != nil {
				return tables, err
			}
		}
		end = m.Offset
	}
	return tables, nil
}

// lastTable finds the table that ends at end and begins no earlier than from.
func (t *Tables) lastTable(num ids.FileNum, from, end uint64) (Meta, error) {
	// Everything is read by offsets in the file: the table's own are not known yet.
	whole := &Meta{File: num, Length: end}
	corruptf := func(at uint64, format string, args ...any) error {
		return errs.Corruptf(ids.TableFileName(num), int64(at), format, args...)
	}
	if end-from < footerBytes {
		return Meta{}, corruptf(from, "%d bytes that no table accounts for", end-from)
	}
	var buf [footerBytes]byte
	if err := t.files.readAt(whole, buf[:], end-footerBytes); err != nil {
		return Meta{}, err
	}
	length := binary.LittleEndian.Uint64(buf[footerLengthAt:])
	if length < footerBytes || length > end-from {
		return Meta{}, corruptf(end-footerBytes, "no table ends here: it would have %d bytes, there is room for %d", length, end-from)
	}
	foot, err := decodeFooter(buf[:], length)
	if errors.Is(err, errs.ErrNewerFormat) {
		return Meta{}, fmt.Errorf("open %s: %w", ids.TableFileName(num), err)
	}
	if err != nil {
		return Meta{}, corruptf(end-footerBytes, "%w", err)
	}
	m := Meta{ID: foot.id, File: num, Offset: end - foot.tableBytes, Length: foot.tableBytes}
	at := foot.dataBytes + foot.filterBytes + foot.indexBytes
	part := make([]byte, foot.propertiesBytes)
	if err := t.files.readAt(&m, part, at); err != nil {
		return Meta{}, err
	}
	payload, err := openRawPart(&m, at, part, "properties part")
	if err != nil {
		return Meta{}, err
	}
	p, err := decodeProperties(payload)
	if err != nil {
		return Meta{}, m.corruptf(at, "%w", err)
	}
	m.Rows, m.Tombstones, m.KeyBytes, m.ValueBytes = p.Rows, p.Tombstones, p.KeyBytes, p.ValueBytes
	m.Smallest, m.Largest = p.Smallest, p.Largest
	return m, nil
}
