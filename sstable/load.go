package sstable

import (
	"bytes"
	"sync"

	"github.com/tinedb/tine/internal/hugepages"
)

// maxScratchBytes is the largest buffer that is kept for the next read of a
// compressed block.
const maxScratchBytes = 256 << 10

// scratch holds buffers for compressed blocks on their way to being raw ones.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// load gives block number from the cache or from disk. keep says whether a block
// that was read shall be cached.
func (r *Reader) load(number int, keep bool) (*block, error) {
	r.use()
	if e := r.blocks.get(number); e != nil {
		return &e.block, nil
	}
	memory := passing
	if keep {
		memory = lasting
	}
	b, err := r.readBlock(number, memory)
	if err != nil {
		return nil, err
	}
	e := &cacheEntry{block: b}
	if keep {
		e = r.blocks.put(number, e)
	}
	return &e.block, nil
}

// blockMemory allocates what a block is read into.
type blockMemory func(bytes int) []byte

// passing is for blocks that are used once. They may lie anywhere.
func passing(bytes int) []byte { return make([]byte, bytes) }

// lasting is for what will be read again and again.
func lasting(bytes int) []byte {
	b := make([]byte, bytes)
	hugepages.Prefer(b)
	return b
}

// readBlock reads block number from disk and checks it in every way: checksum,
// lengths, structure, number of rows, and that its keys lie where the index says.
func (r *Reader) readBlock(number int, memory blockMemory) (block, error) {
	entry := &r.index.entries[number]
	stored := int(entry.storedBytes)
	// A raw block stays in the buffer that it is read into.
	if int(entry.rawBytes) == stored-partTrailerBytes {
		return r.readInto(number, memory(stored), memory)
	}
	buf := scratch.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxScratchBytes {
			scratch.Put(buf)
		}
	}()
	*buf = grow((*buf)[:0], stored)[:stored]
	return r.readInto(number, *buf, memory)
}

// readInto reads block number from where the table lies, and from where it lies then
// if it was moved while that failed.
func (r *Reader) readInto(number int, buf []byte, memory blockMemory) (block, error) {
	for {
		m := r.place.Meta()
		b, err := r.readFrom(m, number, buf, memory)
		if err == nil || !r.place.moved(m) {
			return b, err
		}
	}
}

func (r *Reader) readFrom(m *Meta, number int, buf []byte, memory blockMemory) (block, error) {
	entry := &r.index.entries[number]
	if err := r.files.readAt(m, buf, entry.offset); err != nil {
		return block{}, err
	}
	stored, c, err := openPart(m, entry.offset, buf)
	if err != nil {
		return block{}, err
	}
	if c == codecSnappy && int(entry.rawBytes) == len(stored) {
		// compress never makes such a block, and the caller's choice of a buffer
		// rests on that.
		return block{}, m.corruptf(entry.offset, "compressed block is as long as the raw one")
	}
	raw, err := decompress(m, entry.offset, stored, c, int(entry.rawBytes), memory)
	if err != nil {
		return block{}, err
	}
	b, err := decodeBlock(raw)
	if err != nil {
		return block{}, m.corruptf(entry.offset, "%w", err)
	}
	return b, r.checkPlacement(m, number, &b)
}

// checkPlacement compares a block with what the index says about it. Otherwise a
// wrong index could hide rows that are there.
func (r *Reader) checkPlacement(m *Meta, number int, b *block) error {
	offset := r.index.entries[number].offset
	if want := r.index.rowsOf(number, r.meta.Rows); uint64(b.rows) != want {
		return m.corruptf(offset, "block has %d rows, the index says %d", b.rows, want)
	}
	var space [256]byte
	key := b.appendKey(space[:0], 0)
	if number == 0 {
		if !bytes.Equal(key, r.meta.Smallest) {
			return m.corruptf(offset, "table begins with key %q, its properties say %q", key, r.meta.Smallest)
		}
	} else if r.index.compareSeparator(number-1, key) >= 0 {
		return m.corruptf(offset, "block begins with key %q, which belongs before it", key)
	}
	key = b.appendKey(key[:0], b.rows-1)
	last := number == len(r.index.entries)-1
	if c := r.index.compareSeparator(number, key); c < 0 || last && c != 0 {
		return m.corruptf(offset, "block ends with key %q, which the index does not allow", key)
	}
	return nil
}
