package memtable

import (
	"bytes"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/keyfilter"
	"github.com/tinedb/tine/internal/spin"
)

// MaxLSN as the time of a read means "the newest version, whatever its LSN".
const MaxLSN = ^ids.LSN(0)

// What a row may have at most. The engine refuses larger ones before they come
// here.
const (
	MaxKeyBytes   = 64 << 10
	MaxValueBytes = 64 << 20
)

// flatMax is the number of keys up to which a sorted array of refs serves. A
// search reads an entry per comparison then, at most five; from here on a leaf
// of 1 KiB is small against the entries.
const flatMax = 16

const (
	sliceBytes    = int64(unsafe.Sizeof([]byte{}))
	refBytes      = int64(unsafe.Sizeof(ref(0)))
	treeBytes     = int64(unsafe.Sizeof(tree{}))
	memtableBytes = int64(unsafe.Sizeof(Memtable{}))
)

// Memtable is the mutable top of a fork, or what that top was when it was frozen
// into a node. It belongs to the fork or node that it holds the rows of.
//
// One writer at a time calls Add, AddRows and AddRange; that is the caller's lock, not this one's. Any
// number of readers and iterators may work meanwhile. The writer reads the
// structure without a lock, since nobody else changes it, and takes mu to change
// it. Readers take mu to find an entry, and read the entry without: entries
// never change.
//
// Invariants: LSNs never fall from one Add to the next; exactly one of flat and
// tree holds the keys (neither, if there are none); every ref in them is in
// published; the filter that goes with the form knows every key in it.
type Memtable struct {
	mu        spin.RWMutex
	published chunks // what readers resolve refs with
	flat      []ref  // sorted by key; nil once there is a tree
	tree      *tree
	keys      int
	// newestOnly says that this memtable was made by Merge: it may share its
	// entries with its inputs, and then what they call the previous version
	// means another chunk here.
	newestOnly bool
	// ranges holds the range deletes, as rows of their own kind; nil if there are
	// none. Once set it stays the same.
	ranges atomic.Pointer[Memtable]

	few    atomic.Uint64                    // a filter of the keys while they are in flat
	filter atomic.Pointer[keyfilter.Filter] // of those in tree; nil without one

	// The writer's.
	arena arena
	last  ids.LSN

	bytes atomic.Int64
}

// New makes an empty memtable. It allocates nothing else until the first Add.
func New() *Memtable {
	m := &Memtable{}
	m.bytes.Store(memtableBytes)
	return m
}

// Add puts a version of key in, and copies key and value. lsn must not be below
// that of an earlier Add; of two Adds of a key with the same lsn the later one
// counts, and of an Add and an AddRange as well. It costs O(log keys), and less behind all other keys;
// readers wait for the last step of it only, not for the copying. A Tombstone has no value.
func (m *Memtable) Add(lsn ids.LSN, key []byte, kind iterator.Kind, value []byte) {
	m.checkAdd(lsn, key, kind, value)
	m.last = lsn
	c := m.arena.chunks
	e := entry{lsn: lsn, prev: noRef, kind: kind, key: key, value: value}
	if m.tree == nil {
		m.addFlat(c, e)
	} else {
		m.addTree(c, e)
	}
}

func (m *Memtable) checkAdd(lsn ids.LSN, key []byte, kind iterator.Kind, value []byte) {
	if lsn < m.last || len(key) > MaxKeyBytes || len(value) > MaxValueBytes || m.newestOnly ||
		kind != iterator.Set && (kind != iterator.Tombstone || len(value) > 0) {
		invariant.Check(false, "memtable: Add(lsn %d, %d key bytes, kind %d, %d value bytes) after lsn %d, merged %v",
			lsn, len(key), kind, len(value), m.last, m.newestOnly)
	}
}

// Get finds the newest version of key at or before at. found is false if there
// is none; a Tombstone is found. The value aliases memory that never changes and
// lives as long as the value is referenced: the caller may keep it, but not
// write to it. It costs O(log keys), plus one step for each version newer than
// at; and most often nothing but a look at a filter if the memtable does not have key.
func (m *Memtable) Get(key []byte, at ids.LSN) (value []byte, kind iterator.Kind, found bool) {
	return m.GetHashed(key, hashOf(key), at)
}

// GetHashed is Get for a caller that has sstable.KeyHash of the key.
func (m *Memtable) GetHashed(key []byte, hash uint64, at ids.LSN) (value []byte, kind iterator.Kind, found bool) {
	if !m.MayHave(hash) {
		return nil, 0, false
	}
	m.mu.RLock()
	c := m.published
	r := m.findLocked(c, key)
	m.mu.RUnlock()
	if r == noRef {
		return nil, 0, false
	}
	e, ok := m.version(c, r, at)
	if !ok {
		return nil, 0, false
	}
	return e.value, e.kind, true
}

// findLocked is the newest version of key, or noRef.
func (m *Memtable) findLocked(c chunks, key []byte) ref {
	if m.tree != nil {
		l, _ := m.tree.leafFor(c, key)
		if at := l.find(c, key); at >= 0 {
			return l.refs[at]
		}
		return noRef
	}
	if at, found := searchFlat(c, m.flat, key); found {
		return m.flat[at]
	}
	return noRef
}

// version is the newest version at or before at of the key whose newest version
// is r. It is false if all are younger.
func (m *Memtable) version(c chunks, r ref, at ids.LSN) (entry, bool) {
	for {
		e := c.entry(r)
		if e.lsn <= at {
			return e, true
		}
		if e.prev == noRef || m.newestOnly {
			return entry{}, false
		}
		r = e.prev
	}
}

// Bytes is the memory held, as far as it grows with what is put in. It never
// falls. It takes no lock.
func (m *Memtable) Bytes() int64 { return m.bytes.Load() }

// Len is the number of distinct keys, tombstones included and range deletes not:
// a memtable that is not empty may have none.
func (m *Memtable) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.keys
}

func (m *Memtable) addFlat(c chunks, e entry) {
	at, found := searchFlat(c, m.flat, e.key)
	if found {
		e.prev = c.hiddenBy(m.flat[at], e.lsn)
	} else if len(m.flat) < flatMax {
		m.note(hashOf(e.key))
	}
	r := m.write(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.publish()
	switch {
	case found:
		m.flat[at] = r
		return
	case len(m.flat) < flatMax:
		m.flat = slices.Insert(m.flat, at, r)
	default:
		all := slices.Insert(m.flat, at, r)
		hashes := make([]uint64, len(all))
		for i, r := range all {
			hashes[i] = hashOf(m.published.key(r))
		}
		m.filter.Store(filterOf(hashes, firstFilterKeys-len(all)))
		m.tree = buildTree(m.published, all)
		m.flat = nil
	}
	m.keys++
	m.countBytes()
}

func (m *Memtable) addTree(c chunks, e entry) {
	l, at, found := m.tree.place(c, e.key)
	if found {
		e.prev = c.hiddenBy(l.refs[at], e.lsn)
	} else {
		m.note(hashOf(e.key))
	}
	r := m.write(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.publish()
	switch {
	case found:
		l.refs[at] = r
		return
	case l.count < fanout:
		l.insert(m.published, at, e.key, r)
	default:
		m.tree.insertSplitting(m.published, e.key, r)
	}
	m.keys++
	m.countBytes()
}

// hiddenBy is the version that stays behind a new one with the given LSN: one
// with the same LSN can never be asked for again.
func (c chunks) hiddenBy(r ref, lsn ids.LSN) ref {
	if e := c.entry(r); e.lsn == lsn {
		return e.prev
	}
	return r
}

// publish lets readers resolve the refs of all
// entries written so far.
func (m *Memtable) publish() {
	m.published = m.arena.chunks
	m.countBytes()
}

// countBytes adds up what is held. It stores the sum only if it changed, since
// most Adds find room in a chunk.
func (m *Memtable) countBytes() {
	n := memtableBytes + m.arena.bytes + int64(cap(m.flat))*refBytes
	if m.tree != nil {
		n += m.tree.bytes + m.filter.Load().Bytes()
	}
	if r := m.ranges.Load(); r != nil {
		n += r.Bytes()
	}
	if n != m.bytes.Load() {
		m.bytes.Store(n)
	}
}

// write copies e into the arena, where no reader sees it yet.
func (m *Memtable) write(e entry) ref {
	r, b := m.arena.alloc(entryBytes(len(e.key), len(e.value), e.prev != noRef))
	e.put(b)
	return r
}

// searchFlat is the number of keys below key in the flat form, and whether the
// next one equals it.
func searchFlat(c chunks, flat []ref, key []byte) (at int, found bool) {
	lo, hi := 0, len(flat)
	for lo < hi {
		mid := (lo + hi) / 2
		switch cmp := bytes.Compare(c.key(flat[mid]), key); {
		case cmp == 0:
			return mid, true
		case cmp < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}
