package manifest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// Marks are dead rows of one table, added to those that one node has marked there
// already. Unlike the other records they are no after-image: a flush that marks a
// few rows logs these few, whatever the node's whole vector weighs. Since adding is
// an OR, and a vector only ever grows until it is dropped whole, adding twice still
// equals adding once, which is all that a rewrite asks for.
//
// Marks are also the one thing that a transaction may be torn from: where there are
// very many, they reach the disk before the rest does (see Log.Append). Whoever adds
// marks makes sure that they do no harm without the rest. They do none on a node or
// a table that is not there yet.
type Marks struct {
	Node   ids.NodeID
	Table  ids.TableID
	Vector *sstable.Vector // immutable, so the state and its callers may share it
}

// MarksKey says whose vector, and on which table.
type MarksKey struct {
	Node  ids.NodeID
	Table ids.TableID
}

// Key gives the vector to which the marks are added.
func (m *Marks) Key() MarksKey { return MarksKey{m.Node, m.Table} }

// compareMarksKeys orders vectors by node, then by table.
func compareMarksKeys(a, b MarksKey) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Table, b.Table))
}

func sortedMarks(marks map[MarksKey]*sstable.Vector) []MarksKey {
	keys := make([]MarksKey, 0, len(marks))
	for k := range marks {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareMarksKeys)
	return keys
}

// checkMarks tells what is wrong with marks taken alone.
func checkMarks(m *Marks) error {
	switch {
	case m.Node == 0 || m.Table == 0:
		return fmt.Errorf("marks of node %d on table %d", m.Node, m.Table)
	case m.Vector == nil:
		return fmt.Errorf("marks of node %d on table %d have no vector", m.Node, m.Table)
	}
	return nil
}

// admits tells whether the transaction's marks can be added: a table never changes
// under its id, so all that is said of its rows agrees on their number. It is asked
// before anything is changed. Cost: O(marks in t), and of its tables if there are
// any.
func (s *State) admits(t *Transaction) error {
	if len(t.AddMarks) == 0 {
		return nil
	}
	rows := make(map[ids.TableID]uint64, len(t.PutTables))
	for i := range t.PutTables {
		rows[t.PutTables[i].ID] = t.PutTables[i].Rows
	}
	for i := range t.AddMarks {
		m := &t.AddMarks[i]
		want, known := rows[m.Table]
		if table, ok := s.Tables[m.Table]; ok && !known {
			want, known = table.Rows, true
		}
		if v := s.Marks[m.Key()]; v != nil && !known {
			want, known = v.Rows(), true
		}
		if known && m.Vector.Rows() != want {
			return fmt.Errorf("node %d marks rows of table %d as if it had %d rows instead of %d", m.Node, m.Table, m.Vector.Rows(), want)
		}
		rows[m.Table] = m.Vector.Rows()
	}
	return nil
}

func (s *State) addMarks(m *Marks) {
	v := m.Vector
	if have := s.Marks[m.Key()]; have != nil && have != v {
		v = sstable.UnionVectors(have, v)
	}
	s.Marks[m.Key()] = v
}

// checkAllMarks: vectors of nodes and tables that are not there are allowed, see
// forgetMarks.
func (s *State) checkAllMarks() error {
	for _, k := range sortedMarks(s.Marks) {
		m := Marks{k.Node, k.Table, s.Marks[k]}
		if err := checkMarks(&m); err != nil {
			return err
		}
		if t, ok := s.Tables[k.Table]; ok && t.Rows != m.Vector.Rows() {
			return fmt.Errorf("node %d marks rows of table %d as if it had %d rows instead of %d", k.Node, k.Table, m.Vector.Rows(), t.Rows)
		}
		if err := s.checkIDs("marks of node", uint64(k.Node), uint64(k.Table)); err != nil {
			return err
		}
	}
	return nil
}

// forgetMarks removes the vectors whose node or table is not there, and tells how
// many: what was staged for a swap that did not happen, marks of a node whose flush
// did not get to its end, and what a drop or a swap had not swept yet. Ids are never
// used again, so nothing will ever ask for them. While a log runs they must stay,
// for the node or table may be about to come.
func (s *State) forgetMarks() (forgotten int) {
	for k := range s.Marks {
		_, node := s.Nodes[k.Node]
		_, table := s.Tables[k.Table]
		if !node || !table {
			delete(s.Marks, k)
			forgotten++
		}
	}
	return forgotten
}

// marksChanges gives the marks and the drops that turn from's vectors into to's.
// A vector that is in both has not lost a row: that is asserted.
func marksChanges(from, to *State) (add []Marks, drop []MarksKey) {
	for k, b := range to.Marks {
		a := from.Marks[k]
		if a == b {
			continue
		}
		if a != nil {
			both := sstable.UnionVectors(a, b)
			invariant.Check(both.Dead() == b.Dead(), "manifest: the vector of node %d on table %d has lost rows: from %d to %d, %d in both",
				k.Node, k.Table, a.Dead(), b.Dead(), both.Dead())
			if a.Dead() == b.Dead() {
				continue
			}
		}
		add = append(add, Marks{k.Node, k.Table, b})
	}
	for k := range from.Marks {
		if to.Marks[k] == nil {
			drop = append(drop, k)
		}
	}
	return add, drop
}
