package compaction

// Pick chooses the next job for a path, or says that there is none. It is pure:
// it looks at nothing but its arguments, keeps nothing, and costs O(path); where a
// run is half dead, O(path) for each item.
//
// The caller walks the entered nodes from the root outwards, carries out the
// plan or at least claims its nodes, and asks again until there is no plan. That
// ends: each plan makes the paths through First shorter, or leaves them as long
// and takes all tombstones out of the root, or dead rows out of a node, or makes a
// sparse node whole. Walking outwards lets a newer path profit from what was done for an older one.
//
// A plan never holds an item that is claimed for writing, never begins with one
// that is claimed at all, and never mixes memory and tables. Only for the read
// bound, for a run that is half dead, or where nothing needs to be copied, does it
// reach across a branch point: what it swallows there stays on disk for those who
// enter it.
//
// The rules, first match wins:
//
//  1. empty: a node without rows leaves the path for free.
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
//  8. sparse: a node's run is written again so that a file can go. Last, because
//     any plan before may have written it, or made it sparse.
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
		k.sparse,
	} {
		if plan, ok := rule(); ok {
			return plan, true
		}
	}
	return Plan{}, false
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
			if plan, ok := k.join(first, last+1, ReasonEmpty); ok {
				return plan, true
			}
		}
		if first > 0 {
			if plan, ok := k.join(first-1, last, ReasonEmpty); ok {
				return plan, true
			}
		}
		if last > first {
			if plan, ok := k.join(first, last, ReasonEmpty); ok {
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
		if plan, ok := k.plan(KindRewrite, i, i, ReasonSparse); ok {
			return plan, true
		}
	}
	return Plan{}, false
}
