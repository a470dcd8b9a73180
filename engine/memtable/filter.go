package memtable

import (
	"github.com/tinedb/tine/internal/keyfilter"
	"github.com/tinedb/tine/sstable"
)

// A memtable has a filter of its keys, so that most lookups of a key that it does not
// have end after one memory access and without its lock: most keys are in no memtable of
// the path that they are looked up on. It is there while the memtable grows, too, and
// never built anew, since rows enter under the store's lock.
//
// Whoever may see a row is told by the engine's visible LSN, which is stored after the
// filter knows the row.

// firstFilterKeys is how many keys a memtable's first filter has room for.
const firstFilterKeys = 128

// hashOf is the hash by which filters know a key: the one of tables, so that one
// lookup computes it once for all layers.
func hashOf(key []byte) uint64 { return sstable.KeyHash(key) }

// fewBitsOf gives the bits of a key in the only word of a memtable in the flat form:
// two, as sixteen keys share it.
func fewBitsOf(hash uint64) uint64 { return 1<<(hash&63) | 1<<(hash>>6&63) }

// MayHave tells whether there may be a version of the key with that hash, whatever its
// LSN: false is certain. It takes no lock. It knows nothing of range deletes.
func (m *Memtable) MayHave(hash uint64) bool {
	if f := m.filter.Load(); f != nil {
		return f.MayHave(hash)
	}
	want := fewBitsOf(hash)
	return m.few.Load()&want == want
}

// note makes the filter of the present form know a key that is about to be added.
func (m *Memtable) note(hash uint64) {
	if m.filter.Load() == nil {
		m.few.Or(fewBitsOf(hash))
		return
	}
	m.noteAll([]uint64{hash})
}

// noteAll makes the filter of a memtable in the form of a tree know keys that are about
// to be added.
func (m *Memtable) noteAll(hashes []uint64) {
	known := m.filter.Load()
	f := known
	for len(hashes) > 0 {
		f = f.Grown()
		hashes = f.AddSome(hashes)
	}
	if f != known {
		m.filter.Store(f)
	}
}

// filterOf makes the filter of keys that are there already, with room for more.
func filterOf(hashes []uint64, room int) *keyfilter.Filter {
	f := keyfilter.New(len(hashes) + room)
	for _, hash := range hashes {
		f.Add(hash)
	}
	return f
}
