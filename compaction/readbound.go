package compaction

import "math"

// The read bound: a path must not hold more than so many runs, whatever branch
// points lie on it. Here a merge swallows nodes that others enter, so their rows
// stay on disk as well, and rewriting as little as possible is all that counts.
//
// With a fixed number of runs the cheapest scheme known is the k-binomial
// transform (Bentley and Saxe, "Decomposable searching problems I", 1980): the
// j-th newest place holds C(c, j) units for some c, the numbers c rise towards
// the oldest place, and a merge goes on to the next older run until they do.
// For n runs of one unit and k places a row is rewritten about
// (k! n)^(1/k) * k/(k+1) times, which no scheme beats by more than a constant.
// overfull restates the scheme so that it needs no memory of its past, takes
// runs of any size, and does nothing before the bound is passed.

// memoryBound merges the newest memtables of a stretch that holds too many.
// A memtable that is being flushed ends a stretch: it is as good as gone.
func (k *picker) memoryBound() (Plan, bool) {
	for first := 0; first < len(k.path); first++ {
		end := first // exclusive
		for end < len(k.path) && k.path[end].Memory && !k.path[end].Claimed {
			end++
		}
		if last := overfull(k.path[first:end], 0, k.policy.MaxMemory); last > 0 {
			if plan, ok := k.join(first, first+last, ReasonReadBound); ok {
				return plan, true
			}
		}
		first = max(first, end)
	}
	return Plan{}, false
}

// tableBound merges the newest runs in tables if the path holds too many. A
// memtable, or a node that another job will swap, ends what can be merged; then
// the bound holds again only when that is gone.
func (k *picker) tableBound() (Plan, bool) {
	runs := 0 // on the path from first on
	for _, it := range k.path {
		if !it.Memory {
			runs++
		}
	}
	for first := 0; first < len(k.path); first++ {
		end := first // exclusive
		for end < len(k.path) && !k.path[end].Memory && !k.path[end].Claimed {
			end++
		}
		stretch := k.path[first:end]
		older := runs - len(stretch)
		last := overfull(stretch, older, k.policy.MaxRuns+1) // 1: the base
		if last > 0 && first+last == len(k.path)-1 && k.isBase(first, last) {
			last--
		}
		if last > 0 {
			if plan, ok := k.join(first, first+last, ReasonReadBound); ok {
				return plan, true
			}
		}
		runs = older
		if end < len(k.path) && !k.path[end].Memory {
			runs-- // the claimed one
		}
		first = max(first, end)
	}
	return Plan{}, false
}

// isBase tells whether the oldest of the items from first to first+last is
// larger than all others together. Such a run is never copied for the sake of
// the read bound: a fork that writes a little would pay for all it shares.
func (k *picker) isBase(first, last int) bool {
	var newer float64
	for _, it := range k.path[first : first+last] {
		newer += float64(it.Bytes)
	}
	return float64(k.path[first+last].Bytes) > newer
}

// nodeBound merges the two neighbours that are cheapest to merge if the path
// holds too many nodes, those aside that another job is about to swap. What is cheapest
// does not depend on the kinds that are wanted: where flushes have left a thousand small
// runs, a caller that cares for memory alone would else merge all that is in memory for
// each path anew, to no end.
func (k *picker) nodeBound() (Plan, bool) {
	nodes := 0
	for _, it := range k.path {
		if !it.Claimed {
			nodes++
		}
	}
	if nodes <= k.policy.MaxNodes {
		return Plan{}, false
	}
	every := *k
	every.wanted = func(Kind) bool { return true }
	var best Plan
	cheapest, found := 0.0, false
	for i := 0; i+1 < len(k.path); i++ {
		plan, ok := every.join(i, i+1, ReasonReadBound)
		cost := float64(k.path[i].Bytes) + float64(k.path[i+1].Bytes)
		if !ok || found && cost >= cheapest || !k.path[i].Memory && i+2 == len(k.path) && k.isBase(i, 1) {
			continue
		}
		best, cheapest, found = plan, cost, true
	}
	return best, found && k.wanted(best.Kind)
}

// overfull says which runs to merge so that at most limit are left: items 0 to
// last. It is 0 if no more than limit are there. older runs lie below items and
// count, but cannot be merged; if they leave no better choice, all of items are
// to be merged.
func overfull(items []Item, older, limit int) (last int) {
	excess := len(items) + older - limit
	if excess <= 0 || len(items) < 2 {
		return 0
	}
	// The newest run is most often fresh, and the second newest if the newest is
	// unusually large: the smaller of them is the unit. Merged runs must not set
	// the unit: a unit that grows with the merges ends in merging the newest two
	// for ever (measured: hundreds of rewrites a row instead of six).
	unit := float64(max(min(items[0].Bytes, items[1].Bytes), 1))
	last = min(excess, len(items)-1)
	var sum float64
	for _, it := range items[:last+1] {
		sum += float64(it.Bytes)
	}
	for last < len(items)-1 {
		place := last + 1 - excess // of the merged run, counted from the newest place
		if degree(sum/unit, place) < degree(float64(items[last+1].Bytes)/unit, place+1)-1e-9 {
			break // 1e-9: equal degrees must not differ by rounding
		}
		last++
		sum += float64(items[last].Bytes)
	}
	return last
}

// degree gives the real number c >= place-1 for which C(c, place) is size.
func degree(size float64, place int) float64 {
	lo := float64(place - 1)
	hi := float64(place) * math.Max(1, math.Pow(size, 1/float64(place))) // C(c, k) >= (c/k)^k from c = k on
	for range 64 {
		c := (lo + hi) / 2
		binomial := 1.0
		for i := range place {
			binomial *= (c - float64(i)) / float64(place-i)
		}
		if binomial < size {
			lo = c
		} else {
			hi = c
		}
	}
	return lo
}
