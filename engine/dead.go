package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/sstable"
)

// deadRows is what is dead in one table on the paths through one node, the newest
// that marks rows of it: all views of such a path share it. It is made with the
// flat or view, under the store's lock; the form that reads need is made when the
// first read comes to the table.
type deadRows struct {
	vector *sstable.Vector // of the marking node
	below  *deadRows       // of the next older node that marks rows of the table; nil if none does
	bound  uint64          // at most so many rows are dead: the sum over all vectors
	rows   uint64          // of the table

	// shared says that the reads of many forks come here: what lies above is
	// laid over this one's form instead of holding a copy of it.
	shared atomic.Bool

	once sync.Once
	dead atomic.Pointer[sstable.Dead]
}

// get gives the form for reading. A nil deadRows is none.
func (d *deadRows) get() *sstable.Dead {
	if d == nil {
		return nil
	}
	d.once.Do(func() {
		vectors, below := []*sstable.Vector{d.vector}, d.below
		for ; below != nil && !below.shared.Load(); below = below.below {
			vectors = append(vectors, below.vector)
		}
		d.dead.Store(sstable.NewDeadOver(below.get(), vectors...))
	})
	return d.dead.Load()
}

// readBytes is the memory of the form for reading that is kept at marks, if any is.
func readBytes(m *forktree.Marks) int64 {
	if d, ok := m.Local.(*deadRows); ok {
		return d.dead.Load().Bytes()
	}
	return 0
}

// maybeWhole tells whether all rows may be dead, by what is known without looking.
func (d *deadRows) maybeWhole() bool { return d != nil && d.bound >= d.rows }

// whole tells whether no row of the table is alive, and so no need to open it.
func (d *deadRows) whole() bool { return d.maybeWhole() && d.get().Whole() }

// deadOnPath collects the marks of a stretch of a path from its newest node on.
type deadOnPath map[*forktree.Table][]*forktree.Marks

func (d *deadOnPath) add(n *forktree.Node) {
	for _, m := range n.Marks() {
		if *d == nil {
			*d = deadOnPath{}
		}
		(*d)[m.Table] = append((*d)[m.Table], m)
	}
}

// of gives what is dead in the tables of a run whose node has been added, nil if
// nothing is. Nodes below the run's own mark nothing in its tables.
func (d deadOnPath) of(run *forktree.Run) map[*forktree.Table]*deadRows {
	if len(d) == 0 {
		return nil
	}
	var out map[*forktree.Table]*deadRows
	for _, tb := range run.Tables {
		if marks := d[tb]; len(marks) > 0 {
			if out == nil {
				out = map[*forktree.Table]*deadRows{}
			}
			out[tb] = deadRowsOf(marks, nil)
		}
	}
	return out
}

// deadRowsOf gives the shared form of some marks on one table, newest first, over
// those of older nodes. Each is kept at its marks: what lies below a node is the
// same on every path.
func deadRowsOf(marks []*forktree.Marks, below *deadRows) *deadRows {
	for _, m := range slices.Backward(marks) {
		d, ok := m.Local.(*deadRows)
		if !ok || d.vector != m.Vector || d.below != below {
			d = &deadRows{vector: m.Vector, below: below, bound: m.Vector.Dead(), rows: m.Table.Meta.Rows}
			if below != nil {
				d.bound += below.bound
			}
			m.Local = d
		}
		below = d
	}
	return below
}

// rotten is a table that is to be rewritten without the rows that no path needs.
type rotten struct {
	table *forktree.Table
	dead  *deadRows
}

// describeDead tells the picker what is dead on a path. For each item it gives the
// tables that are mostly dead by marks of nodes through which every path to the
// item goes: such marks are for ever, whatever is forked, dropped or merged
// meanwhile. A bound on the dead rows will do: rewriting a table takes away all marks
// that were counted.
func describeDead(nodes []*forktree.Node, items []compaction.Item) (tables [][]rotten) {
	var marked deadOnPath
	place := map[*forktree.Node]int{}
	through := 0 // every path to the present item goes through this one
	for i, n := range nodes {
		if i > 0 && items[i].Entered {
			through = i
		}
		if marked.add(n); len(marked) == 0 || n.Run == nil {
			continue
		}
		if len(n.Marks()) > 0 {
			place[n] = i
		}
		if tables == nil {
			tables = make([][]rotten, len(nodes))
		}
		by := make([]uint64, i+1)
		for _, tb := range n.Run.Tables {
			marks := marked[tb]
			for _, m := range marks {
				by[place[m.Node]] += m.Vector.Dead()
			}
			always := slices.IndexFunc(marks, func(m *forktree.Marks) bool { return place[m.Node] >= through })
			if always < 0 {
				continue
			}
			d := deadRowsOf(marks[always:], nil)
			if n.Run.Shares(tb) && !d.whole() {
				continue // another node holds it too: a copy of what is alive would give no space back
			}
			if float64(d.bound) >= compaction.DefaultPolicy().MaxDeadRatio*float64(d.rows) {
				tables[i] = append(tables[i], rotten{tb, d})
			}
		}
		items[i].Rotten = len(tables[i]) > 0
		for j, rows := range by {
			if rows > 0 {
				items[i].DeadBy = append(items[i].DeadBy, compaction.DeadBy{Item: j, Rows: rows})
			}
		}
	}
	return tables
}
