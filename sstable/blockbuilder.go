package sstable

import (
	"encoding/binary"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// blockBuilder collects the rows of one block and lays them out. The writer owns
// it and reuses it for one block after another; it is not for concurrent use.
//
// The prefix of a block is known only when its last key is, so keys are kept
// whole until then; the size that the block will have is known after every row.
type blockBuilder struct {
	keys     []byte
	keyEnds  []int
	values   []byte
	valueEnd []int
	kinds    []iterator.Kind

	prefixBytes int // of the prefix that all keys so far have in common
	tailBytes   int // that the tails take with that prefix
}

func (b *blockBuilder) rows() int { return len(b.kinds) }

// sizeBytes is the exact length of the payload that finish would make now.
func (b *blockBuilder) sizeBytes() int {
	return blockBytes(b.rows(), b.prefixBytes, b.tailBytes, len(b.values))
}

func blockBytes(rows, prefixBytes, tailBytes, valueBytes int) int {
	return blockHeaderBytes + paddedPrefix(prefixBytes) + rows*slotBytes + tailBytes + valueBytes
}

// add copies a row into the block, unless the block holds rows already and would
// grow beyond limit bytes: then it changes nothing and says false. The key must
// be greater than the last one.
func (b *blockBuilder) add(key []byte, kind iterator.Kind, value []byte, limitBytes int) bool {
	prefixBytes, tailBytes := len(key), 0
	if b.rows() > 0 {
		prefixBytes = commonPrefix(b.keys[:b.prefixBytes], key)
		tailBytes = b.tailBytes
		if prefixBytes < b.prefixBytes {
			tailBytes = 0
			for i := range b.keyEnds {
				tailBytes += tailLength(len(b.key(i)), prefixBytes)
			}
		}
		tailBytes += tailLength(len(key), prefixBytes)
		if blockBytes(b.rows()+1, prefixBytes, tailBytes, len(b.values)+len(value)) > limitBytes {
			return false
		}
	}
	b.prefixBytes, b.tailBytes = prefixBytes, tailBytes
	b.keys = append(b.keys, key...)
	b.keyEnds = append(b.keyEnds, len(b.keys))
	b.values = append(b.values, value...)
	b.valueEnd = append(b.valueEnd, len(b.values))
	b.kinds = append(b.kinds, kind)
	return true
}

func (b *blockBuilder) key(i int) []byte {
	start := 0
	if i > 0 {
		start = b.keyEnds[i-1]
	}
	return b.keys[start:b.keyEnds[i]]
}

func (b *blockBuilder) firstKey() []byte { return b.key(0) }

// finish appends the payload of the block to dst and empties the builder.
func (b *blockBuilder) finish(dst []byte) []byte {
	start, size := len(dst), b.sizeBytes()
	invariant.Check(b.rows() > 0 && b.tailBytes <= maxTailBytes && size <= maxBlockRawBytes,
		"block of %d rows, %d tail bytes, %d bytes", b.rows(), b.tailBytes, size)
	dst = grow(dst, size)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(b.rows()))
	dst = le.AppendUint32(dst, uint32(b.prefixBytes))
	dst = le.AppendUint32(dst, uint32(b.tailBytes))
	dst = le.AppendUint32(dst, uint32(len(b.values)))
	dst = append(dst, b.firstKey()[:b.prefixBytes]...)
	dst = append(dst, make([]byte, paddedPrefix(b.prefixBytes)-b.prefixBytes)...)

	tailAt, valueAt := 0, 0
	for i, kind := range b.kinds {
		suffix := b.key(i)[b.prefixBytes:]
		headLength := min(len(suffix), headBytes)
		dst = binary.BigEndian.AppendUint64(dst, head(suffix))
		dst = le.AppendUint32(dst, uint32(valueAt))
		dst = le.AppendUint32(dst, uint32(tailAt)|uint32(headLength)<<tailOffsetBits|uint32(kind)<<(tailOffsetBits+headLengthBits))
		tailAt += len(suffix) - headLength
		valueAt = b.valueEnd[i]
	}
	for i := range b.kinds {
		if suffix := b.key(i)[b.prefixBytes:]; len(suffix) > headBytes {
			dst = append(dst, suffix[headBytes:]...)
		}
	}
	dst = append(dst, b.values...)
	invariant.Check(len(dst)-start == size, "block has %d bytes, foreseen were %d", len(dst)-start, size)
	b.reset()
	return dst
}

// reset empties the builder. Buffers that one huge row made large are given up.
func (b *blockBuilder) reset() {
	if cap(b.values) > 2*MaxBlockBytes {
		b.values = nil
	}
	b.keys, b.keyEnds = b.keys[:0], b.keyEnds[:0]
	b.values, b.valueEnd = b.values[:0], b.valueEnd[:0]
	b.kinds = b.kinds[:0]
	b.prefixBytes, b.tailBytes = 0, 0
}

// tailLength is what a key of keyBytes has behind prefix and head.
func tailLength(keyBytes, prefixBytes int) int {
	return max(0, keyBytes-prefixBytes-headBytes)
}

// commonPrefix is the number of bytes that a and b begin with in common.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if binary.LittleEndian.Uint64(a[i:]) != binary.LittleEndian.Uint64(b[i:]) {
			break
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
