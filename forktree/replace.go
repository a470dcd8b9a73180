package forktree

import (
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// Replacement is the result of a merge on its way into the tree: one run that
// takes the place of the runs of a claimed range, and what became of each row of
// the tables that were read for it. Nodes above the range may mark rows of those
// tables. Their marks are carried over by row: a row that the merge left out loses
// its mark, and no other row inherits it.
//
// With few such nodes all is done by Install in one step. With many, Stage puts the
// translated marks beside the old ones, some nodes at a time; until the swap they
// are about tables that are on no path, and say nothing. Install then only swaps
// the run, and Sweep takes the old marks away, some nodes at a time; since the swap
// they say nothing. So no step costs O(nodes).
//
// Life: Replace, any number of Stage, Install or Abandon, any number of Sweep if it
// was installed.
type Replacement struct {
	claim    *Claim
	run      *Run
	consumed []*Table
	consumes map[*Table]struct{}    // the same
	remap    *sstable.Remap         // nil: nothing is consumed
	made     map[ids.TableID]*Table // those of run that are new

	todo   []*Marks      // may have to be carried over; taken from the end
	staged []stagedMarks // in both forms
	state  replacementState
}

// stagedMarks are marks of a node that a replacement has carried over: one of the two
// forms says nothing once the replacement has ended.
type stagedMarks struct {
	node *Node
	from *Table   // consumed
	to   []*Table // new; none if no marked row lives on
}

type replacementState uint8

const (
	replacementPrepared replacementState = iota
	replacementInstalled
	replacementAbandoned
)

// Replace prepares a replacement. run becomes the run of the claim's node; consumed
// are the tables of the range's runs that are not in it, and remap says what became
// of their rows: it may be nil if nothing is consumed. The claim must be kept until
// Install or Abandon. The tables of run are kept alive from here on.
func (t *Tree) Replace(c *Claim, run *Run, consumed []*Table, remap *sstable.Remap) *Replacement {
	for _, x := range c.Range {
		invariant.Check(x.Run != nil, "node %d: a merge of memory", x.ID)
	}
	invariant.Check(c.Swap.writer && !c.done, "node %d: it is swapped without a claim", c.Swap.ID)
	invariant.Check(len(consumed) == 0 || remap != nil, "node %d: %d tables are consumed and nobody knows where their rows are", c.Swap.ID, len(consumed))
	r := &Replacement{
		claim: c, run: run, consumed: consumed, consumes: make(map[*Table]struct{}, len(consumed)),
		remap: remap, made: map[ids.TableID]*Table{},
	}
	for tb := range run.fresh() {
		r.made[tb.Meta.ID] = tb
	}
	t.hatch(run)
	t.replacements[r] = struct{}{}
	for _, tb := range consumed {
		invariant.Check(run.Find(tb.Meta.Smallest) != tb, "table %d is consumed and kept", tb.Meta.ID)
		r.consumes[tb] = struct{}{}
		tb.replacing = append(tb.replacing, r)
		r.todo = append(r.todo, tb.holders...)
	}
	return r
}

// Todo is the number of vectors that Stage has not looked at.
func (r *Replacement) Todo() int { return len(r.todo) }

// Staged is the number of times that marks were carried over.
func (r *Replacement) Staged() int { return len(r.staged) }

// Stage carries over the marks of at most max holders. The caller publishes in the
// same critical section.
func (t *Tree) Stage(r *Replacement, max int) {
	invariant.Check(r.state == replacementPrepared, "a replacement is staged after its end")
	for ; max > 0 && len(r.todo) > 0; max-- {
		last := len(r.todo) - 1
		m := r.todo[last]
		r.todo[last] = nil
		r.todo = r.todo[:last]
		// The list is of the moment of Replace. Marks that have gone since are no
		// longer their node's; those that have come were carried over as they came.
		if !m.Node.freed && m.Node.MarksOn(m.Table) == m && m.Node.above(r.claim.Swap) {
			t.carryOver(r, m.Node, m.Table, m.Vector)
		}
	}
}

// Install carries over what is left and swaps the run in at the newest node of the
// claimed range, in place of the runs of the whole range. The older nodes of the
// range lose the reference from the path through the newest; those that are entered
// by others keep their form and their marks. The newest node takes over what the
// range marks in tables that it still reaches, and marks what the job has found.
// Rows that the range marks in consumed tables are not in the new run.
//
// Claims of running jobs above the range learn of the replacement: what they have
// found dead in a consumed table is carried over when they install it.
func (t *Tree) Install(r *Replacement, found []TableMarks) {
	t.Stage(r, len(r.todo))
	t.end(r, replacementInstalled)
	c, n := r.claim, r.claim.Swap
	if len(r.consumed) > 0 {
		for other := range t.claims {
			if other != c && other.Swap.above(n) {
				other.missed = append(other.missed, r)
			}
		}
	}
	for _, tb := range r.consumed {
		t.dropMarks(n, tb)
	}
	t.hold(r.run)
	t.letGo(n.Run, r.run)
	n.Run = r.run
	t.Unpin(r.run)
	var inherited []*Marks
	for _, x := range c.Range[1:] {
		inherited = append(inherited, x.marks...)
	}
	t.skip(n, c.Range)
	for _, m := range inherited {
		if n.reaches(m.Table) {
			t.addMarks(n, m.Table, m.Vector)
		}
	}
	t.markFound(c, found)
	t.touch(n)
}

// markFound lets the claimed node mark what its job has found dead, carried over by
// the replacements that were installed since the job began.
func (t *Tree) markFound(c *Claim, found []TableMarks) {
	for _, r := range c.missed {
		found = r.carried(found)
	}
	for _, m := range found {
		invariant.Check(m.Table.held > 0, "node %d: marks on table %d, which no node holds", c.Swap.ID, m.Table.Meta.ID)
		t.addMarks(c.Swap, m.Table, m.Vector)
	}
}

func (r *Replacement) carried(found []TableMarks) []TableMarks {
	out := make([]TableMarks, 0, len(found))
	for _, m := range found {
		if _, ok := r.consumes[m.Table]; !ok {
			out = append(out, m)
			continue
		}
		for _, x := range r.remap.Translate(m.Table.Meta.ID, m.Vector) {
			out = append(out, TableMarks{Table: r.made[x.Table], Vector: x.Vector})
		}
	}
	return out
}

// Abandon ends a replacement that nobody wants any more. Its new tables go.
func (t *Tree) Abandon(r *Replacement) {
	t.end(r, replacementAbandoned)
	t.Unpin(r.run)
}

func (t *Tree) end(r *Replacement, state replacementState) {
	invariant.Check(r.state == replacementPrepared, "a replacement is ended twice")
	r.state = state
	r.todo = nil
	delete(t.replacements, r)
	for _, tb := range r.consumed {
		tb.replacing = slices.DeleteFunc(tb.replacing, func(x *Replacement) bool { return x == r })
	}
}

// Sweep takes away at most max times the marks that say nothing since the
// replacement has ended, and tells whether there are more. The caller publishes in
// the same critical section.
func (t *Tree) Sweep(r *Replacement, max int) (more bool) {
	invariant.Check(r.state != replacementPrepared, "a replacement is swept before its end")
	for ; max > 0 && len(r.staged) > 0; max-- {
		last := len(r.staged) - 1
		x := r.staged[last]
		r.staged[last] = stagedMarks{}
		r.staged = r.staged[:last]
		n, stale := x.node, x.to
		if n.freed {
			continue
		}
		if r.state == replacementInstalled {
			stale = []*Table{x.from}
		}
		for _, tb := range stale {
			if tb.held == 0 || !n.reaches(tb) {
				t.dropMarks(n, tb)
			}
		}
	}
	return len(r.staged) > 0
}
