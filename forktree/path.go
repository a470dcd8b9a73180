package forktree

import (
	"cmp"
	"iter"
	"slices"
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

// Forks gives all forks, by name.
func (t *Tree) Forks() []*Fork {
	out := make([]*Fork, 0, len(t.forks))
	for _, f := range t.forks {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *Fork) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Snapshots gives all snapshots, by name.
func (t *Tree) Snapshots() []*Snapshot {
	out := make([]*Snapshot, 0, len(t.snaps))
	for _, s := range t.snaps {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Snapshot) int { return cmp.Compare(a.Name, b.Name) })
	return out
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

// Entries gives the nodes at which a read or a write may enter a path, or where
// paths part: fork tops, snapshots and nodes with several holders. In no order;
// sorted by id they go from the root outwards.
func (t *Tree) Entries() []*Node {
	set := map[*Node]struct{}{}
	for _, f := range t.forks {
		if f.Top != nil {
			set[f.Top] = struct{}{}
		}
	}
	for _, s := range t.snaps {
		if s.Node != nil {
			set[s.Node] = struct{}{}
		}
	}
	for _, n := range t.nodes {
		if !n.freed && n.Holders() > 1 {
			set[n] = struct{}{}
		}
	}
	out := make([]*Node, 0, len(set))
	for n := range set {
		out = append(out, n)
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
