package forktree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// The cases that chance comes upon least often, on purpose: each with the rule and
// without it.

// flushed puts a node over the fork's path that has these rows in tables and marks
// what was found.
func (s *protocolStore) flushed(f *Fork, all rows, found ...TableMarks) *Node {
	s.lastLSN += 2
	f.Mem, f.Low = &memory{rows: all}, s.lastLSN
	n := s.tree.Freeze(f, s.lastLSN+1, ids.NodeID(s.id()))
	c := s.claim([]*Node{n})
	s.letInstall(c, found, func(found []TableMarks) {
		var offset uint64
		run := s.tree.NewRun(s.output(&job{}, &all, &offset))
		s.tree.InstallTables(c, run, found)
	})
	s.tree.Unclaim(c)
	return n
}

// merged makes one run of those of a range.
func (s *protocolStore) merged(rng ...*Node) {
	c := s.claim(rng)
	remap, all := sstable.NewRemapBuilder(), new(mixing)
	var consumed []*Table
	for _, n := range rng {
		for _, tb := range n.Run.Tables {
			all.add(tb, s.data[tb.Meta.ID], 0, remap.From(tb.Meta.ID, tb.Meta.Rows))
			consumed = append(consumed, tb)
		}
	}
	var offset uint64
	metas := s.output(&job{}, &all.rows, &offset)
	for _, m := range metas {
		all.keep(remap, m.ID, s.data[m.ID])
	}
	r := s.tree.Replace(c, s.tree.NewRun(metas), consumed, remap.Finish())
	s.install(r, nil)
	s.tree.Unclaim(c)
	for s.sweep(r, 1) {
	}
}

// TestMarksGoByRowNeverByKey: a node marks the older of a key's two rows, which the
// newer hides. A merge of both keeps the newer, and it does not inherit the mark.
func TestMarksGoByRowNeverByKey(t *testing.T) {
	for off, want := range map[string]uint32{"": 8, "byrow": 0} {
		s := newProtocolStore(1, off)
		f := s.tree.ForkByName("main")
		old := s.flushed(f, rows{5: 7})
		newer := s.flushed(f, rows{5: 8, 9: 1})
		var hidden set
		hidden.add(0)
		tb := old.Run.Tables[0]
		s.flushed(f, rows{1: 1}, TableMarks{Table: tb, Vector: hidden.vector(tb)})
		require.Equal(t, rows{1: 1, 5: 8, 9: 1}, s.data.content(nil, f.Top))

		s.merged(newer, old)
		require.Equal(t, rows{1: 1, 5: want, 9: 1}, s.data.content(nil, f.Top), "rule off: %q", off)
		if off == "" {
			require.Zero(t, s.tree.MarkCount(), "the row that was marked is gone")
		}
	}
}

// TestADeleteMarksWhatLiesUnderATombstone: a key has a row, above it a tombstone, and
// above that another row. A delete that leaves no tombstone marks all three, since a
// merge of the upper two leaves the tombstone out.
func TestADeleteMarksWhatLiesUnderATombstone(t *testing.T) {
	for off, want := range map[string]uint32{"": 0, "under": 7} {
		s := newProtocolStore(1, off)
		f := s.tree.ForkByName("main")
		s.flushed(f, rows{5: 7})
		deleted := s.flushed(f, rows{5: tombstone})
		newer := s.flushed(f, rows{5: 8, 9: 1})
		r := resolver{s: s, below: layers(newer), marks: map[*Table]set{}}
		for !r.gone(5) { // it may keep the tombstone as well
		}
		s.flushed(f, rows{1: 1}, r.found()...)
		require.Equal(t, rows{1: 1, 9: 1}, s.data.content(nil, f.Top))

		s.merged(newer, deleted)
		require.Equal(t, rows{1: 1, 5: want, 9: 1}, s.data.content(nil, f.Top), "rule off: %q", off)
	}
}
