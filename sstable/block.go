package sstable

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"github.com/tinedb/tine/internal/iterator"
)

// The layout of a block's payload (see FORMAT.md):
//
//	header  rows u32, prefixBytes u32, tailBytes u32, valueBytes u32
//	prefix  what all keys of the block begin with, zero-padded to 16 bytes
//	slots   16 bytes a row
//	tails   what is left of each key behind prefix and head
//	values
//
// A slot is the first eight bytes of the key behind the prefix (the head, zero
// padded), the value's offset, and a word of tail offset, head length and kind.
// Equal strides let a search touch one slot a step, and the slot that ends the
// search already says where the value is. Values lie apart, so that a search
// does not drag them through the processor's caches.
const (
	blockHeaderBytes = 16
	prefixAlignment  = 16
	slotBytes        = 16
	headBytes        = 8

	slotValueAt = 8  // u32: offset in the values
	slotWordAt  = 12 // u32: tail offset, head length, kind

	tailOffsetBits = 24
	headLengthBits = 4
	maxTailBytes   = 1<<tailOffsetBits - 1

	// maxBlockRawBytes bounds a decompressed block: it is the largest that the
	// writer makes, one row with the longest key and value.
	maxBlockRawBytes = blockHeaderBytes + MaxKeyBytes + prefixAlignment + slotBytes + MaxValueBytes
)

// block is the decoded form of one data block: the payload and where its areas
// begin. It is immutable, was validated when it was made, and may be used
// concurrently.
//
// Invariants: rows ≥ 1; keys strictly ascending; every offset in a slot lies
// inside its area; so that the methods need no error.
type block struct {
	data        []byte
	rows        int
	prefixBytes int
	slotsAt     int
	tailsAt     int
	valuesAt    int
}

// head gives the first eight bytes of key as a number that compares like them;
// what key is short of counts as zero.
func head(key []byte) uint64 {
	if len(key) >= headBytes {
		return binary.BigEndian.Uint64(key)
	}
	var b [headBytes]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// paddedPrefix is the room that a prefix of n bytes takes.
func paddedPrefix(n int) int {
	return (n + prefixAlignment - 1) &^ (prefixAlignment - 1)
}

// decodeBlock checks every byte of a payload's structure, in time linear in its
// rows, and gives the block, which aliases data.
func decodeBlock(data []byte) (block, error) {
	if len(data) < blockHeaderBytes {
		return block{}, fmt.Errorf("block of %d bytes has no header", len(data))
	}
	rows := uint64(binary.LittleEndian.Uint32(data[0:]))
	prefixBytes := uint64(binary.LittleEndian.Uint32(data[4:]))
	tailBytes := uint64(binary.LittleEndian.Uint32(data[8:]))
	valueBytes := uint64(binary.LittleEndian.Uint32(data[12:]))
	if rows == 0 {
		return block{}, fmt.Errorf("block without rows")
	}
	if prefixBytes > MaxKeyBytes || tailBytes > maxTailBytes {
		return block{}, fmt.Errorf("block with a prefix of %d and tails of %d bytes", prefixBytes, tailBytes)
	}
	slotsAt := blockHeaderBytes + uint64(paddedPrefix(int(prefixBytes)))
	tailsAt := slotsAt + rows*slotBytes
	valuesAt := tailsAt + tailBytes
	if valuesAt+valueBytes != uint64(len(data)) {
		return block{}, fmt.Errorf("block of %d bytes states areas of %d", len(data), valuesAt+valueBytes)
	}
	b := block{
		data:        data,
		rows:        int(rows),
		prefixBytes: int(prefixBytes),
		slotsAt:     int(slotsAt),
		tailsAt:     int(tailsAt),
		valuesAt:    int(valuesAt),
	}
	for _, c := range data[blockHeaderBytes+b.prefixBytes : b.slotsAt] {
		if c != 0 {
			return block{}, fmt.Errorf("block's prefix is not padded with zeros")
		}
	}
	return b, b.validateSlots()
}

// validateSlots checks every slot by itself and against the one before it.
func (b *block) validateSlots() error {
	var previousHead uint64
	var previousTail []byte
	previousLength := 0
	tails, values := b.valuesAt-b.tailsAt, len(b.data)-b.valuesAt
	tailAt, valueAt := 0, 0
	for i := range b.rows {
		slot := b.slot(i)
		word := binary.LittleEndian.Uint32(slot[slotWordAt:])
		headLength, kind := int(word>>tailOffsetBits&(1<<headLengthBits-1)), iterator.Kind(word>>(tailOffsetBits+headLengthBits))
		if int(word&maxTailBytes) != tailAt || int(binary.LittleEndian.Uint32(slot[slotValueAt:])) != valueAt {
			return fmt.Errorf("row %d does not begin where row %d ends", i, i-1)
		}
		nextTail, nextValue := b.tailEnd(i), b.valueEnd(i)
		if nextTail < tailAt || nextTail > tails || nextValue < valueAt || nextValue > values {
			return fmt.Errorf("row %d reaches over the end of its block", i)
		}
		tail := b.data[b.tailsAt+tailAt : b.tailsAt+nextTail]
		length := headLength + len(tail)
		switch {
		case kind != iterator.Set && kind != iterator.Tombstone:
			return fmt.Errorf("row %d has unknown kind %d", i, kind)
		case kind == iterator.Tombstone && nextValue != valueAt:
			return fmt.Errorf("row %d is a tombstone with a value", i)
		case headLength > headBytes || len(tail) > 0 && headLength < headBytes:
			return fmt.Errorf("row %d has a head of %d and a tail of %d bytes", i, headLength, len(tail))
		case b.prefixBytes+length > MaxKeyBytes || nextValue-valueAt > MaxValueBytes:
			return fmt.Errorf("row %d is over the limits of a row", i)
		}
		h := binary.BigEndian.Uint64(slot)
		if headLength < headBytes && h<<(8*headLength) != 0 {
			return fmt.Errorf("head of row %d is not padded with zeros", i)
		}
		if i > 0 && compareSuffix(previousHead, previousLength, previousTail, h, length, tail) >= 0 {
			return fmt.Errorf("row %d is not greater than row %d", i, i-1)
		}
		previousHead, previousLength, previousTail = h, length, tail
		tailAt, valueAt = nextTail, nextValue
	}
	if tailAt != tails || valueAt != values {
		return fmt.Errorf("rows end before their block does")
	}
	return nil
}

// compareSuffix compares two keys behind a common prefix, each given as head,
// length (head included) and tail. Where the heads are equal and one of the keys
// ends inside its head, that key is a prefix of the other, so the lengths decide.
func compareSuffix(headA uint64, lengthA int, tailA []byte, headB uint64, lengthB int, tailB []byte) int {
	if headA != headB {
		return cmp.Compare(headA, headB)
	}
	if lengthA <= headBytes || lengthB <= headBytes {
		return cmp.Compare(lengthA, lengthB)
	}
	return bytes.Compare(tailA, tailB)
}

func (b *block) slot(i int) []byte {
	at := b.slotsAt + i*slotBytes
	return b.data[at : at+slotBytes : at+slotBytes]
}

// tailEnd gives the offset in the tails at which row i's tail ends: where the
// next one begins.
func (b *block) tailEnd(i int) int {
	if i+1 == b.rows {
		return b.valuesAt - b.tailsAt
	}
	return int(binary.LittleEndian.Uint32(b.slot(i + 1)[slotWordAt:]) & maxTailBytes)
}

func (b *block) valueEnd(i int) int {
	if i+1 == b.rows {
		return len(b.data) - b.valuesAt
	}
	return int(binary.LittleEndian.Uint32(b.slot(i + 1)[slotValueAt:]))
}

// suffix gives row i's key behind the prefix as head, length and tail.
func (b *block) suffix(i int) (h uint64, length int, tail []byte) {
	slot := b.slot(i)
	word := binary.LittleEndian.Uint32(slot[slotWordAt:])
	tail = b.data[b.tailsAt+int(word&maxTailBytes) : b.tailsAt+b.tailEnd(i)]
	return binary.BigEndian.Uint64(slot), int(word>>tailOffsetBits&(1<<headLengthBits-1)) + len(tail), tail
}

// prefix gives what all keys of the block begin with.
func (b *block) prefix() []byte {
	return b.data[blockHeaderBytes : blockHeaderBytes+b.prefixBytes]
}

// appendSuffix appends row i's key behind the prefix to dst.
func (b *block) appendSuffix(dst []byte, i int) []byte {
	slot := b.slot(i)
	word := binary.LittleEndian.Uint32(slot[slotWordAt:])
	dst = append(dst, slot[:headBytes]...)
	if headLength := int(word >> tailOffsetBits & (1<<headLengthBits - 1)); headLength < headBytes {
		return dst[:len(dst)-headBytes+headLength]
	}
	return append(dst, b.data[b.tailsAt+int(word&maxTailBytes):b.tailsAt+b.tailEnd(i)]...)
}

// appendKey appends row i's whole key to dst.
func (b *block) appendKey(dst []byte, i int) []byte {
	return b.appendSuffix(append(dst, b.prefix()...), i)
}

func (b *block) kind(i int) iterator.Kind {
	return iterator.Kind(binary.LittleEndian.Uint32(b.slot(i)[slotWordAt:]) >> (tailOffsetBits + headLengthBits))
}

// value gives row i's value, which aliases the block.
func (b *block) value(i int) []byte {
	at := int(binary.LittleEndian.Uint32(b.slot(i)[slotValueAt:]))
	end := b.valuesAt + b.valueEnd(i)
	return b.data[b.valuesAt+at : end : end]
}

// seekGE gives the first row whose key is ≥ key, and whether it is equal; rows
// if there is none. It costs a comparison of the prefix and one slot per step of
// a binary search; tails are read only where heads are equal.
func (b *block) seekGE(key []byte) (row int, equal bool) {
	prefix := b.prefix()
	if len(key) < len(prefix) {
		if bytes.Compare(key, prefix) < 0 {
			return 0, false
		}
		return b.rows, false
	}
	if c := bytes.Compare(key[:len(prefix)], prefix); c < 0 {
		return 0, false
	} else if c > 0 {
		return b.rows, false
	}
	key = key[len(prefix):]
	want := head(key)
	slots := b.data[b.slotsAt:b.tailsAt]
	lo, hi := 0, b.rows
	for lo < hi {
		middle := int(uint(lo+hi) >> 1)
		at := middle * slotBytes
		h := binary.BigEndian.Uint64(slots[at : at+headBytes])
		if h == want {
			_, length, tail := b.suffix(middle)
			var keyTail []byte
			if len(key) > headBytes {
				keyTail = key[headBytes:]
			}
			c := compareSuffix(h, length, tail, want, len(key), keyTail)
			if c == 0 {
				return middle, true
			}
			if c < 0 {
				lo = middle + 1
			} else {
				hi = middle
			}
		} else if h < want {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo, false
}
