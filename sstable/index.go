package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// maxIndexBytes bounds the index of one table: 32-bit offsets reach into it.
const maxIndexBytes = 1 << 30

// minIndexEntryBytes is the least that an entry takes: four lengths of a byte.
const minIndexEntryBytes = 4

// index is the decoded index of one table: for each block where it lies, its
// first row's ordinal, and a separator, which is ≥ every key of the block and <
// every key of the next. It is immutable and may be used concurrently.
//
// The separators are searched by their heads, the first eight bytes behind the
// prefix that all keys of the table have in common: eight bytes per block that
// stay in the processor's caches. Without stripping the prefix all heads would
// often be equal. No entry holds a pointer, so the garbage collector does not
// look at them.
type index struct {
	prefix     []byte
	heads      []uint64
	entries    []indexEntry
	separators []byte // the payload that entries point into
}

// indexEntry says where one block lies.
type indexEntry struct {
	offset         uint64 // in the table
	ordinal        uint64 // of the first row
	storedBytes    uint32 // trailer included
	rawBytes       uint32 // of the payload once decompressed
	separatorStart uint32 // in index.separators, behind the prefix
	separatorEnd   uint32
}

// indexBuilder collects the entries of an index. The prefix is known only at the
// end, so separators are kept whole.
type indexBuilder struct {
	separators []byte
	ends       []int
	blocks     []builtBlock
}

type builtBlock struct {
	storedBytes, rawBytes, rows int
}

// add notes a block. separator is copied.
func (x *indexBuilder) add(b builtBlock, separator []byte) {
	x.separators = append(x.separators, separator...)
	x.ends = append(x.ends, len(x.separators))
	x.blocks = append(x.blocks, b)
}

// estimatedBytes is about what finish will append.
func (x *indexBuilder) estimatedBytes() int {
	return len(x.separators) + 8*len(x.blocks) + 8
}

// finish appends the payload of the index to dst. All separators begin with
// prefix.
func (x *indexBuilder) finish(dst, prefix []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(x.blocks)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(prefix)))
	dst = append(dst, prefix...)
	start := 0
	for i, b := range x.blocks {
		separator := x.separators[start+len(prefix) : x.ends[i]]
		start = x.ends[i]
		dst = binary.AppendUvarint(dst, uint64(b.storedBytes))
		dst = binary.AppendUvarint(dst, uint64(b.rawBytes))
		dst = binary.AppendUvarint(dst, uint64(b.rows))
		dst = binary.AppendUvarint(dst, uint64(len(separator)))
		dst = append(dst, separator...)
	}
	return dst
}

// appendSeparator appends the shortest s that it finds with last ≤ s < next.
// last must be less than next. Whatever both begin with, s begins with too.
func appendSeparator(dst, last, next []byte) []byte {
	n := commonPrefix(last, next)
	switch {
	case n+1 >= len(last):
		// Nothing shorter than last itself.
		return append(dst, last...)
	case last[n]+1 < next[n]:
		dst = append(dst, last[:n]...)
		return append(dst, last[n]+1)
	case n+1 < len(next):
		return append(dst, next[:n+1]...)
	}
	return append(dst, last...)
}

// decodeIndex decodes and validates an index whose blocks must fill exactly
// dataBytes and hold exactly rows. The result aliases payload.
func decodeIndex(payload []byte, dataBytes, rows uint64, largest []byte) (*index, error) {
	if len(payload) < 8 || len(payload) > maxIndexBytes {
		return nil, fmt.Errorf("index of %d bytes", len(payload))
	}
	blocks := int64(binary.LittleEndian.Uint32(payload[0:]))
	prefixBytes := int64(binary.LittleEndian.Uint32(payload[4:]))
	at := int64(8)
	if prefixBytes > MaxKeyBytes || prefixBytes > int64(len(payload))-at {
		return nil, fmt.Errorf("index with a prefix of %d bytes", prefixBytes)
	}
	x := &index{prefix: payload[at : at+prefixBytes], separators: payload}
	at += prefixBytes
	if blocks == 0 || blocks > (int64(len(payload))-at)/minIndexEntryBytes {
		return nil, fmt.Errorf("index of %d bytes states %d blocks", len(payload), blocks)
	}
	x.heads = make([]uint64, blocks)
	x.entries = make([]indexEntry, blocks)

	rest := payload[at:]
	number := func() (n uint64, ok bool) {
		n, used := binary.Uvarint(rest)
		if used <= 0 {
			return 0, false
		}
		rest = rest[used:]
		return n, true
	}
	var offset, ordinal uint64
	for i := range x.entries {
		stored, ok1 := number()
		raw, ok2 := number()
		count, ok3 := number()
		length, ok4 := number()
		if !ok1 || !ok2 || !ok3 || !ok4 || length > uint64(len(rest)) {
			return nil, fmt.Errorf("index ends inside entry %d", i)
		}
		start := len(payload) - len(rest)
		rest = rest[length:]
		switch {
		case stored <= partTrailerBytes || stored > dataBytes-offset:
			return nil, fmt.Errorf("index entry %d: block of %d bytes at %d of %d", i, stored, offset, dataBytes)
		case raw > maxBlockRawBytes || raw < stored-partTrailerBytes:
			return nil, fmt.Errorf("index entry %d: block of %d bytes, %d decompressed", i, stored, raw)
		case count == 0 || count > rows-ordinal || count > raw/slotBytes:
			return nil, fmt.Errorf("index entry %d: %d rows from %d on of %d", i, count, ordinal, rows)
		case uint64(prefixBytes)+length > MaxKeyBytes:
			return nil, fmt.Errorf("index entry %d: separator of %d bytes", i, uint64(prefixBytes)+length)
		}
		x.entries[i] = indexEntry{
			offset:         offset,
			ordinal:        ordinal,
			storedBytes:    uint32(stored),
			rawBytes:       uint32(raw),
			separatorStart: uint32(start),
			separatorEnd:   uint32(start) + uint32(length),
		}
		x.heads[i] = head(x.suffix(i))
		if i > 0 && bytes.Compare(x.suffix(i-1), x.suffix(i)) >= 0 {
			return nil, fmt.Errorf("index entry %d is not greater than entry %d", i, i-1)
		}
		offset += stored
		ordinal += count
	}
	if len(rest) != 0 || offset != dataBytes || ordinal != rows {
		return nil, fmt.Errorf("index covers %d of %d bytes and %d of %d rows, %d bytes left over",
			offset, dataBytes, ordinal, rows, len(rest))
	}
	if last := x.appendSeparator(nil, len(x.entries)-1); !bytes.Equal(last, largest) {
		return nil, fmt.Errorf("index ends at key %q, the table at %q", last, largest)
	}
	return x, nil
}

// suffix gives the separator of block i behind the prefix.
func (x *index) suffix(i int) []byte {
	e := &x.entries[i]
	return x.separators[e.separatorStart:e.separatorEnd]
}

// appendSeparator appends the whole separator of block i to dst.
func (x *index) appendSeparator(dst []byte, i int) []byte {
	return append(append(dst, x.prefix...), x.suffix(i)...)
}

// compareSeparator compares the separator of block i with key.
func (x *index) compareSeparator(i int, key []byte) int {
	n := min(len(x.prefix), len(key))
	if c := bytes.Compare(x.prefix[:n], key[:n]); c != 0 {
		return c
	}
	if n < len(x.prefix) {
		return 1
	}
	return bytes.Compare(x.suffix(i), key[n:])
}

// rowsOf gives the number of rows of block i of a table with rows rows.
func (x *index) rowsOf(i int, rows uint64) uint64 {
	if i+1 < len(x.entries) {
		rows = x.entries[i+1].ordinal
	}
	return rows - x.entries[i].ordinal
}

// seekGE gives the first block whose separator is ≥ key: the only one that can
// hold key, and the first that can hold a greater one. It gives the number of
// blocks if there is none.
func (x *index) seekGE(key []byte) int {
	if n := len(x.prefix); n > 0 {
		common := min(n, len(key))
		if c := bytes.Compare(key[:common], x.prefix[:common]); c < 0 || c == 0 && common < n {
			return 0
		} else if c > 0 {
			return len(x.entries)
		}
		key = key[n:]
	}
	want := head(key)
	lo, hi := 0, len(x.heads)
	for lo < hi {
		middle := int(uint(lo+hi) >> 1)
		h := x.heads[middle]
		if h < want || h == want && bytes.Compare(x.suffix(middle), key) < 0 {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo
}

// seekOrdinal gives the block that holds the row of that number, which must be
// less than the table's rows.
func (x *index) seekOrdinal(ordinal uint64) int {
	lo, hi := 0, len(x.entries)-1
	for lo < hi {
		middle := int(uint(lo+hi+1) >> 1)
		if x.entries[middle].ordinal <= ordinal {
			lo = middle
		} else {
			hi = middle - 1
		}
	}
	return lo
}
