package sstable

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/errs"
)

// Whole reads a table as it lies, around the cache, for somebody who copies it: the
// bytes, in buf if that is large enough. Every part is checked, so that a copy is
// never made of a damaged table; rows are not decoded. It allocates the table's
// length and index.
func (t *Tables) Whole(m *Meta, buf []byte) ([]byte, error) {
	if err := checkPlace(m, t.files); err != nil {
		return buf, err
	}
	buf = grow(buf[:0], int(m.Length))[:m.Length]
	if err := t.files.readAt(m, buf, 0); err != nil {
		return buf, err
	}
	footAt := m.Length - footerBytes
	foot, err := decodeFooter(buf[footAt:], m.Length)
	switch {
	case errors.Is(err, errs.ErrNewerFormat):
		return buf, fmt.Errorf("copy %s: %w", m.name(), err)
	case err != nil:
		return buf, m.corruptf(footAt, "%w", err)
	case foot.id != m.ID:
		return buf, m.corruptf(footAt, "footer is that of table %d", foot.id)
	}
	r, err := decodeParts(m, t.files, &foot, buf[foot.dataBytes:footAt])
	if err != nil {
		return buf, err
	}
	for i := range r.index.entries {
		e := &r.index.entries[i]
		if _, _, err := openPart(m, e.offset, buf[e.offset:e.offset+uint64(e.storedBytes)]); err != nil {
			return buf, err
		}
	}
	return buf, nil
}
