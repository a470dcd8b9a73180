package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"sort"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// A walk over many runs costs a seek in each, and for each row a comparison with those of
// the others. Where many come by, the order that these comparisons would find is written down once
// for all of them: a weave, a byte for each row.

// weave is the order in which the rows of the newest runs from a flat down follow each
// other: for each row, in key order, the number of the run that has it. The rows
// of a run come in their own order, so that which one it is need not be said. It
// lasts as long as the flat: immutable, as that is.
//
// Rows of any kind are in it, and those that are dead in the flat, too: whoever walks it
// asks the view which ones these are.
type weave struct {
	strands []strand // newest first
	rows    []byte   // of each, in key order, the number of its strand; those of one key newest first, all but the newest with sameKey

	// An anchor is every anchorRows-th row, from the first one on.
	prefix []byte   // what all keys begin with
	heads  []uint64 // of anchors: the eight bytes of the key behind prefix
	rests  []byte   // of anchors: all of the key behind prefix, one after the other
	ends   []uint32 // for each anchor, where its key ends in rests
	before []uint32 // for each anchor, how many rows of each strand come before it

	next *flat // where the path goes on: at its layer number at. nil: it has ended
	at   int
}

// strand is one of the runs: those of its tables in which the flat has a live row.
type strand struct {
	tables []*forktree.Table
	firsts []uint32 // how many rows the tables before have; one more in the end
}

const (
	anchorRows = 64
	sameKey    = 0x80 // the row has the key of the one before
	maxStrands = sameKey
)

var errLongKeys = errors.New("the keys are too long")

// bytes is the memory held.
func (w *weave) bytes() int64 {
	n := cap(w.rows) + cap(w.prefix) + 8*cap(w.heads) + cap(w.rests) + 4*cap(w.ends) + 4*cap(w.before)
	for _, s := range w.strands {
		n += 64 + 4*cap(s.firsts) + 8*cap(s.tables)
	}
	return int64(n)
}

// strandOf gives the strand of a row.
func (w *weave) strandOf(row int) int { return int(w.rows[row] &^ sameKey) }

// hidden tells whether a row has the key of the one before, which is newer.
func (w *weave) hidden(row int) bool { return w.rows[row]&sameKey != 0 }

// countBefore leaves in n how many rows of each strand come before a row, which may be
// the one behind the last. O(anchorRows).
func (w *weave) countBefore(n []uint32, row int) {
	anchor := min(row/anchorRows, len(w.heads)-1)
	copy(n, w.before[anchor*len(w.strands):])
	for _, r := range w.rows[anchor*anchorRows : row] {
		n[r&^sameKey]++
	}
}

// place gives the strand of a row, and its number there.
func (w *weave) place(row int) (s int, n uint32) {
	s = w.strandOf(row)
	anchor := row / anchorRows
	n = w.before[anchor*len(w.strands)+s]
	part := w.rows[anchor*anchorRows : row]
	return s, n + uint32(bytes.Count(part, []byte{byte(s)})+bytes.Count(part, []byte{byte(s) | sameKey}))
}

// find gives the first row whose key is at or after key. compare compares a row's key
// with it; it is asked O(log anchorRows) times, and only for rows between the anchors that
// key lies between: what else there is, damage included, is nothing to a seek.
func (w *weave) find(key []byte, compare func(row int) int) int {
	if len(key) < len(w.prefix) || !bytes.Equal(key[:len(w.prefix)], w.prefix) {
		if bytes.Compare(key, w.prefix) < 0 {
			return 0
		}
		return len(w.rows)
	}
	rest := key[len(w.prefix):]
	h := headOf(rest)
	lo := sort.Search(len(w.heads), func(i int) bool { return w.heads[i] >= h })
	same := sort.Search(len(w.heads)-lo, func(i int) bool { return w.heads[lo+i] > h })
	anchor := lo + sort.Search(same, func(i int) bool { return bytes.Compare(w.restOf(lo+i), rest) >= 0 })
	if anchor == 0 {
		return 0
	}
	// The key of the anchor before is less, so what is found begins a key.
	first, end := (anchor-1)*anchorRows+1, min(anchor*anchorRows, len(w.rows))
	return first + sort.Search(end-first, func(i int) bool { return compare(first+i) >= 0 })
}

// restOf gives the key of an anchor behind prefix.
func (w *weave) restOf(anchor int) []byte {
	begin := uint32(0)
	if anchor > 0 {
		begin = w.ends[anchor-1]
	}
	return w.rests[begin:w.ends[anchor]]
}

// headOf gives the first eight bytes of key as a number that compares like them; what key
// is short of counts as zero.
func headOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// newWeave begins a weave of runs, of which those tables are given that count, newest run
// first.
func newWeave(runs [][]*forktree.Table) *weave {
	w := &weave{}
	var smallest, largest []byte
	all := uint32(0)
	for _, tables := range runs {
		s := strand{tables: tables, firsts: make([]uint32, 1, len(tables)+1)}
		for _, t := range tables {
			s.firsts = append(s.firsts, s.firsts[len(s.firsts)-1]+uint32(t.Meta.Rows))
			if smallest == nil || bytes.Compare(t.Meta.Smallest, smallest) < 0 {
				smallest = t.Meta.Smallest
			}
			if largest == nil || bytes.Compare(t.Meta.Largest, largest) > 0 {
				largest = t.Meta.Largest
			}
		}
		all += s.len()
		w.strands = append(w.strands, s)
	}
	shared := 0
	for shared < min(len(smallest), len(largest)) && smallest[shared] == largest[shared] {
		shared++
	}
	w.prefix = bytes.Clone(smallest[:shared])
	anchors := (int(all) + anchorRows - 1) / anchorRows
	w.rows = make([]byte, 0, all)
	w.heads = make([]uint64, 0, anchors)
	w.ends = make([]uint32, 0, anchors)
	w.before = make([]uint32, 0, anchors*len(runs))
	return w
}

// len is how many rows the strand has.
func (s *strand) len() uint32 { return s.firsts[len(s.firsts)-1] }

// fill reads the strands' rows, all of them, and writes their order down. stop is asked
// every so many rows, or bytes of them. errLongKeys: the anchors' keys would take too much memory.
func (w *weave) fill(rows []iterator.Iterator, stop func() error) error {
	heads := make([]iterator.Row, len(rows)) // where each strand stands
	count := make([]uint32, len(rows))
	var order []int // the strands that stand on a row, by key, and of equal keys newest first
	put := func(i, at int) {
		for ; at < len(order); at++ {
			if c := bytes.Compare(heads[i].Key, heads[order[at]].Key); c < 0 || c == 0 && i < order[at] {
				break
			}
			if at > 0 {
				order[at-1] = order[at]
			}
		}
		order[at-1] = i
	}
	for i, it := range rows {
		it.Into(&heads[i])
		if it.First() {
			order = append([]int{i}, order...)
			put(i, 1)
		}
		if err := it.Error(); err != nil {
			return err
		}
		if err := stop(); err != nil {
			return err
		}
	}
	var last []byte
	unasked := 0 // bytes of rows since stop was last asked
	for len(order) > 0 {
		i := order[0]
		key, same := heads[i].Key, byte(0)
		if len(w.rows) > 0 && bytes.Equal(key, last) {
			same = sameKey
		}
		if len(w.rows)%anchorRows == 0 {
			rest := key[len(w.prefix):]
			if len(w.rests)+len(rest) > mostRests(cap(w.rows)) {
				return errLongKeys
			}
			w.heads = append(w.heads, headOf(rest))
			w.rests = append(w.rests, rest...)
			w.ends = append(w.ends, uint32(len(w.rests)))
			w.before = append(w.before, count...)
		}
		w.rows = append(w.rows, byte(i)|same)
		count[i]++
		unasked += len(key) + len(heads[i].Value) + weaveStopBytes/weaveStopRows
		if unasked >= weaveStopBytes {
			unasked = 0
			if err := stop(); err != nil {
				return err
			}
		}
		last = append(last[:0], key...)
		if rows[i].Next() {
			put(i, 1)
			continue
		}
		if err := rows[i].Error(); err != nil {
			return err
		}
		order = order[1:]
	}
	w.rests = bytes.Clone(w.rests)
	for i, s := range w.strands {
		invariant.Check(count[i] == s.len(), "a weave has %d rows of a run of %d", count[i], s.len())
	}
	return nil
}

// mostRests bounds the bytes of anchors' keys in a weave of so many rows: keys may be 64 KiB long.
func mostRests(rows int) int { return min(2*rows+(1<<10), math.MaxInt32) }

// stop is asked at the latest after so many rows, or so many bytes of keys and values: whoever
// waits for the memory worker waits for no more than that.
const (
	weaveStopRows  = 1 << 8
	weaveStopBytes = 64 << 10
)
