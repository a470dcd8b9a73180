package forktree

import "github.com/tinedb/tine/internal/invariant"

// Each node lists the nodes right above it, so that what has changed at a node can be
// told to the paths through it without looking at all others. The list is threaded
// through the nodes themselves: two hundred thousand nodes over one cost nothing more
// than their own three words, and one leaves in one step.

// adopt puts n into the list of the node that it lies on.
func (n *Node) adopt() {
	below := n.Older
	if below == nil {
		return
	}
	if n.nextKid != nil || n.prevKid != nil || below.kids == n { // the arguments of Check allocate
		invariant.Check(false, "node %d is adopted twice", n.ID)
	}
	n.nextKid = below.kids
	if n.nextKid != nil {
		n.nextKid.prevKid = n
	}
	below.kids = n
}

// disown takes n out of the list of the node that it lies on.
func (n *Node) disown() {
	below := n.Older
	if below == nil {
		return
	}
	if n.prevKid != nil {
		n.prevKid.nextKid = n.nextKid
	} else {
		if below.kids != n { // the arguments of Check allocate
			invariant.Check(false, "node %d is not known to node %d, on which it lies", n.ID, below.ID)
		}
		below.kids = n.nextKid
	}
	if n.nextKid != nil {
		n.nextKid.prevKid = n.prevKid
	}
	n.nextKid, n.prevKid = nil, nil
}
