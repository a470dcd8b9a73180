package memtable

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/tinedb/tine/sstable"
)

// filter is a set of keys with a few false positives and no false negatives, so that
// most lookups of a key that a memtable does not have end after one memory access and
// without its lock: most keys are in no memtable of the path that they are looked up on.
//
// It is a Bloom filter whose bits of one key all lie in one word of 64. A filter of a
// growing memtable has room for so many keys; then a larger one is put before it. That
// costs a lookup one access for each, but no write ever has to build anything anew: it
// does its work under the store's lock.
//
// One writer adds keys, any number of readers ask. Whoever may see a row is told by
// the engine's visible LSN, which is stored behind the row's bits.
type filter struct {
	words []atomic.Uint64
	older *filter // has the keys from before; nil if there are none
	room  int     // keys that may still be added; the writer's
	bytes int64   // that f and the older ones take
}

const (
	// filterKeysPerWord at five bits a key makes 0.3 % false positives for 2 bytes a key.
	filterKeysPerWord = 4
	// The first filter has room for so many keys, each later one for so many times
	// what the one before has: half a million keys have seven.
	firstFilterKeys = 128
	filterGrowth    = 4
)

// hashOf is the hash by which filters know a key: the one of tables, so that one
// lookup computes it once for all layers.
func hashOf(key []byte) uint64 { return sstable.KeyHash(key) }

// newFilter makes an empty filter for so many keys, over one that is full or nil.
func newFilter(keys int, older *filter) *filter {
	words := (keys + filterKeysPerWord - 1) / filterKeysPerWord
	f := &filter{words: make([]atomic.Uint64, words), room: keys, older: older}
	f.bytes = int64(unsafe.Sizeof(*f)) + int64(words)*8
	if older != nil {
		f.bytes += older.bytes
	}
	return f
}

// word is where the bits of a key are. It goes by the upper half of the hash, and the
// bits by the lower.
func (f *filter) word(hash uint64) *atomic.Uint64 {
	at, _ := bits.Mul64(hash, uint64(len(f.words)))
	return &f.words[at]
}

// bitsOf gives the bits of a key in its word.
func bitsOf(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63) | 1<<(hash>>24&63)
}

func (f *filter) add(hash uint64) {
	f.word(hash).Or(bitsOf(hash))
	f.room--
}

// mayHave tells whether the key may be in f or an older one.
func (f *filter) mayHave(hash uint64) bool {
	want := bitsOf(hash)
	for ; f != nil; f = f.older {
		if f.word(hash).Load()&want == want {
			return true
		}
	}
	return false
}

// fewBitsOf gives the bits of a key in the only word of a memtable in the flat form:
// two, as sixteen keys share it.
func fewBitsOf(hash uint64) uint64 { return 1<<(hash&63) | 1<<(hash>>6&63) }

// MayHave tells whether there may be a version of the key with that hash, whatever its
// LSN: false is certain. It takes no lock. It knows nothing of range deletes.
func (m *Memtable) MayHave(hash uint64) bool {
	if f := m.filter.Load(); f != nil {
		return f.mayHave(hash)
	}
	want := fewBitsOf(hash)
	return m.few.Load()&want == want
}

// note makes the filter of the present form know a key that is about to be added.
func (m *Memtable) note(hash uint64) {
	f := m.filter.Load()
	if f == nil {
		m.few.Or(fewBitsOf(hash))
		return
	}
	if f.room == 0 {
		f = newFilter(len(f.words)*filterKeysPerWord*filterGrowth, f)
	}
	f.add(hash)
	m.filter.Store(f)
}

// filterOf makes the filter of keys that are there already, with room for more.
func filterOf(hashes []uint64, room int) *filter {
	f := newFilter(len(hashes)+room, nil)
	for _, hash := range hashes {
		f.add(hash)
	}
	return f
}
