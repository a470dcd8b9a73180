// Package ids holds the number types that log, manifest, tables and fork tree
// share. Each kind of number is a type of its own, so that one cannot be passed
// for another. No number is ever reused, not even after a crash: the manifest
// reserves blocks of them before the first of a block is given out.
package ids

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is the place of one record in the store's only write-ahead log. It starts
// at 1 and rises with every record; 0 means "before the first record".
type LSN uint64

// ForkID names a fork for ever; a fork's name is only an attribute.
type ForkID uint64

// SnapshotID names a snapshot for ever.
type SnapshotID uint64

// NodeID names a node of the fork tree. A memtable is born with the NodeID of
// the node it will become when it is frozen. 0 means "no node".
type NodeID uint64

// TableID names one sorted table for ever, wherever its bytes lie.
type TableID uint64

// ChunkID names one list of tables in a manifest. It is the one number that is not
// reserved before it is given out: no file but a manifest has it in it, and every open
// writes a new one, in which the next number is above all that are there.
type ChunkID uint64

// FileNum numbers a file of the store's directory.
type FileNum uint64

// The file names of a store.
const (
	LockName    = "LOCK"
	CurrentName = "CURRENT"
)

// ManifestName is the name of manifest log n: MANIFEST-000012.
func ManifestName(n FileNum) string { return fmt.Sprintf("MANIFEST-%06d", uint64(n)) }

// SegmentName is the name of write-ahead log segment n: 000017.wal.
func SegmentName(n FileNum) string { return fmt.Sprintf("%06d.wal", uint64(n)) }

// TableFileName is the name of table file n: 000031.sst. One file may hold
// several tables.
func TableFileName(n FileNum) string { return fmt.Sprintf("%06d.sst", uint64(n)) }

// FileKind is what a file name of the store's directory stands for.
type FileKind uint8

// The kinds that ParseFileName tells apart.
const (
	FileOther FileKind = iota
	FileManifest
	FileSegment
	FileTable
)

// ParseFileName tells the kind and number of a file name, FileOther if it is
// none of the numbered kinds. Only the exact spelling that the functions above
// produce is accepted, so a name maps to at most one number and back.
func ParseFileName(name string) (FileKind, FileNum) {
	kind, digits := FileOther, ""
	if rest, ok := strings.CutPrefix(name, "MANIFEST-"); ok {
		kind, digits = FileManifest, rest
	} else if rest, ok := strings.CutSuffix(name, ".wal"); ok {
		kind, digits = FileSegment, rest
	} else if rest, ok := strings.CutSuffix(name, ".sst"); ok {
		kind, digits = FileTable, rest
	}
	const width = 6 // as printed above; longer numbers have no leading zero
	if len(digits) < width || len(digits) > width && digits[0] == '0' {
		return FileOther, 0
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return FileOther, 0
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return FileOther, 0
	}
	return kind, FileNum(n)
}
