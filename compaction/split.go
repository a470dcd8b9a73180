package compaction

import (
	"bytes"
	"cmp"
	"slices"
)

// Span is one table of a run that is to be merged, as Split sees it.
type Span struct {
	Smallest, Largest []byte // both inclusive
	Bytes             uint64
	Must              bool // it is to be written again, even if nothing overlaps it
}

// TableRef names a table by its place: of runs, newest first, and in its run.
type TableRef struct{ Run, Table int }

// Part is a piece of a merged run: tables whose rows are to be merged, or a single
// table that is taken over as it is.
type Part struct {
	Tables []TableRef // by rising smallest key, and so in order within each run
	Kept   bool
}

// Split says which tables of some runs a merge must read to make one run of them,
// and which become part of that run as they are: those that no other table overlaps
// have nothing to be merged with. The parts are in key order and disjoint, and every
// table is in exactly one of them.
//
// Taking over everything that can be would leave a run of ever smaller tables. So of
// two neighbours of less than small bytes both are read, and a small one beside
// tables that are read is read with them: the new run has at most about twice as many
// tables as it has large ones. Neighbours that are read are one part, so that tables
// are cut between them as anywhere.
//
// It is pure. Cost: O(n log n) for n tables.
func Split(runs [][]Span, small uint64) []Part {
	var parts []piece
	for _, p := range overlapping(runs) {
		if n := len(parts); n > 0 && belongTogether(&parts[n-1], &p, small) {
			parts[n-1].add(&p)
			continue
		}
		parts = append(parts, p)
	}
	out := make([]Part, len(parts))
	for i, p := range parts {
		out[i] = Part{Tables: p.tables, Kept: !p.read}
	}
	return out
}

// piece is a Part in the making.
type piece struct {
	tables []TableRef
	bytes  uint64
	read   bool
}

func (p *piece) add(next *piece) {
	p.tables = append(p.tables, next.tables...)
	p.bytes += next.bytes
	p.read = true
}

// belongTogether tells whether two neighbouring pieces are to be read as one.
func belongTogether(a, b *piece, small uint64) bool {
	switch {
	case a.read && b.read:
		return true
	case a.read:
		return b.bytes < small
	case b.read:
		return a.bytes < small
	}
	return a.bytes < small && b.bytes < small
}

// overlapping gives the smallest pieces that do not overlap each other.
func overlapping(runs [][]Span) []piece {
	var refs []TableRef
	for i, run := range runs {
		for j := range run {
			refs = append(refs, TableRef{i, j})
		}
	}
	span := func(r TableRef) *Span { return &runs[r.Run][r.Table] }
	slices.SortFunc(refs, func(a, b TableRef) int {
		return cmp.Or(bytes.Compare(span(a).Smallest, span(b).Smallest), cmp.Compare(a.Run, b.Run))
	})
	var out []piece
	var largest []byte // of the last piece
	for i, r := range refs {
		s := span(r)
		one := piece{tables: refs[i : i+1 : i+1], bytes: s.Bytes, read: s.Must}
		if len(out) == 0 || bytes.Compare(s.Smallest, largest) > 0 {
			out = append(out, one)
			largest = s.Largest
			continue
		}
		out[len(out)-1].add(&one)
		if bytes.Compare(s.Largest, largest) > 0 {
			largest = s.Largest
		}
	}
	return out
}
