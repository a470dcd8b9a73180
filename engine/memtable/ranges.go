package memtable

import (
	"bytes"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// A range delete is kept in a second memtable inside the first, whose rows are
// fragments: the key is where one begins, the value says how far on everything is
// deleted without a hole. It has versions as any row has, so a reader at an LSN
// sees the ranges of its time.
//
// Invariants: what is covered at an LSN is covered by the last fragment that
// begins at or before it, whenever that one was made; so a probe looks at a single
// fragment. For that a fragment is only ever begun where nothing was deleted
// before, and of fragments that follow each other all reach the next one. A
// fragment may reach over later ones: then a walk need not visit them.

// openEnd and closedEnd begin a fragment's value; of a closed one the end follows.
const (
	closedEnd = 0
	openEnd   = 1
)

// AddRange deletes the keys in [lo, hi), of this memtable and of what lies below
// it; an empty lo is from the first key, a nil hi to the last. The bounds are
// copied. lsn is as in Add, and of the range and an Add with the same LSN the
// later one counts.
//
// The rows of this memtable in the range get tombstones, so it costs O(log keys)
// for each of them: the caller sees to it that there are few. Beyond that it costs
// O(log ranges) for each hole between earlier ranges that it fills.
func (m *Memtable) AddRange(lsn ids.LSN, lo, hi []byte) {
	span := iterator.Span{Lo: append([]byte{}, lo...), Hi: hi} // an end of nil would be open
	if lsn < m.last || len(lo) > MaxKeyBytes || len(hi) > MaxKeyBytes || m.newestOnly || !span.EndsAbove(lo) {
		invariant.Check(false, "memtable: AddRange(lsn %d, %q, %q) after lsn %d, merged %v", lsn, lo, hi, m.last, m.newestOnly)
	}
	m.last = lsn
	it := m.newIter(MaxLSN)
	for ok := it.SeekGE(lo); ok && span.EndsAbove(it.row.key); ok = it.Next() {
		if it.row.kind != iterator.Tombstone {
			m.Add(lsn, it.row.key, iterator.Tombstone, nil)
		}
	}
	r := m.ranges.Load()
	if r == nil {
		r = New()
		m.ranges.Store(r)
	}
	r.cover(lsn, span)
	m.countBytes()
}

// RowsIn counts the keys in [lo, hi), tombstones included, and stops at most. Any
// reader may ask.
func (m *Memtable) RowsIn(lo, hi []byte, most int) int {
	span := iterator.Span{Lo: lo, Hi: hi}
	it := m.newIter(MaxLSN)
	n := 0
	for ok := it.SeekGE(lo); ok && n < most && span.EndsAbove(it.row.key); ok = it.Next() {
		n++
	}
	return n
}

// HasRanges tells whether there is any range delete. It takes no lock.
func (m *Memtable) HasRanges() bool { return m.ranges.Load() != nil }

// Covered tells whether a range delete at or before at hides key in older layers.
// It says nothing of the memtable's own rows: where Get finds one, that one alone
// counts. It costs O(log ranges), and nothing if there are none.
func (m *Memtable) Covered(key []byte, at ids.LSN) bool {
	r := m.ranges.Load()
	if r == nil {
		return false
	}
	r.mu.RLock()
	c := r.published
	f := r.floorLocked(c, key)
	r.mu.RUnlock()
	if f == noRef {
		return false
	}
	e, ok := r.version(c, f, at)
	return ok && spanOf(e).EndsAbove(key)
}

// Spans gives what range deletes at or before at cover, sorted, disjoint, and
// with gaps between. It costs a step for each span and, at worst, for each
// fragment. The spans alias memory that never changes.
func (m *Memtable) Spans(at ids.LSN) []iterator.Span {
	r := m.ranges.Load()
	if r == nil {
		return nil
	}
	var spans []iterator.Span
	it := r.newIter(at)
	for ok := it.First(); ok; {
		span := iterator.Span{Lo: it.row.key}
		span.Hi, ok = it.coveredTo()
		spans = append(spans, span)
	}
	return spans
}

// cover adds span to a memtable of fragments. Only the writer calls it.
func (m *Memtable) cover(lsn ids.LSN, span iterator.Span) {
	it := m.newIter(MaxLSN)
	head, end := span.Lo, span.Lo // all of [head, end) is covered
	if it.floor(span.Lo) {
		hi := spanOf(it.row).Hi
		if compareEnds(hi, span.Hi) >= 0 {
			return
		}
		if compareEnds(hi, span.Lo) >= 0 {
			head = it.row.key
			end, _ = it.coveredTo()
		}
	}
	grown := [][]byte{head} // the fragments that must reach further
	for compareEnds(end, span.Hi) < 0 {
		// A hole begins here, and the fragment before it is to fill it.
		if it.SeekLT(end) && bytes.Compare(it.row.key, head) > 0 {
			grown = append(grown, it.row.key)
		}
		if !it.SeekGE(end) || compareEnds(it.row.key, span.Hi) > 0 {
			end = span.Hi
			break
		}
		end, _ = it.coveredTo()
	}
	for _, lo := range grown {
		m.Add(lsn, lo, iterator.Set, appendEnd(nil, end))
	}
}

// floor moves to the last row at or before key.
func (it *Iter) floor(key []byte) bool {
	if !it.SeekGE(key) {
		return it.Last()
	}
	return bytes.Equal(it.row.key, key) || it.Prev()
}

// coveredTo tells how far everything is covered from the fragment on where it
// stands; nil means to the last key. It moves to the first fragment behind that,
// and more is false if there is none.
func (it *Iter) coveredTo() (end []byte, more bool) {
	for end = spanOf(it.row).Hi; end != nil; end = spanOf(it.row).Hi {
		if !it.Next() {
			return end, false
		}
		switch order := bytes.Compare(it.row.key, end); {
		case order > 0:
			return end, true
		case order == 0:
			continue
		}
		// The one before reaches over this one, and may end inside of a later one.
		it.floor(end)
		if compareEnds(spanOf(it.row).Hi, end) <= 0 {
			return end, it.Next()
		}
	}
	return nil, false
}

// compareEnds compares two ends of which nil is the last.
func compareEnds(a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return bytes.Compare(a, b)
}

// appendEnd extends dst by a fragment's value.
func appendEnd(dst, hi []byte) []byte {
	if hi == nil {
		return append(dst, openEnd)
	}
	return append(append(dst, closedEnd), hi...)
}

// spanOf is what a fragment covers. Its bounds alias the entry.
func spanOf(fragment entry) iterator.Span {
	if fragment.value[0] == openEnd {
		return iterator.Span{Lo: fragment.key}
	}
	return iterator.Span{Lo: fragment.key, Hi: fragment.value[1:]}
}

// floorLocked is the newest version of the last key at or before key, or noRef.
func (m *Memtable) floorLocked(c chunks, key []byte) ref {
	if m.tree == nil {
		at, found := searchFlat(c, m.flat, key)
		if found {
			at++
		}
		if at == 0 {
			return noRef
		}
		return m.flat[at-1]
	}
	l, at, found := m.tree.search(c, key)
	if found {
		at++
	}
	if at == 0 { // in the first leaf: any other begins with its separator
		return noRef
	}
	return l.refs[at-1]
}

// mergeRanges is a memtable of fragments for what either of two covers, or nil.
func mergeRanges(newer, older *Memtable) *Memtable {
	spans := slices.Concat(newer.Spans(MaxLSN), older.Spans(MaxLSN))
	if len(spans) == 0 {
		return nil
	}
	var last ids.LSN
	for _, in := range []*Memtable{newer, older} {
		if r := in.ranges.Load(); r != nil {
			last = max(last, r.last)
		}
	}
	m := New()
	for _, span := range iterator.JoinSpans(spans) {
		m.Add(last, span.Lo, iterator.Set, appendEnd(nil, span.Hi))
	}
	return m
}

// cover answers for rising keys whether they lie in sorted disjoint spans.
type cover struct{ spans []iterator.Span }

func (c *cover) holds(key []byte) bool {
	for len(c.spans) > 0 && !c.spans[0].EndsAbove(key) {
		c.spans = c.spans[1:]
	}
	return len(c.spans) > 0 && c.spans[0].Contains(key)
}
