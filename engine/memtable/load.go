package memtable

import (
	"bytes"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// loadAbove is how many keys a memtable has before a Loader gathers further rows.
// Below it, trees are small and stay in the processor's cache. Where assertions are
// checked, small scripts are to come here, too.
var loadAbove = func() int {
	if invariant.Expensive {
		return 2 * flatMax
	}
	return 1024
}()

// Loader fills a memtable that nobody reads yet, as recovery does: the rows of a long
// log are written one behind the other, sorted once at the end, and get their tree in one
// go, at about half of what it costs to search it for the place of each.
// Of the versions of a key only the newest can be read then, since whoever reads
// comes later than all of them.
//
// One goroutine uses it, and nobody the memtable before Memtable has returned it.
type Loader struct {
	m        *Memtable
	late     []lateRow // written and not in the tree, in the order in which they came
	oneByOne bool      // a range delete has come, and looks into the tree
}

// lateRow is a row that has no place in the tree yet. The head is that of its key behind
// what all keys have in common.
type lateRow struct {
	head uint64
	ref  ref
}

// NewLoader begins a memtable.
func NewLoader() *Loader { return &Loader{m: New()} }

// Add is Memtable.Add.
func (l *Loader) Add(lsn ids.LSN, key []byte, kind iterator.Kind, value []byte) {
	m := l.m
	if l.oneByOne || m.keys < loadAbove {
		m.Add(lsn, key, kind, value)
		return
	}
	m.checkAdd(lsn, key, kind, value)
	m.last = lsn
	m.note(hashOf(key))
	l.late = append(l.late, lateRow{ref: m.write(entry{lsn: lsn, prev: noRef, kind: kind, key: key, value: value})})
}

// AddRows is Memtable.AddRows.
func (l *Loader) AddRows(lsn ids.LSN, rows []iterator.Row) {
	for i := range rows {
		l.Add(lsn, rows[i].Key, rows[i].Kind, rows[i].Value)
	}
}

// AddRange is Memtable.AddRange. From the first one on, rows are added one by one.
func (l *Loader) AddRange(lsn ids.LSN, lo, hi []byte) {
	l.settle()
	l.oneByOne = true
	l.m.AddRange(lsn, lo, hi)
}

// Memtable gives the memtable with all that was added. The loader may go on.
func (l *Loader) Memtable() *Memtable {
	l.settle()
	return l.m
}

// settle makes the tree anew, of what is in it and what is to come in.
func (l *Loader) settle() {
	if len(l.late) == 0 {
		return
	}
	m := l.m
	c := m.arena.chunks
	rows := make([]lateRow, 0, m.keys+len(l.late))
	for x := m.tree.first; x != nil; x = x.next {
		for _, r := range x.refs[:x.count] {
			rows = append(rows, lateRow{ref: r})
		}
	}
	rows = append(rows, l.late...) // behind those that they replace
	l.late = nil
	refs := newestRefs(c, rows)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tree, m.keys = buildTree(c, refs), len(refs)
	m.publish()
}

// newestRefs sorts rows, of which later ones replace earlier ones of the same key. It
// uses up rows.
func newestRefs(c chunks, rows []lateRow) []ref {
	first := c.key(rows[0].ref)
	shared := len(first)
	for _, r := range rows[1:] {
		shared = sharedBytes(first[:shared], c.key(r.ref))
	}
	for i := range rows {
		rows[i].head = head(c.key(rows[i].ref), shared)
	}
	rows = sortByHead(rows)
	refs := make([]ref, 0, len(rows))
	for lo := 0; lo < len(rows); {
		hi := lo + 1
		for hi < len(rows) && rows[hi].head == rows[lo].head {
			hi++
		}
		if hi == lo+1 {
			refs = append(refs, rows[lo].ref)
		} else {
			refs = appendNewest(refs, c, rows[lo:hi])
		}
		lo = hi
	}
	invariant.Check(len(refs) > 0 && len(refs) <= len(rows), "memtable: %d keys of %d rows", len(refs), len(rows))
	return refs
}

// appendNewest appends the newest row of each key, sorted, of rows whose heads are the
// same and which are in the order in which they came.
func appendNewest(refs []ref, c chunks, rows []lateRow) []ref {
	type keyed struct {
		key   []byte
		place int
	}
	keys := make([]keyed, len(rows))
	for i, r := range rows {
		keys[i] = keyed{c.key(r.ref), i}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		if order := bytes.Compare(a.key, b.key); order != 0 {
			return order
		}
		return a.place - b.place
	})
	for i, k := range keys {
		if i+1 == len(keys) || !bytes.Equal(k.key, keys[i+1].key) {
			refs = append(refs, rows[k.place].ref)
		}
	}
	return refs
}

// sortByHead sorts rows byte by byte of their heads, from the last to the first, and
// leaves those with the same head in their order. It costs a pass for each byte in which
// heads differ, and as much memory again. It uses up rows.
func sortByHead(rows []lateRow) []lateRow {
	var counts [8][256]int
	for _, r := range rows {
		for digit := range 8 {
			counts[digit][byte(r.head>>(8*digit))]++
		}
	}
	other := make([]lateRow, len(rows))
	for digit := range 8 {
		places := &counts[digit]
		if places[byte(rows[0].head>>(8*digit))] == len(rows) {
			continue
		}
		at := 0
		for b, n := range places {
			places[b] = at
			at += n
		}
		for _, r := range rows {
			b := byte(r.head >> (8 * digit))
			other[places[b]] = r
			places[b]++
		}
		rows, other = other, rows
	}
	return rows
}
