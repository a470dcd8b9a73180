package forktree

import "github.com/tinedb/tine/internal/invariant"

// Claim is what a job holds from the moment it has chosen its nodes until its
// result is installed or thrown away: the node it will swap, for writing, and
// the rest of its range, for reading. It keeps the nodes and their runs alive.
type Claim struct {
	Swap  *Node   // will be swapped
	Range []*Node // Swap first, then the older nodes that the job reads
	runs  []*Run
	done  bool

	missed []*Replacement // installed below while the job was at work
}

// Claim takes a write claim on the newest node of a range and read claims on the
// others, all or nothing. rng runs from the newest to the oldest node. Writing
// excludes everything, reading is shared, nobody waits. It returns nil if a
// claim is taken or nothing but jobs holds the newest node.
func (t *Tree) Claim(rng []*Node) *Claim {
	swap := rng[0]
	if swap.freed || !swap.Live() || swap.writer || swap.reads > 0 {
		return nil
	}
	for i, n := range rng[1:] {
		invariant.Check(rng[i].Older == n, "a claim's range is not a path: node %d is not below %d", n.ID, rng[i].ID)
		if n.writer {
			return nil
		}
	}
	c := &Claim{Swap: swap, Range: rng}
	t.claims[c] = struct{}{}
	swap.writer = true
	for _, n := range rng[1:] {
		n.reads++
	}
	for _, n := range rng {
		n.jobs++
		n.refs++
		if n.Run != nil {
			t.Pin(n.Run)
			c.runs = append(c.runs, n.Run)
		}
	}
	return c
}

// Unclaim gives the claim back. It must be called exactly once, after the
// install if there was one.
func (t *Tree) Unclaim(c *Claim) {
	invariant.Check(!c.done, "a claim is given back twice")
	c.done = true
	delete(t.claims, c)
	c.Swap.writer = false
	for _, n := range c.Range[1:] {
		n.reads--
		invariant.Check(n.reads >= 0, "node %d: a read claim is given back twice", n.ID)
	}
	for _, r := range c.runs {
		t.Unpin(r)
	}
	for _, n := range c.Range {
		n.jobs--
		t.lose(n)
	}
}

// Wanted tells whether anything but jobs still holds the node that the claim
// will swap. If not, the result is of no use and must be thrown away.
func (c *Claim) Wanted() bool { return c.Swap.Live() }
