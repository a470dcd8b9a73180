package compaction

// A segment is a part of the path inside which no branch point lies: nobody
// enters its items but the newest. A merge inside it frees what it swallows, so
// here the rules weigh rewriting against space and reads, as in any store that
// has no forks.

// segments calls f with each maximal range of items in tables that lies inside
// one segment, newest first, until f is content.
func (k *picker) segments(f func(first, last int) (Plan, bool)) (Plan, bool) {
	for first := 0; first < len(k.path); {
		last := first
		if !k.path[first].Memory {
			for last+1 < len(k.path) && !k.path[last+1].Memory && !k.path[last+1].Entered {
				last++
			}
			if plan, ok := f(first, last); ok {
				return plan, true
			}
		}
		first = last + 1
	}
	return Plan{}, false
}

// rootSegment gives the range of the segment that reaches the root. There is
// none if the root is in memory.
func (k *picker) rootSegment() (first, root int, ok bool) {
	root = len(k.path) - 1
	if root < 0 || k.path[root].Memory {
		return 0, 0, false
	}
	first = root
	for first > 0 && !k.path[first].Entered && !k.path[first-1].Memory {
		first--
	}
	return first, root, true
}

// space merges the whole segment into its root once what lies above has grown
// to a share of it: overwritten rows can be no more than that share, and a row
// of the base is rewritten only once in that much new data.
func (k *picker) space() (Plan, bool) {
	first, root, ok := k.rootSegment()
	if !ok || first == root {
		return Plan{}, false
	}
	var newer float64
	for _, it := range k.path[first:root] {
		newer += float64(it.Bytes)
	}
	if newer < k.policy.MaxSpaceRatio*float64(k.path[root].Bytes) {
		return Plan{}, false
	}
	return k.join(first, root, ReasonSpace)
}

// tombstones merges the whole segment into its root once many of its rows are
// tombstones: nothing lies below that they could hide, so they all go.
func (k *picker) tombstones() (Plan, bool) {
	first, root, ok := k.rootSegment()
	if !ok {
		return Plan{}, false
	}
	var rows, tombstones uint64
	for _, it := range k.path[first : root+1] {
		rows += it.Rows
		tombstones += it.Tombstones
	}
	if tombstones == 0 || float64(tombstones) < k.policy.MaxTombstoneRatio*float64(rows) {
		return Plan{}, false
	}
	return k.join(first, root, ReasonTombstones)
}

// tier merges neighbouring runs of similar size. Each merge multiplies the size
// by at least MinMerge/MaxSizeRatio or so, which makes rewrites logarithmic.
//
// What only young forks wrote, above a branch point, is left alone: most such forks
// are dropped soon, and until then the read bound is enough. Grown says what was left.
func (k *picker) tier() (Plan, bool) {
	return k.segments(func(first, last int) (Plan, bool) {
		if last < len(k.path)-1 && k.young(first, last) {
			return Plan{}, false
		}
		for ; first+k.policy.MinMerge-1 <= last; first++ {
			largest := k.path[first].Bytes
			end := first
			for end < last && float64(k.path[end+1].Bytes) <= k.policy.MaxSizeRatio*float64(largest) {
				end++
				largest = max(largest, k.path[end].Bytes)
			}
			if end-first+1 < k.policy.MinMerge {
				continue
			}
			if plan, ok := k.join(first, end, ReasonTier); ok {
				return plan, true
			}
		}
		return Plan{}, false
	})
}

func (k *picker) young(first, last int) bool {
	for _, it := range k.path[first : last+1] {
		if !it.Young {
			return false
		}
	}
	return true
}

// Grown is Pick of a path on which nothing is young any more: if Pick has nothing to
// say, it gives what was put off. It forgets what was young in path.
func Grown(path []Item, p Policy) (Plan, bool) {
	for i := range path {
		path[i].Young = false
	}
	return Pick(path, p)
}
