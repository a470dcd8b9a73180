package compaction

// Where nobody enters between two runs, a row of the older one that the newer one has
// too is seen by nobody, and takes space until the two are merged. The other rules let
// it wait for what is written later, so that a row is rewritten few times in its life.
// That is right as long as something is written. When the writing ends, and when the
// drop of a fork leaves behind what was only kept for it, the space shall come back
// without.
//
// Sizes do not tell new keys from old ones. So here the picker says where it is worth
// looking, the caller counts, and Worthwhile says whether to go on.

// PickShadowed chooses the runs of one segment, the one that item 0 lies in, if the
// newer of them may shadow a share of them that is worth a merge. The picker of the
// path should have nothing to say any more. Where passed tells that the caller has
// looked at the runs from an item on, it goes on to those behind memory, if there
// are any. It is pure, and costs O(segment).
func PickShadowed(path []Item, p Policy, passed func(newest Item) bool) (Plan, bool) {
	k := picker{path: path, policy: p.withDefaults(), wanted: func(Kind) bool { return true }}
	return k.segments(func(first, last int) (Plan, bool) {
		switch {
		case first > 0 && k.closed(first) != 0:
			return Plan{}, false // who enters there asks for it
		case first == last || passed != nil && passed(path[first]):
			return Plan{}, false
		}
		var all, shadowed float64
		var older Item // all of them as one
		for i := last; i >= first; i-- {
			it := &path[i]
			all += float64(it.Bytes)
			if older.Rows > 0 {
				shadowed += float64(min(it.Rows, older.Rows)) * float64(older.Bytes) / float64(older.Rows)
			}
			older.Rows += it.Rows
			older.Bytes += it.Bytes
		}
		if !k.policy.Worthwhile(shadowed, all) {
			return Plan{}, false
		}
		return k.join(first, last, ReasonShadowed)
	})
}

// Worthwhile tells whether so many bytes of some runs are shadowed that a merge of all
// of them pays.
func (p Policy) Worthwhile(shadowed, all float64) bool {
	return shadowed > 0 && shadowed >= p.withDefaults().MaxShadowedRatio*all
}
