package forktree

import (
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/invariant"
)

// Watch gathers what has changed in a tree since somebody last looked, so that a
// picker looks at the paths on which there may be new work, and at no others: among a
// hundred thousand forks that do nothing one that writes costs what it costs alone.
//
// A path is told again when its list of nodes, the form of one of them, which of them
// are branch points, or what is dead on it has changed, and when a table that it reads
// is no longer shared. Marks need no word of
// their own: a node gets those that count on its paths with a swap at it or below it.
// Claims are not told: who finds a path in the hands of others keeps it (Keep).
//
// It belongs to its Tree, under the Tree's lock, and to one picker.
type Watch struct {
	tree  *Tree
	at    stir // the bits of this watch in Node.stirs
	below stir
	all   bool    // everything is new
	nodes []*Node // those with a bit; some may be gone
}

// stir is a set of flags of a node, two for each watch.
type stir uint8

const maxWatches = 4

// Watch begins a watch of the tree. In the beginning everything has changed.
func (t *Tree) Watch() *Watch {
	invariant.Check(len(t.watches) < maxWatches, "a tree is watched by too many")
	i := len(t.watches)
	w := &Watch{tree: t, at: 1 << (2 * i), below: 2 << (2 * i), all: true}
	t.watches = append(t.watches, w)
	return w
}

// stirAt says that the path from n may be another.
func (t *Tree) stirAt(n *Node) {
	for _, w := range t.watches {
		w.add(n, w.at)
	}
}

// stirThrough says that all paths through n may be others.
func (t *Tree) stirThrough(n *Node) {
	for _, w := range t.watches {
		w.add(n, w.below)
	}
}

// stirMarked says that whoever marks rows of a table may look at it anew.
func (t *Tree) stirMarked(tb *Table) {
	for _, m := range tb.holders {
		t.stirThrough(m.Node)
	}
}

func (w *Watch) add(n *Node, how stir) {
	if n.stirs&(w.at|w.below) == 0 {
		w.nodes = append(w.nodes, n)
	}
	n.stirs |= how
}

// Keep has the path from n told again.
func (w *Watch) Keep(n *Node) { w.add(n, w.at) }

// Take gives the nodes at which paths are entered that have changed, from the root
// outwards, or all such nodes; and forgets what it has given. rest is as in Entries: a
// change that is made in it is told this time or the next. Cost: O(what has changed and
// what lies above it), or of Entries.
func (w *Watch) Take(all bool, rest func()) []*Node {
	all = all || w.all
	stirred := w.nodes
	w.nodes, w.all = nil, false
	found := map[*Node]struct{}{}
	steps := 0
	look := func(n *Node) {
		if !n.freed && n.entered() {
			found[n] = struct{}{}
		}
		if steps++; steps%restEvery == 0 && rest != nil {
			rest()
		}
	}
	above := map[*Node]struct{}{} // the nodes whose kids have been seen to
	for _, n := range stirred {
		through := n.stirs&w.below != 0
		n.stirs &^= w.at | w.below
		if all {
			continue
		}
		if _, seen := above[n]; seen || !through {
			look(n) // if seen, again: what came in a rest since then may be told nowhere else
			continue
		}
		for todo := []*Node{n}; len(todo) > 0; {
			x := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if _, ok := above[x]; ok {
				continue
			}
			above[x] = struct{}{}
			for kid := x.kids; kid != nil; kid = kid.nextKid {
				todo = append(todo, kid)
			}
			look(x)
		}
	}
	var out []*Node
	if all {
		out = w.tree.Entries(rest)
	} else {
		out = make([]*Node, 0, len(found))
		for n := range found {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *Node) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// entered tells whether a fork or a snapshot enters a path at n, or paths part there.
func (n *Node) entered() bool { return n.Holders() > 1 || n.Live() && n.kids == nil }
