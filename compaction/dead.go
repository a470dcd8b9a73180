package compaction

// Rows that are marked dead cost a read little: it steps over them. They cost
// space where nobody sees them any more, and where a path sees few of many rows
// they cost it memory and reads. So there are two thresholds: one for rows that
// are dead for everybody, whose space comes back when they are written away, and a
// higher one for rows that are dead on one path and alive on others, which stay.
//
// Each plan here pays for itself: it copies at most 1/MaxDeadRatio - 1 rows for
// each that it drops, and a row is dropped once in a run.

// gone empties a run that has no live row left, the oldest first. Nothing is read
// or written for that, and the rules about sizes must not see rows that are gone:
// they would merge a base for their sake. Nodes without rows leave by "empty".
func (k *picker) gone() (Plan, bool) {
	return k.marked(func(i int) (Plan, bool) {
		rows := k.path[i].Rows
		switch {
		case k.path[i].Rotten && k.deadBy(i, k.closed(i)) >= rows:
			return k.plan(KindRewrite, i, i, ReasonDead)
		case k.deadBy(i, i) >= rows: // others hold the tables
			return k.plan(KindMerge, i, i, ReasonDead)
		}
		return Plan{}, false
	})
}

// rotten rewrites the oldest rotten run: the one that most paths share.
func (k *picker) rotten() (Plan, bool) {
	for i := len(k.path) - 1; i >= 0; i-- {
		if !k.path[i].Rotten || k.path[i].Memory {
			continue
		}
		if plan, ok := k.plan(KindRewrite, i, i, ReasonDead); ok {
			return plan, true
		}
	}
	return Plan{}, false
}

// dead merges a run of which a large share is dead with everything down from the
// items that marked it, whatever branch points lie between: the path gets a run
// without the dead rows, and those who enter below First keep the old ones. The
// oldest such run is the first to go: its range may hold the others, and theirs
// never hold it. The range is the smallest whose marks make the share, if the rows
// that go are enough to pay for all that are copied; otherwise the next larger
// one is tried.
//
// At rest, therefore, less than that share of all rows of a path in tables is
// dead. For if it were more, take the oldest run that has its share: what lies
// below it has less, so from the top down to it the share is reached, and the
// range of all that would have been merged.
func (k *picker) dead() (Plan, bool) {
	return k.marked(func(i int) (Plan, bool) {
		share := k.policy.MaxSharedDeadRatio * float64(k.path[i].Rows)
		if float64(k.deadBy(i, 0)) < share {
			return Plan{}, false
		}
		var rows float64
		for j := i; j >= 0; j-- {
			rows += float64(k.path[j].Rows)
			if float64(k.deadBy(i, j)) >= share && float64(k.deadIn(j, i)) >= k.policy.MaxDeadRatio*rows {
				return k.join(j, i, ReasonDead)
			}
		}
		return Plan{}, false
	})
}

// marked calls f with each item that has dead rows, oldest first, until f is
// content.
func (k *picker) marked(f func(i int) (Plan, bool)) (Plan, bool) {
	for i := len(k.path) - 1; i >= 0; i-- {
		if len(k.path[i].DeadBy) == 0 || k.path[i].Rows == 0 || k.path[i].Memory {
			continue
		}
		if plan, ok := f(i); ok {
			return plan, true
		}
	}
	return Plan{}, false
}

// closed gives the newest item that every path through item i goes through.
func (k *picker) closed(i int) int {
	for i > 0 && !k.path[i].Entered {
		i--
	}
	return i
}

// deadBy counts the rows of item i that items from first on marked.
func (k *picker) deadBy(i, first int) uint64 {
	var rows uint64
	for _, d := range k.path[i].DeadBy {
		if d.Item >= first {
			rows += d.Rows
		}
	}
	return rows
}

// deadIn counts the rows of the items first to last that the same items marked: a
// merge of them drops those.
func (k *picker) deadIn(first, last int) uint64 {
	var rows uint64
	for i := first; i <= last; i++ {
		rows += k.deadBy(i, first)
	}
	return rows
}
