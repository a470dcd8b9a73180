package memtable

import (
	"bytes"
	"slices"

	"github.com/tinedb/tine/internal/iterator"
)

// Where inputs are shared: at least a third of their bytes must be live (up to
// half may be room that was never filled), so that repeated merges do not pile
// up what is overwritten, and the chunks must be of some size, so that they do
// not pile up lists of crumbs.
const (
	shareMinLiveShare  = 3 // live bytes times this must reach the bytes held
	shareMinChunkBytes = 256
)

// Merge makes a memtable with the newest version of each key of both, that of
// newer where both have the key, and the range deletes of both. Tombstones are
// kept, but where a range delete says the same; what newer's range deletes hide of
// older is left out. Both must be frozen: no Add may be under way or follow, and
// none is allowed on the result. Its reads are to ask for MaxLSN, as older versions
// are gone.
//
// It costs O(keys). Normally only the structure is new and the entries are
// shared with the inputs, so Bytes of the result counts memory that the inputs
// count too. Where much of them is overwritten, or they are tiny, the live
// entries are copied.
func Merge(newer, older *Memtable) *Memtable {
	m := &Memtable{newestOnly: true}
	m.ranges.Store(mergeRanges(newer, older))
	all, refs, hashes, liveBytes := mergeRefs(newer, older, m.Spans(MaxLSN))
	var held int64
	for _, chunk := range all {
		held += int64(cap(chunk))
	}
	if liveBytes*shareMinLiveShare >= held && held >= int64(len(all))*shareMinChunkBytes {
		m.arena.chunks = all
		m.arena.bytes = held + int64(cap(all))*sliceBytes
	} else {
		m.arena.reserve(liveBytes)
		for i, r := range refs {
			e := all.entry(r)
			e.prev = noRef
			refs[i] = m.write(e)
		}
	}
	m.keys = len(refs)
	if len(refs) <= flatMax {
		m.flat = slices.Clone(refs) // refs may have room for many more
		for _, hash := range hashes {
			m.note(hash)
		}
	} else {
		m.filter.Store(filterOf(hashes, 0))
		m.tree = buildTree(m.arena.chunks, refs)
	}
	m.publish()
	return m
}

// mergeRefs gives the entries that survive, in key order, as refs into the
// chunks of newer followed by those of older, the hashes of their keys, and the bytes
// they would take alone. spans is what the range deletes of the two cover.
func mergeRefs(newer, older *Memtable, spans []iterator.Span) (all chunks, refs []ref, hashes []uint64, liveBytes int64) {
	a, b := newer.newIter(MaxLSN), older.newIter(MaxLSN)
	defer a.Close()
	defer b.Close()
	newChunks, oldChunks := newer.frozenChunks(), older.frozenChunks()
	all = append(append(make(chunks, 0, len(newChunks)+len(oldChunks)), newChunks...), oldChunks...)
	shift := ref(len(newChunks)) << 32
	refs = make([]ref, 0, max(newer.Len(), older.Len()))
	hashes = make([]uint64, 0, cap(refs))
	ranges, hidden := cover{spans}, cover{newer.Spans(MaxLSN)}
	take := func(it *Iter, shift ref) {
		if it.row.kind == iterator.Tombstone && ranges.holds(it.row.key) {
			return
		}
		refs = append(refs, it.refs[it.slot]+shift)
		hashes = append(hashes, hashOf(it.row.key)) // now that the key is at hand
		liveBytes += int64(entryBytes(len(it.row.key), len(it.row.value), false))
	}
	a.First()
	b.First()
	for a.valid || b.valid {
		c := -1
		if !a.valid {
			c = 1
		} else if b.valid {
			c = bytes.Compare(a.row.key, b.row.key)
		}
		if c <= 0 {
			take(a, 0)
			a.Next()
		} else if !hidden.holds(b.row.key) {
			take(b, shift)
		}
		if c >= 0 {
			b.Next()
		}
	}
	return all, refs, hashes, liveBytes
}

func (m *Memtable) frozenChunks() chunks {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.published
}
