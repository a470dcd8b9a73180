package forktree

import (
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// resolver turns what a job deletes into marks on rows of older tables, as they are
// when the job begins.
type resolver struct {
	s     *protocolStore
	below []layer
	marks map[*Table]set
}

// place is where a key has a row: in a table, or in memory.
type place struct {
	table *Table // nil: in memory
	row   int
	value uint32
	dead  bool
}

// resolve takes out of a job's rows the tombstones that need not be written, and
// gives the rows of older tables that are dead instead. covered are the keys that
// range deletes cover; of a covered key every older row is marked. A tombstone may be
// kept, or all rows be marked that the key has further below.
func (s *protocolStore) resolve(all *rows, covered set, below []layer) []TableMarks {
	r := resolver{s: s, below: below, marks: map[*Table]set{}}
	for k, v := range all {
		switch {
		case covered.has(k):
			s.saw("range resolved")
			r.mark(r.places(k))
			if v == tombstone {
				all[k] = 0
			}
		case v == tombstone && r.gone(k):
			all[k] = 0
		}
	}
	if s.chance(30) {
		k := s.rand.Intn(keyCount)
		r.markHidden(k, all[k] != 0)
	}
	return r.found()
}

// places gives the rows that a key has, newest first.
func (r *resolver) places(key int) []place {
	var out []place
	for _, l := range r.below {
		if l.mem != nil {
			if v := l.mem.layer()[key]; v != 0 {
				out = append(out, place{value: v})
			}
			continue
		}
		tb := l.run.Find([]byte{byte(key)})
		if tb == nil {
			continue
		}
		all := r.s.data[tb.Meta.ID]
		if v := all[key]; v != 0 {
			row := all.before(key)
			out = append(out, place{table: tb, row: row, value: v, dead: l.dead[tb].has(row)})
		}
	}
	return out
}

func (r *resolver) mark(places []place) {
	for _, p := range places {
		if p.table == nil {
			continue // only with the rule "rangewait" off
		}
		dead := r.marks[p.table]
		dead.add(p.row)
		r.marks[p.table] = dead
	}
}

// gone tells whether a tombstone of the key need not be written, and marks the rows
// that it would hide.
func (r *resolver) gone(key int) bool {
	var hits []place
	for _, p := range r.places(key) {
		switch {
		case p.dead:
			continue
		case p.table == nil && (p.value != tombstone || len(hits) > 0):
			r.s.saw("tombstone kept over memory")
			return false
		case p.value == tombstone && len(hits) == 0:
			r.s.saw("deleted below already")
			return true
		case p.value == tombstone && r.s.off == "under":
			r.mark(hits)
			return true
		}
		hits = append(hits, p)
	}
	switch {
	case len(hits) == 0:
		r.s.saw("tombstone dropped")
		return true
	case r.s.chance(65):
		r.s.saw("tombstone kept")
		return false
	}
	r.s.saw("tombstone resolved")
	r.mark(hits)
	return true
}

// markHidden marks rows of a key of which something newer hides the newest. Nobody
// who reads through the job's node can tell; but all that is older than a marked row
// must be marked as well.
func (r *resolver) markHidden(key int, ownRow bool) {
	places := slices.DeleteFunc(r.places(key), func(p place) bool { return p.dead })
	if !ownRow && len(places) > 0 {
		places = places[1:]
	}
	if len(places) == 0 {
		return
	}
	places = places[r.s.rand.Intn(len(places)):]
	if !slices.ContainsFunc(places, func(p place) bool { return p.table == nil }) {
		r.s.saw("hidden rows marked")
		r.mark(places)
	}
}

func (r *resolver) found() []TableMarks {
	var out []TableMarks
	for tb, dead := range r.marks {
		out = append(out, TableMarks{Table: tb, Vector: dead.vector(tb)})
	}
	slices.SortFunc(out, func(a, b TableMarks) int { return cmp.Compare(a.Table.Meta.ID, b.Table.Meta.ID) })
	return out
}

// through gives n and the nodes above it that every path to n goes through.
func (s *protocolStore) through(n *Node) []*Node {
	out := []*Node{n}
	for n.Holders() == 1 || s.off == "through" {
		var above []*Node
		for _, x := range s.tree.Nodes() {
			if x.Older == n {
				above = append(above, x)
			}
		}
		if len(above) == 0 {
			break
		}
		n = above[s.rand.Intn(len(above))]
		out = append(out, n)
	}
	return out
}

// mixing is what a merge has read: for each key the newest row, and where it was.
type mixing struct {
	rows rows
	from [keyCount]origin
}

type origin struct {
	source *sstable.RemapSource
	row    int
}

func (x *mixing) add(tb *Table, all *rows, dead set, source *sstable.RemapSource) {
	row := 0
	for k, v := range all {
		if v == 0 {
			continue
		}
		if x.rows[k] == 0 && !dead.has(row) {
			x.rows[k], x.from[k] = v, origin{source, row}
		}
		row++
	}
}

// keep notes where the rows of a new table were.
func (x *mixing) keep(remap *sstable.RemapBuilder, id ids.TableID, written *rows) {
	remap.To(id)
	for k, v := range written {
		if v != 0 {
			x.from[k].source.Keep(uint64(x.from[k].row))
		}
	}
}
