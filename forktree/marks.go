package forktree

import (
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// Marks is what one node marks dead in one table. On every path through the node
// those rows read as if they were not there; on other paths they are alive. The
// table's own node is the marking node or an older one of its path, except while a
// replacement is staged and until it is swept, when the table may be on no path of
// the node: then the marks say nothing.
//
// Whoever marks a row of a key marks every older row of the key that its path
// reaches, whether something hides it now or not: a merge may leave out what hides
// it. Two nodes of one path may mark the same row, so the sum of their counts is
// only a bound. Owned by the Tree, under its lock; the vector is immutable.
type Marks struct {
	Node   *Node
	Table  *Table
	Vector *sstable.Vector

	// Local is the engine's own, such as the form that readers use of this
	// vector and those below it; the tree never looks at it. It is lost when the
	// vector changes.
	Local any

	place int // in Table.holders
}

// TableMarks are rows of one table that a job has found to be dead.
type TableMarks struct {
	Table  *Table
	Vector *sstable.Vector
}

// Marks gives what the node marks dead, by rising table id. The slice is good as
// long as the Tree's lock is held.
func (n *Node) Marks() []*Marks { return n.marks }

// MarksOn gives the node's marks on a table, nil if it has none.
func (n *Node) MarksOn(tb *Table) *Marks {
	i, ok := n.findMarks(tb)
	if !ok {
		return nil
	}
	return n.marks[i]
}

func (n *Node) findMarks(tb *Table) (int, bool) {
	return slices.BinarySearchFunc(n.marks, tb.Meta.ID, func(m *Marks, id ids.TableID) int {
		return cmp.Compare(m.Table.Meta.ID, id)
	})
}

// Holders is the number of nodes that mark rows of the table.
func (tb *Table) Holders() int { return len(tb.holders) }

// Marked gives each node's marks on the table, in no order. The slice is good as
// long as the Tree's lock is held.
func (tb *Table) Marked() []*Marks { return tb.holders }

// addMarks lets n mark more rows of a table dead. If the table is about to be
// replaced on a path through n, the rows that will stand for them are marked too:
// n may be installed while a replacement below it is staged.
func (t *Tree) addMarks(n *Node, tb *Table, v *sstable.Vector) {
	invariant.Check(v.Rows() == tb.Meta.Rows, "node %d: a vector over %d rows for table %d with %d", n.ID, v.Rows(), tb.Meta.ID, tb.Meta.Rows)
	t.putMarks(n, tb, v)
	for _, r := range tb.replacing {
		if n.above(r.claim.Swap) {
			t.carryOver(r, n, tb, v)
		}
	}
}

// carryOver marks the rows that will stand for those of a consumed table.
func (t *Tree) carryOver(r *Replacement, n *Node, tb *Table, v *sstable.Vector) {
	done := stagedMarks{node: n, from: tb}
	for _, x := range r.remap.Translate(tb.Meta.ID, v) {
		t.translated++
		made := r.made[x.Table]
		done.to = append(done.to, made)
		t.addMarks(n, made, x.Vector)
	}
	r.staged = append(r.staged, done)
}

func (t *Tree) putMarks(n *Node, tb *Table, v *sstable.Vector) {
	key := manifest.MarksKey{Node: n.ID, Table: tb.Meta.ID}
	_, gone := t.goneMarks[key]
	invariant.Check(!gone, "node %d: marks on table %d are dropped and put back in one transaction", n.ID, tb.Meta.ID)
	t.newMarks = append(t.newMarks, manifest.Marks{Node: n.ID, Table: tb.Meta.ID, Vector: v})
	t.swapped(n)
	i, ok := n.findMarks(tb)
	if ok {
		m := n.marks[i]
		t.markBytes -= m.Vector.Bytes()
		m.Vector, m.Local = sstable.UnionVectors(m.Vector, v), nil
		t.markBytes += m.Vector.Bytes()
		return
	}
	m := &Marks{Node: n, Table: tb, Vector: v, place: len(tb.holders)}
	n.marks = slices.Insert(n.marks, i, m)
	tb.holders = append(tb.holders, m)
	t.markCount++
	t.markBytes += v.Bytes()
}

// dropMarks takes the node's marks on a table away.
func (t *Tree) dropMarks(n *Node, tb *Table) {
	i, ok := n.findMarks(tb)
	if !ok {
		return
	}
	t.detach(n.marks[i])
	n.marks = slices.Delete(n.marks, i, i+1)
}

// detach takes marks out of their table's list, but not out of their node's.
func (t *Tree) detach(m *Marks) {
	last := len(m.Table.holders) - 1
	m.Table.holders[m.place] = m.Table.holders[last]
	m.Table.holders[m.place].place = m.place
	m.Table.holders[last] = nil
	m.Table.holders = m.Table.holders[:last]
	t.markCount--
	t.markBytes -= m.Vector.Bytes()
	t.goneMarks[manifest.MarksKey{Node: m.Node.ID, Table: m.Table.Meta.ID}] = struct{}{}
}

// above tells whether older lies below n on n's path. Ids rise from the root
// outwards, so the walk ends early.
func (n *Node) above(older *Node) bool {
	x := n.Older
	for x != nil && x.ID > older.ID {
		x = x.Older
	}
	return x == older
}

// reaches tells whether the table is in the run of a node of n's path.
func (n *Node) reaches(tb *Table) bool {
	for x := range Path(n) {
		if x.Run != nil && x.Run.Find(tb.Meta.Smallest) == tb {
			return true
		}
	}
	return false
}

// MarkCount is the number of vectors: pairs of a node and a table.
func (t *Tree) MarkCount() int { return t.markCount }

// MarkBytes is the memory that all vectors hold.
func (t *Tree) MarkBytes() int64 { return t.markBytes }

// Translated counts the vectors that were carried over to new tables.
func (t *Tree) Translated() uint64 { return t.translated }
