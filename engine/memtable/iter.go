package memtable

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// warmRows is how many rows a scan touches ahead.
const warmRows = 8

// Iter walks a memtable as it was at an LSN. It works on a copy of one leaf's
// refs and takes the memtable's lock only to copy the next, so that a step costs
// no lock and a writer waits for a copy of half a KiB at most.
//
// Why the picture stands still although the copy gets old: whatever is added
// after the copy has a higher LSN than the iterator's and would be passed over.
// Keys are never removed, so a key of the copy can always be found again, and
// from it the way on, when leaves have been split meanwhile.
type Iter struct {
	m  *Memtable
	at ids.LSN

	chunks chunks // resolves refs[:count]
	leaf   *leaf  // that refs were copied from; nil if from the flat form
	splits uint64 // of the tree when they were copied
	count  int
	slot   int // in refs; the current row iff valid
	row    entry
	valid  bool
	into   *iterator.Row // where it leaves its rows; nil if nobody asked for them

	warmLo, warmHi int  // entries of refs[warmLo:warmHi] are in the processor's cache
	touched        byte // keeps the compiler from dropping the loads that warm

	refs [fanout]ref
}

// NewIter walks each key's newest version at or before at; keys that are younger
// do not appear, and tombstones do. Adds may go on: they must have LSNs above
// at, or have happened before the call. Key and Value stay good for ever. It
// costs one allocation of about 700 bytes, and no lock until the first move.
func (m *Memtable) NewIter(at ids.LSN) iterator.Iterator { return m.newIter(at) }

func (m *Memtable) newIter(at ids.LSN) *Iter { return &Iter{m: m, at: at} }

// Reset makes it what m.NewIter(at) gives. It must be closed, or never have been used.
func (it *Iter) Reset(m *Memtable, at ids.LSN) { *it = Iter{m: m, at: at} }

func (it *Iter) First() bool {
	it.m.mu.RLock()
	if t := it.m.tree; t != nil {
		it.copyLeaf(t.first, 0)
	} else {
		it.copyFlat(0)
	}
	it.m.mu.RUnlock()
	return it.forward()
}

func (it *Iter) Last() bool {
	it.m.mu.RLock()
	if t := it.m.tree; t != nil {
		it.copyLeaf(t.last, int(t.last.count)-1)
	} else {
		it.copyFlat(len(it.m.flat) - 1)
	}
	it.m.mu.RUnlock()
	return it.backward()
}

func (it *Iter) SeekGE(key []byte) bool {
	it.seek(key)
	return it.forward()
}

func (it *Iter) SeekLT(key []byte) bool {
	it.seek(key)
	it.slot--
	return it.backward()
}

func (it *Iter) Next() bool {
	if !it.valid {
		return false
	}
	it.slot++
	return it.forward()
}

func (it *Iter) Prev() bool {
	if !it.valid {
		return false
	}
	it.slot--
	return it.backward()
}

// Into makes moves leave the row in *row.
func (it *Iter) Into(row *iterator.Row) { it.into = row }

// show leaves the current row where it is expected.
func (it *Iter) show() {
	if it.into != nil {
		it.into.Key, it.into.Kind, it.into.Value = it.row.key, it.row.kind, it.row.value
	}
}

func (it *Iter) Valid() bool         { return it.valid }
func (it *Iter) Key() []byte         { return it.row.key }
func (it *Iter) Kind() iterator.Kind { return it.row.kind }
func (it *Iter) Value() []byte       { return it.row.value }
func (it *Iter) Error() error        { return nil }

func (it *Iter) Close() error {
	it.valid, it.count = false, 0
	it.chunks, it.leaf, it.row = nil, nil, entry{}
	return nil
}

// forward moves to the first visible row from slot on.
func (it *Iter) forward() bool {
	for {
		for ; it.slot < it.count; it.slot++ {
			if it.slot >= it.warmHi {
				it.warmHi = min(it.slot+warmRows, it.count)
				it.warm(it.slot, it.warmHi)
			}
			if it.row, it.valid = it.m.version(it.chunks, it.refs[it.slot], it.at); it.valid {
				it.show()
				return true
			}
		}
		if !it.copyNext() {
			it.valid = false
			return false
		}
	}
}

// backward moves to the last visible row up to slot.
func (it *Iter) backward() bool {
	for {
		for ; it.slot >= 0; it.slot-- {
			if it.slot < it.warmLo {
				it.warmLo = max(it.slot+1-warmRows, 0)
				it.warm(it.warmLo, it.slot+1)
			}
			if it.row, it.valid = it.m.version(it.chunks, it.refs[it.slot], it.at); it.valid {
				it.show()
				return true
			}
		}
		if !it.copyPrev() {
			it.valid = false
			return false
		}
	}
}

// warm touches the entries of refs[lo:hi]. Neighbouring keys lie anywhere in
// memory, and a scan would wait for each in turn; loads that do not depend on
// each other are waited for together. Measured over 500 k rows added in scattered
// order: 115 ns a row without, 70 with.
func (it *Iter) warm(lo, hi int) {
	for _, r := range it.refs[lo:hi] {
		it.touched += it.chunks[r>>32][uint32(r)+entryHeaderBytes-1]
	}
}

// seek copies the leaf where key belongs; slot is that of the first key at or
// after it, or count.
func (it *Iter) seek(key []byte) {
	m := it.m
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.tree == nil {
		at, _ := searchFlat(m.published, m.flat, key)
		it.copyFlat(at)
		return
	}
	l, at, _ := m.tree.search(m.published, key)
	it.copyLeaf(l, at)
}

// copyNext goes on to the leaf behind the copied refs. It is false at the end;
// the flat form is always copied whole, so what was added since is younger.
func (it *Iter) copyNext() bool {
	if it.leaf == nil {
		return false
	}
	m := it.m
	m.mu.RLock()
	defer m.mu.RUnlock()
	l, slot := it.leaf.next, 0
	if m.tree.splits != it.splits {
		edge := it.chunks.key(it.refs[it.count-1])
		l, slot, _ = m.tree.search(m.published, edge)
		slot++
		if slot == int(l.count) {
			l, slot = l.next, 0
		}
	}
	if l == nil {
		return false
	}
	it.copyLeaf(l, slot)
	return true
}

// copyPrev goes on to the leaf before the copied refs. It is false at the end. A
// split does not matter here: it leaves the lower keys in the leaf, and whatever
// leaf is the previous one now ends just before them.
func (it *Iter) copyPrev() bool {
	if it.leaf == nil {
		return false
	}
	m := it.m
	m.mu.RLock()
	defer m.mu.RUnlock()
	l := it.leaf.prev
	if l == nil {
		return false
	}
	it.copyLeaf(l, int(l.count)-1)
	return true
}

func (it *Iter) copyLeaf(l *leaf, slot int) {
	it.leaf, it.splits = l, it.m.tree.splits
	it.chunks = it.m.published
	it.count = copy(it.refs[:], l.refs[:l.count])
	it.slot, it.warmLo, it.warmHi = slot, slot, slot
}

func (it *Iter) copyFlat(slot int) {
	it.leaf = nil
	it.chunks = it.m.published
	it.count = copy(it.refs[:], it.m.flat)
	it.slot, it.warmLo, it.warmHi = slot, slot, slot
}
