package compaction

// Pick chooses the next job for a path, or says that there is none. It is pure:
// it looks at nothing but its arguments, keeps nothing, and costs O(path); where a
// run is half dead, O(path) for each item.
//
// The caller walks the entered nodes from the root outwards, carries out the
// plan or at least claims its nodes, and asks again until there is no plan. That
// ends: each plan makes the paths through First shorter, or leaves them as long
// and takes all tombstones out of the root, or dead rows out of a node. Walking outwards
// lets a newer path profit from what was done for an older one.
//
// A plan never holds an item that is claimed for writing, never begins with one
// that is claimed at all, and never mixes memory and tables. Only for the read
// bound, or for a run that is half dead, does it reach across a branch point: what it
// swallows there stays on disk for those who enter it.
//
// The rules, first match wins:
//
//  1. empty: a node without rows leaves the path for free, if it is alone with its
//     neighbour.
//  2. gone: a run without live rows becomes empty for free. See dead.go.
//  3. read bound, in memory: see readbound.go.
//  4. rotten: rows that are dead for everybody leave their run. Before the rules
//     that weigh sizes, because a run that is mostly dead is smaller than it says:
//     they would copy a base for it. And it costs no more than three rows for each
//     that goes, whatever is merged later.
//  5. space, tombstones, tier: see segment.go.
//  6. read bound, in tables.
//  7. dead: a run that is half dead on this path is copied without its dead rows.
//     It gives no space back, so it comes after all that may make it needless.
func Pick(path []Item, p Policy) (Plan, bool) {
	return PickOf(path, p, func(Kind) bool { return true })
}

// PickOf is Pick for a caller that carries out plans of some kinds only, say a
// worker for memory or one for tables: a rule whose plan is of another kind does
// not hide the rules behind it. The promise of an end holds for each choice of
// kinds, and for several callers together.
func PickOf(path []Item, p Policy, wanted func(Kind) bool) (Plan, bool) {
	k := picker{path: path, policy: p.withDefaults(), wanted: wanted}
	for _, rule := range []func() (Plan, bool){
		k.empty, k.gone,
		k.memoryBound,
		k.rotten,
		k.space, k.tombstones, k.tier,
		k.tableBound, k.nodeBound,
		k.dead,
	} {
		if plan, ok := rule(); ok {
			return plan, true
		}
	}
	return Plan{}, false
}

// PickBound is Pick for a caller that has little time: it gives what the read bound
// wants of the runs in tables, although another rule may come first.
func PickBound(path []Item, p Policy) (Plan, bool) {
	k := picker{path: path, policy: p.withDefaults(), wanted: func(Kind) bool { return true }}
	return k.tableBound()
}

// picker is one call of PickOf.
type picker struct {
	path   []Item
	policy Policy
	wanted func(Kind) bool
}

// join makes a plan that makes one run of a range in memory or in tables.
func (k *picker) join(first, last int, reason string) (Plan, bool) {
	kind := KindMerge
	if k.path[first].Memory {
		kind = KindConsolidate
	}
	return k.plan(kind, first, last, reason)
}

// plan makes a plan if it is wanted and its items are free and all in memory or
// all in tables.
func (k *picker) plan(kind Kind, first, last int, reason string) (Plan, bool) {
	if k.path[first].ClaimedRead || !k.wanted(kind) {
		return Plan{}, false
	}
	for i := first; i <= last; i++ {
		if k.path[i].Claimed || k.path[i].Memory != k.path[first].Memory {
			return Plan{}, false
		}
	}
	return Plan{Kind: kind, First: first, Last: last, Reason: reason}, true
}

// empty takes nodes without rows out of the path: one goes together with the nodes
// below it as far as they are empty and no branch points, and with the run under
// these if that is none either; or else it goes into its newer neighbour.
//
// A branch point is a barrier here too, although nothing would be copied: a node that
// takes over the run of one that others enter holds on to it, and what is merged
// there later serves it no more. A fork that has only deleted something has such a
// node, and shall go on to share.
func (k *picker) empty() (Plan, bool) {
	for i := range k.path {
		if k.path[i].Bytes > 0 {
			continue
		}
		last := i
		for last+1 < len(k.path) && !k.path[last+1].Entered && k.path[last+1].Memory == k.path[i].Memory {
			last++
			if k.path[last].Bytes > 0 {
				break
			}
		}
		if last > i {
			if plan, ok := k.join(i, last, ReasonEmpty); ok {
				return plan, true
			}
		}
		if i > 0 && !k.path[i].Entered {
			if plan, ok := k.join(i-1, i, ReasonEmpty); ok {
				return plan, true
			}
		}
	}
	return Plan{}, false
}
