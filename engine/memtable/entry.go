package memtable

import (
	"encoding/binary"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// An entry is one version of one key, written once into a chunk and never
// changed:
//
//	offset 0   8 bytes  LSN
//	offset 8   8 bytes  meta: key bytes, value bytes, kind, whether there is a previous version
//	           8 bytes  ref of the previous version, only if there is one
//	           the key, then the value
//
// The layout lives in memory only.
const (
	entryHeaderBytes = 16
	entryPrevBytes   = 8

	metaValueShift = 20 // bits 0-19: key bytes
	metaKindShift  = 48 // bits 20-47: value bytes
	metaPrevShift  = 63 // bits 48-55: kind; bit 63: has a previous version
	metaKeyMask    = 1<<metaValueShift - 1
	metaValueMask  = 1<<(metaKindShift-metaValueShift) - 1
)

// ref is the place of an entry: the number of its chunk, then 32 bits of offset
// in it. noRef is none: no chunk is so long.
type ref uint64

const noRef = ^ref(0)

// chunks are the entries of a memtable. A copy of the slice stays good for ever
// for the refs that existed when it was taken: chunks are only added, and their
// written part never changes.
type chunks [][]byte

// entry is a decoded entry. Its slices alias the chunk; their capacity ends
// with them, so that an append by whoever gets them copies.
type entry struct {
	lsn   ids.LSN
	prev  ref // noRef if there is none
	kind  iterator.Kind
	key   []byte
	value []byte
}

func (c chunks) entry(r ref) entry {
	b := c[r>>32][uint32(r):]
	meta := binary.LittleEndian.Uint64(b[8:])
	e := entry{
		lsn:  ids.LSN(binary.LittleEndian.Uint64(b)),
		prev: noRef,
		kind: iterator.Kind(meta >> metaKindShift),
	}
	at := uint64(entryHeaderBytes)
	if meta>>metaPrevShift != 0 {
		e.prev = ref(binary.LittleEndian.Uint64(b[at:]))
		at += entryPrevBytes
	}
	end := at + meta&metaKeyMask
	e.key = b[at:end:end]
	last := end + meta>>metaValueShift&metaValueMask
	e.value = b[end:last:last]
	return e
}

// key is the key of an entry alone, which is all that a search asks for.
func (c chunks) key(r ref) []byte {
	b := c[r>>32][uint32(r):]
	meta := binary.LittleEndian.Uint64(b[8:])
	at := entryHeaderBytes + meta>>metaPrevShift*entryPrevBytes
	end := at + meta&metaKeyMask
	return b[at:end:end]
}

// entryBytes is the length of an entry in its chunk.
func entryBytes(keyBytes, valueBytes int, hasPrev bool) int {
	n := entryHeaderBytes + keyBytes + valueBytes
	if hasPrev {
		n += entryPrevBytes
	}
	return n
}

// put writes e to the start of b, which has room for it.
func (e entry) put(b []byte) {
	meta := uint64(len(e.key)) | uint64(len(e.value))<<metaValueShift | uint64(e.kind)<<metaKindShift
	binary.LittleEndian.PutUint64(b, uint64(e.lsn))
	at := entryHeaderBytes
	if e.prev != noRef {
		meta |= 1 << metaPrevShift
		binary.LittleEndian.PutUint64(b[at:], uint64(e.prev))
		at += entryPrevBytes
	}
	binary.LittleEndian.PutUint64(b[8:], meta)
	at += copy(b[at:], e.key)
	copy(b[at:], e.value)
}
