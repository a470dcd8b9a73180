package main

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// tally is what a scan saw.
type tally struct {
	rows, bytes int
	mix         byte     // of every value's first byte, so that values are really read
	hash        *rowHash // nil: rows are not hashed
}

func (t *tally) add(key, value []byte) {
	t.rows++
	t.bytes += len(key) + len(value)
	t.mix ^= value[0]
	if t.hash != nil {
		t.hash.add(key, value)
	}
}

// digest stands for all rows of a state.
type digest struct {
	rows int
	hash uint64
}

// rowHash hashes rows so that neither their order nor the border between key and
// value can differ unseen.
type rowHash struct {
	d    *xxhash.Digest
	rows int
	len  [8]byte
}

func newRowHash() *rowHash { return &rowHash{d: xxhash.New()} }

func (h *rowHash) add(key, value []byte) {
	binary.LittleEndian.PutUint32(h.len[:4], uint32(len(key)))
	binary.LittleEndian.PutUint32(h.len[4:], uint32(len(value)))
	h.d.Write(h.len[:])
	h.d.Write(key)
	h.d.Write(value)
	h.rows++
}

func (h *rowHash) sum() digest { return digest{h.rows, h.d.Sum64()} }
