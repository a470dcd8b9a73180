package compaction

import "github.com/tinedb/tine/internal/ids"

// One flush puts runs on many paths at once that go through the same older nodes. If
// each of those that are now too long merged for itself, all of them would copy the
// same older runs, a thousand times for a thousand forks. One merge further down makes
// room for all.

// Crowd counts the paths that hold too many runs in tables, by the nodes that they go
// through. The zero Crowd is one without paths. It belongs to one pass over the entered
// nodes, and is only a hint: what it says may be out of date.
type Crowd struct {
	at map[ids.NodeID]tooLong
}

// tooLong is what is known of the paths through a node that hold too many runs.
type tooLong struct {
	paths int
	above int // the most runs that one of them has above the node
}

// Add counts a path, given as its nodes in tables, newest first, if it holds too many.
func (c *Crowd) Add(runs []ids.NodeID, p Policy) {
	if len(runs) <= p.withDefaults().MaxRuns+1 {
		return
	}
	if c.at == nil {
		c.at = map[ids.NodeID]tooLong{}
	}
	for above := max(0, len(runs)-crowdNodes); above < len(runs); above++ {
		x := c.at[runs[above]]
		c.at[runs[above]] = tooLong{x.paths + 1, max(x.above, above)}
	}
}

// crowdNodes is how many runs at the old end of a path are looked at for merges to share:
// the more paths go through a node the nearer to the root it is, and of a path of thousands
// of runs one that looks at all of them costs more than the merge.
const crowdNodes = 64

// Share gives the plan of PickOf for a path, or another one in its place if that is a
// merge for the read bound: the one at the node for which the fewest bytes are copied
// for each of the paths that it makes room for. It is pure, and costs O(path).
func (c *Crowd) Share(path []Item, plan Plan, p Policy) Plan {
	if plan.Kind != KindMerge || plan.Reason != ReasonReadBound || len(c.at) == 0 {
		return plan
	}
	best := price(path, plan, max(c.at[path[plan.First].Node].paths, 1))
	for i := max(0, len(path)-crowdNodes); i < len(path); i++ {
		x := c.at[path[i].Node]
		if x.paths < 2 || x.above == 0 {
			continue
		}
		lower := p.withDefaults()
		lower.MaxRuns -= min(x.above, lower.MaxRuns/2) // one path that is much too long must not cost all
		k := picker{path: path[i:], policy: lower, wanted: func(Kind) bool { return true }}
		other, ok := k.tableBound()
		if !ok {
			continue
		}
		other.First, other.Last = other.First+i, other.Last+i
		if cost := price(path, other, x.paths); cost < best {
			plan, best = other, cost
		}
	}
	return plan
}

// price is what is copied for each path.
func price(path []Item, plan Plan, paths int) float64 {
	var bytes float64
	for _, it := range path[plan.First : plan.Last+1] {
		bytes += float64(it.Bytes)
	}
	return bytes / float64(paths)
}
