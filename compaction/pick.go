package compaction

// Pick chooses the next job for a path, or says that there is none. It is pure:
// it looks at nothing but its arguments, keeps nothing, and costs O(path).
//
// The caller walks the entered nodes from the root outwards, carries out the
// plan or at least claims its nodes, and asks again until there is no plan. That
// ends: each plan makes the paths through First shorter, or leaves them as long
// and takes all tombstones out of the root or makes a sparse node whole. Walking
// outwards lets a newer path profit from what was done for an older one.
//
// A plan never holds an item that is claimed for writing, never begins with one
// that is claimed at all, and never mixes memory and tables. Only for the read
// bound, or where nothing needs to be copied, does it reach across a branch
// point: what it swallows there stays on disk for those who enter it.
//
// The rules, first match wins:
//
//  1. empty: a node without rows leaves the path for free.
//  2. read bound, in memory: see readbound.go.
//  3. space, tombstones, tier: see segment.go.
//  4. read bound, in tables.
//  5. sparse: a node's run is written again so that a file can go.
func Pick(path []Item, p Policy) (Plan, bool) {
	k := picker{path: path, policy: p.withDefaults()}
	for _, rule := range []func() (Plan, bool){
		k.empty, k.memoryBound,
		k.space, k.tombstones, k.tier,
		k.tableBound, k.nodeBound,
		k.sparse,
	} {
		if plan, ok := rule(); ok {
			return plan, true
		}
	}
	return Plan{}, false
}

// picker is one call of Pick.
type picker struct {
	path   []Item
	policy Policy
}

// plan makes a plan of the range if its items are free and of one kind.
func (k *picker) plan(first, last int, reason string) (Plan, bool) {
	if k.path[first].ClaimedRead {
		return Plan{}, false
	}
	for i := first; i <= last; i++ {
		if k.path[i].Claimed || k.path[i].Memory != k.path[first].Memory {
			return Plan{}, false
		}
	}
	kind := KindMerge
	if k.path[first].Memory {
		kind = KindConsolidate
	}
	return Plan{Kind: kind, First: first, Last: last, Reason: reason}, true
}

// empty joins a stretch of nodes without rows with the next older node, so that
// every path through the stretch gets shorter, or else with the next newer one.
func (k *picker) empty() (Plan, bool) {
	for first := 0; first < len(k.path); first++ {
		if k.path[first].Bytes > 0 {
			continue
		}
		last := first
		for last+1 < len(k.path) && k.path[last+1].Bytes == 0 && k.path[last+1].Memory == k.path[first].Memory {
			last++
		}
		if last+1 < len(k.path) {
			if plan, ok := k.plan(first, last+1, ReasonEmpty); ok {
				return plan, true
			}
		}
		if first > 0 {
			if plan, ok := k.plan(first-1, last, ReasonEmpty); ok {
				return plan, true
			}
		}
		if last > first {
			if plan, ok := k.plan(first, last, ReasonEmpty); ok {
				return plan, true
			}
		}
		first = last
	}
	return Plan{}, false
}

// sparse rewrites the oldest sparse node: the one that most paths share.
func (k *picker) sparse() (Plan, bool) {
	for i := len(k.path) - 1; i >= 0; i-- {
		if !k.path[i].Sparse || k.path[i].Memory {
			continue
		}
		if plan, ok := k.plan(i, i, ReasonSparse); ok {
			plan.Kind = KindRewrite
			return plan, true
		}
	}
	return Plan{}, false
}
