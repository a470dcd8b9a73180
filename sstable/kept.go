package sstable

import "github.com/tinedb/tine/internal/invariant"

// readerRing is the readers that a Tables keeps, and the hand of a CLOCK that passes
// over them: it spares each that was used since it came by last. A reader enters
// behind the hand. Guarded by Tables.mu.
type readerRing struct {
	hand     *opening // the next to be looked at; nil if the ring is empty
	readers  int
	bytes    int64
	maxBytes int64 // 0: no bound
	evicted  uint64
}

// LimitReaders bounds the memory of the readers that are kept, indexes and filters:
// about 1.5 bytes a row. One that falls out is opened again when it is asked for;
// those who hold it go on with it, uncached. The reader asked for last is kept in any
// case. 0 is no bound.
func (t *Tables) LimitReaders(maxBytes int64) {
	t.mu.Lock()
	t.mu.kept.maxBytes = maxBytes
	unused := t.evictLocked(nil)
	t.mu.Unlock()
	dropBlocks(unused)
}

// ReaderStats says what is kept. Evicted counts since the Tables was made.
type ReaderStats struct {
	Readers int
	Bytes   int64
	Evicted uint64
}

// ReaderStats gives the present figures.
func (t *Tables) ReaderStats() ReaderStats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	k := &t.mu.kept
	return ReaderStats{Readers: k.readers, Bytes: k.bytes, Evicted: k.evicted}
}

// evictLocked lets go of readers, but not of spare, until those that are left are
// within the bound. It gives the blocks of the others. It waits for nobody: who reads
// with one of them has it in hand.
func (t *Tables) evictLocked(spare *opening) (unused []*tableBlocks) {
	k := &t.mu.kept
	for k.maxBytes > 0 && k.bytes > k.maxBytes && (spare == nil || k.readers > 1) {
		unused = append(unused, t.letGoLocked(k.victim(spare))...)
		k.evicted++
	}
	return unused
}

// victim gives the first reader that was not used since the hand last passed it.
func (k *readerRing) victim(spare *opening) *opening {
	// Readers may be used as fast as the hand clears their marks; two rounds are
	// enough to be fair.
	for range 2 * k.readers {
		if k.hand != spare && !k.hand.r.used.Swap(false) {
			break
		}
		k.hand = k.hand.next
	}
	if k.hand == spare {
		k.hand = k.hand.next
	}
	return k.hand
}

func (k *readerRing) insert(o *opening) {
	if k.hand == nil {
		o.next, o.previous = o, o
		k.hand = o
	} else {
		o.next, o.previous = k.hand, k.hand.previous
		o.previous.next, o.next.previous = o, o
	}
	k.bytes += o.r.memoryBytes()
	k.readers++
}

func (k *readerRing) remove(o *opening) {
	if k.hand == o {
		k.hand = o.next
	}
	if k.hand == o {
		k.hand = nil
	}
	o.previous.next, o.next.previous = o.next, o.previous
	o.next, o.previous = nil, nil
	k.bytes -= o.r.memoryBytes()
	k.readers--
	invariant.Check(k.readers >= 0 && k.bytes >= 0, "tables: %d bytes in %d readers", k.bytes, k.readers)
}

// What a reader takes beside the parts of the table that it keeps, and for each block
// in the index and in the list of cached blocks.
const (
	readerOverheadBytes = 700
	readerBlockBytes    = 8 + 32 + 8
)

// memoryBytes is about what the reader holds.
func (r *Reader) memoryBytes() int64 {
	p := &r.properties
	return int64(p.FilterBytes+p.IndexBytes+p.PropertiesBytes) + readerBlockBytes*int64(len(r.index.entries)) + readerOverheadBytes
}

// use marks the reader as used since the hand came by. Most find the mark set; reading
// it first keeps its cache line shared.
func (r *Reader) use() {
	if !r.used.Load() {
		r.used.Store(true)
	}
}
