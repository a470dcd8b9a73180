package sstable

import (
	"bytes"
	"fmt"
	"math"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// Limits of the format. They bound every allocation that a reader makes.
const (
	// MaxKeyBytes is the longest key that a table holds.
	MaxKeyBytes = 64 << 10
	// MaxValueBytes is the longest value that a table holds.
	MaxValueBytes = 64 << 20
	// MaxRows is the most rows that a table has: a row's number and a count of
	// rows fit into 32 bits.
	MaxRows = math.MaxUint32
	// MaxBlockBytes is the largest target size of a block. Only a block of one
	// row may be larger.
	MaxBlockBytes = 1 << 20
	// DefaultBlockBytes is the target size of a block when none is given: scans
	// and the index gain from larger blocks, a read from disk from smaller ones.
	DefaultBlockBytes = 16 << 10
)

// Meta describes one table: a byte range of a file, and what lies in it. The
// manifest records it, and a reader refuses a table that does not match it. It
// is never changed once it is in use; its slices belong to nobody and are only
// read.
//
// ID names the content for ever. File and Offset are only where the content
// lies now: a table may be relocated byte for byte, and keeps its ID.
type Meta struct {
	ID     ids.TableID
	File   ids.FileNum
	Offset uint64 // in bytes, of the table's first byte in the file
	Length uint64 // in bytes, footer included

	Rows       uint64 // in all
	Tombstones uint64 // of Rows
	KeyBytes   uint64 // of all keys, before compression
	ValueBytes uint64 // of all values, before compression

	Smallest []byte // first key, inclusive
	Largest  []byte // last key, inclusive
}

// covers tells whether key lies in the closed range of the table's keys.
func (m *Meta) covers(key []byte) bool {
	return bytes.Compare(key, m.Smallest) >= 0 && bytes.Compare(key, m.Largest) <= 0
}

// name spells the table for messages: table 7 in 000031.sst.
func (m *Meta) name() string {
	return fmt.Sprintf("table %d in %s", m.ID, ids.TableFileName(m.File))
}

// corruptf makes the error for bad bytes at an offset inside the table. The
// error names the offset in the file, which is what a person looks up.
func (m *Meta) corruptf(offsetInTable uint64, format string, args ...any) error {
	e := errs.Corruptf(ids.TableFileName(m.File), int64(m.Offset+offsetInTable), format, args...)
	e.Err = fmt.Errorf("table %d: %w", m.ID, e.Err)
	return e
}
