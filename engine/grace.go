package engine

import "github.com/tinedb/tine/internal/ids"

// Most forks of those who try things out are dropped soon, and what was merged for them
// was merged in vain. So what a young fork has written for itself is merged
// only as far as the read bound wants it, until the store is at rest.

// graceBudgets is how many memory budgets are flushed, by all forks together, while a
// fork is young. Rows that newer ones shadow in what young forks wrote take no more
// space than that.
const graceBudgets = 8

// grace tells which forks are young, by their ids, which rise. Under Store.mu.
//
// In a store without background work nobody is: who calls for merges means all of them.
type grace struct {
	off     bool
	marks   [graceBudgets]ids.ForkID // the next id when each of the last budgets had been flushed, oldest first
	flushed uint64                   // in all, at the newest mark
}

// begin says that all forks with ids below next are old.
func (g *grace) begin(next ids.ForkID, off bool) {
	g.off = off
	for i := range g.marks {
		g.marks[i] = next
	}
}

// grow makes forks older if another budget has been flushed.
func (g *grace) grow(flushed, budget uint64, next ids.ForkID) {
	if flushed-g.flushed < budget {
		return
	}
	copy(g.marks[:], g.marks[1:])
	g.marks[graceBudgets-1], g.flushed = next, flushed
}

// holds tells whether a fork is young.
func (g *grace) holds(f ids.ForkID) bool { return !g.off && f >= g.marks[0] }
