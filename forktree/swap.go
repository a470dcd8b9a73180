package forktree

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// InstallTables swaps the claimed node from memory to tables: a flush. found are
// rows of older tables that the node's deletes have hit, in place of tombstones.
func (t *Tree) InstallTables(c *Claim, run *Run, found []TableMarks) {
	n := c.Swap
	invariant.Check(n.writer && n.Mem != nil && n.Run == nil && len(c.Range) == 1, "node %d: not a flush", n.ID)
	t.hold(run)
	t.memoryBytes -= n.Mem.Bytes()
	t.memoryNodes--
	n.Mem, n.Run = nil, run
	t.markFound(c, found)
	t.touch(n)
}

// InstallMemory swaps one memtable in at the newest node of the claimed range,
// in place of the memtables of the whole range: a consolidation. The log must
// then be kept from the lowest LSN of the whole range, since replay will build
// the older memtables again from there.
func (t *Tree) InstallMemory(c *Claim, mem Memory) {
	n := c.Swap
	low := n.Low
	for _, x := range c.Range {
		invariant.Check(x.Mem != nil, "node %d: a consolidation of tables", x.ID)
		low = min(low, x.Low)
	}
	t.memoryBytes += mem.Bytes() - n.Mem.Bytes()
	n.Mem, n.Low = mem, low
	t.consolidations++
	t.skip(n, c.Range)
	t.stirThrough(n)
	t.swapped(n)
}

// swapped says that what reads find at n, or what n marks, has another form now.
func (t *Tree) swapped(n *Node) {
	t.shape++
	t.swaps++
	n.swap = t.swaps
}

// skip points n past the range it has swallowed.
func (t *Tree) skip(n *Node, rng []*Node) {
	if len(rng) == 1 {
		return
	}
	last := rng[len(rng)-1]
	t.ref(last.Older)
	old := n.Older
	n.disown()
	n.Older = last.Older
	n.adopt()
	t.unref(old)
}

func (t *Tree) touch(n *Node) {
	if !n.dirty {
		n.dirty = true
		t.dirtyNodes = append(t.dirtyNodes, n)
	}
	t.stirThrough(n)
	t.swapped(n)
}

// LowLSN is the lowest LSN that must stay in the log: what memtables and nodes
// in memory came from. none is returned if everything is in tables; it must be above
// every LSN there is. For rest see Entries: what is written in it has higher LSNs.
// Forks are looked at before nodes, so that a memtable which is frozen meanwhile is
// not missed. If one that was looked at has taken over others meanwhile, nothing is
// known, and the answer is 0.
func (t *Tree) LowLSN(none ids.LSN, rest func()) ids.LSN {
	low := none
	steps, before := 0, t.consolidations
	step := func() {
		if steps++; steps%restEvery == 0 && rest != nil {
			rest()
		}
	}
	// From the end: one that leaves meanwhile gives its place to the last, which has been
	// looked at then, or comes from a place that is still ahead.
	for i := len(t.active) - 1; i >= 0; i = min(i, len(t.active)) - 1 {
		if f := t.active[i]; f.Mem != nil && f.Low != 0 {
			low = min(low, f.Low)
		}
		step()
	}
	for _, n := range t.nodes {
		if n.Mem != nil {
			low = min(low, n.Low)
		}
		step()
	}
	if t.consolidations != before {
		return 0
	}
	return low
}
