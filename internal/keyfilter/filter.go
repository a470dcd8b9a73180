// Package keyfilter is a set of keys that fits into little memory, for keys that rows in
// memory have: it has a few false positives and no false negatives. It is not the filter
// of a table, which is smaller, cannot grow, and has a format; and it does not hash:
// keys come as the hash that the caller's filters all go by.
package keyfilter

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Filter is a Bloom filter whose bits of one key all lie in one word of 64: one access
// to memory tells. It has room for so many keys; when it is full, a larger one is put
// before it. That costs a lookup one access for each, but nothing is ever built anew.
//
// One writer adds keys, any number of readers ask. A reader sees a key if it was told
// of it, in any way that orders memory, after it was added.
type Filter struct {
	words []atomic.Uint64
	older *Filter // has the keys from before; nil if there are none
	room  int     // keys that may still be added; the writer's
	bytes int64   // that f and the older ones take
}

const (
	// keysPerWord at five bits a key makes 0.3 % false positives for 2 bytes a key.
	keysPerWord = 4
	// A filter that grows gets so many times the room that it had.
	growth = 4
)

// New makes an empty filter with room for so many keys.
func New(keys int) *Filter { return newOver(keys, nil) }

func newOver(keys int, older *Filter) *Filter {
	words := max(1, (keys+keysPerWord-1)/keysPerWord)
	f := &Filter{words: make([]atomic.Uint64, words), room: keys, older: older}
	f.bytes = int64(unsafe.Sizeof(*f)) + int64(words)*8
	if older != nil {
		f.bytes += older.bytes
	}
	return f
}

// Grown gives the filter to which the next key is to be added: f, or if it is full one
// that knows the keys of f too.
func (f *Filter) Grown() *Filter {
	if f.room > 0 {
		return f
	}
	return newOver(len(f.words)*keysPerWord*growth, f)
}

// Add adds a key by its hash.
func (f *Filter) Add(hash uint64) {
	f.word(hash).Or(bitsOf(hash))
	f.room--
}

// AddSome adds keys by their hashes, as many as there is room for, and gives the others.
// It asks for all their words before it changes the first: a change waits for its word,
// and lets nothing behind it begin.
func (f *Filter) AddSome(hashes []uint64) (others []uint64) {
	n := min(len(hashes), f.room)
	if n > 1 {
		for _, hash := range hashes[:n] {
			f.word(hash).Load()
		}
	}
	for _, hash := range hashes[:n] {
		f.Add(hash)
	}
	return hashes[n:]
}

// MayHave tells whether the key with that hash may be there: false is certain.
func (f *Filter) MayHave(hash uint64) bool {
	want := bitsOf(hash)
	for ; f != nil; f = f.older {
		if f.word(hash).Load()&want == want {
			return true
		}
	}
	return false
}

// Bytes is the memory that it takes.
func (f *Filter) Bytes() int64 { return f.bytes }

// word is where the bits of a key are. It goes by the upper half of the hash, and the
// bits by the lower.
func (f *Filter) word(hash uint64) *atomic.Uint64 {
	at, _ := bits.Mul64(hash, uint64(len(f.words)))
	return &f.words[at]
}

// bitsOf gives the bits of a key in its word.
func bitsOf(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63) | 1<<(hash>>24&63)
}
