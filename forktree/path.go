package forktree

import (
	"cmp"
	"iter"
	"slices"

	"github.com/tinedb/tine/internal/ids"
)

// Path walks from n to the root, newest first.
func Path(n *Node) iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for ; n != nil; n = n.Older {
			if !yield(n) {
				return
			}
		}
	}
}

// Unchanged tells whether the stretch of a path from n down to below, which is not part of
// it and may be nil, has the nodes, forms and marks that it had when the tree had counted
// so many swaps. Of a node that is gone by now it says no. Cost: O(stretch).
func (n *Node) Unchanged(below *Node, since uint64) bool {
	for ; n != below; n = n.Older {
		if n == nil || n.swap > since {
			return false
		}
	}
	return true
}

// Nodes gives all live nodes, by id. An older node has a lower id than every
// node above it, so this is the order from the root outwards.
func (t *Tree) Nodes() []*Node {
	out := make([]*Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		if !n.freed {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *Node) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// restEvery is after how many objects of a long walk the caller's rest is called.
const restEvery = 1024

// Entries gives the nodes at which a read or a write may enter a path, or where
// paths part: fork tops, snapshots and nodes with several holders. In no order;
// sorted by id they go from the root outwards. rest, which may be nil, is called now
// and then; the tree may change in it, and then the list is of no one moment: a node
// in it may be gone.
func (t *Tree) Entries(rest func()) []*Node {
	// The language allows a map to change while it is ranged over, and promises each
	// entry that is there all the time exactly once.
	set := map[*Node]struct{}{}
	steps := 0
	step := func() {
		if steps++; steps%restEvery == 0 && rest != nil {
			rest()
		}
	}
	for after, more := ids.ForkID(0), true; more; {
		last := ids.NodeID(0)
		after, more = t.forks.Tops(after, restEvery, func(top ids.NodeID) {
			if top != 0 && top != last { // often the one before it has the same
				set[t.nodes[top]] = struct{}{}
			}
			last = top
		})
		if more && rest != nil {
			rest()
		}
	}
	for _, s := range t.snaps {
		if s.Node != nil {
			set[s.Node] = struct{}{}
		}
		step()
	}
	for _, n := range t.nodes {
		if !n.freed && n.Holders() > 1 {
			set[n] = struct{}{}
		}
		step()
	}
	out := make([]*Node, 0, len(set))
	for n := range set {
		out = append(out, n)
		step()
	}
	return out
}

// InMemory gives the live nodes that are in memory and have an id below upTo, in no
// order. For rest see Entries.
func (t *Tree) InMemory(upTo ids.NodeID, rest func()) []*Node {
	var out []*Node
	steps := 0
	for _, n := range t.nodes {
		if n.Mem != nil && n.ID < upTo && !n.freed {
			out = append(out, n)
		}
		if steps++; steps%restEvery == 0 && rest != nil {
			rest()
		}
	}
	return out
}

// Tables gives all tables that a run which is held or pinned has, in no order.
func (t *Tree) Tables() []*Table {
	out := make([]*Table, 0, len(t.tables))
	for _, tb := range t.tables {
		out = append(out, tb)
	}
	return out
}

// TableCount is the number of tables that are held or pinned.
func (t *Tree) TableCount() int { return len(t.tables) }
