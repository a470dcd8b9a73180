package compaction

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A picture of a path is one word an item, newest first: its bytes (a row is one
// byte here), after "m" if the rows are in memory, followed by
//
//	t5        5 of the rows are tombstones
//	d0:7,2:9  7 of the rows are dead by marks of item 0, 9 by marks of item 2
//	*         entered: a branch point
//	!         claimed for writing
//	?         claimed for reading
//	%         rotten
//	~         young

func parsePath(picture string) ([]Item, error) {
	var path []Item
	for _, word := range strings.Fields(picture) {
		var it Item
		rest, memory := strings.CutPrefix(word, "m")
		it.Memory = memory
		for flag, set := range map[string]*bool{"*": &it.Entered, "!": &it.Claimed, "?": &it.ClaimedRead, "%": &it.Rotten, "~": &it.Young} {
			if before, after, ok := strings.Cut(rest, flag); ok {
				rest, *set = before+after, true
			}
		}
		rest, dead, ok := strings.Cut(rest, "d")
		if ok {
			for _, word := range strings.Split(dead, ",") {
				var d DeadBy
				if _, err := fmt.Sscanf(word, "%d:%d", &d.Item, &d.Rows); err != nil {
					return nil, fmt.Errorf("item %q: %w", word, err)
				}
				it.DeadBy = append(it.DeadBy, d)
			}
		}
		rows, tombstones, ok := strings.Cut(rest, "t")
		var err error
		if it.Bytes, err = strconv.ParseUint(rows, 10, 64); err != nil {
			return nil, fmt.Errorf("item %q: %w", word, err)
		}
		if ok {
			if it.Tombstones, err = strconv.ParseUint(tombstones, 10, 64); err != nil {
				return nil, fmt.Errorf("item %q: %w", word, err)
			}
		}
		it.Rows = it.Bytes
		path = append(path, it)
	}
	return path, nil
}

func drawPath(path []Item) string {
	var words []string
	for i, it := range path {
		word := strconv.FormatUint(it.Bytes, 10)
		if it.Memory {
			word = "m" + word
		}
		if it.Tombstones > 0 {
			word += "t" + strconv.FormatUint(it.Tombstones, 10)
		}
		for n, d := range it.DeadBy {
			word += string("d,"[min(n, 1)]) + fmt.Sprintf("%d:%d", d.Item, d.Rows)
		}
		for _, flag := range []struct {
			set  bool
			mark string
		}{{it.Entered && i > 0, "*"}, {it.Claimed, "!"}, {it.ClaimedRead, "?"}, {it.Rotten, "%"}, {it.Young, "~"}} {
			if flag.set {
				word += flag.mark
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (p Plan) String() string { return fmt.Sprintf("%s %d..%d %s", p.Kind, p.First, p.Last, p.Reason) }

// merged is what a plan makes of the items it holds. All rows are taken to be
// of different keys, the worst case, and no tombstone to be dead. Marks stay with
// those items that hold them: DeadBy counts as in the path before.
func merged(path []Item, plan Plan) Item {
	it := path[plan.First]
	it.Rotten, it.DeadBy = false, nil
	for _, older := range path[plan.First+1 : plan.Last+1] {
		it.Bytes += older.Bytes
		it.Rows += older.Rows
		it.Tombstones += older.Tombstones
	}
	dead := dropped(path, plan)
	it.Bytes -= dead
	it.Rows -= dead
	if copies(plan) && plan.Kind == KindMerge && plan.Last == len(path)-1 {
		it.Bytes -= it.Tombstones
		it.Rows -= it.Tombstones
		it.Tombstones = 0
	}
	by := map[int]uint64{}
	for _, old := range path[plan.First : plan.Last+1] {
		for _, d := range old.DeadBy {
			if d.Item < reach(path, plan) {
				by[d.Item] += d.Rows
			}
		}
	}
	for _, item := range slices.Sorted(maps.Keys(by)) {
		it.DeadBy = append(it.DeadBy, DeadBy{item, by[item]})
	}
	return it
}

// copies tells whether a plan writes tables.
func copies(plan Plan) bool { return plan.Kind != KindConsolidate && plan.Reason != ReasonEmpty }

// reach gives the newest item whose marks a plan makes an end of: a rewrite of one
// node leaves out what is dead for everybody who comes to it.
func reach(path []Item, plan Plan) int {
	switch {
	case !copies(plan):
		return len(path)
	case plan.Kind == KindRewrite:
		return (&picker{path: path}).closed(plan.First)
	}
	return plan.First
}

// dropped counts the dead rows that a plan does not copy.
func dropped(path []Item, plan Plan) uint64 {
	var n uint64
	for _, it := range path[plan.First : plan.Last+1] {
		for _, d := range it.DeadBy {
			if d.Item >= reach(path, plan) {
				n += d.Rows
			}
		}
	}
	return n
}

// cost is how many bytes a plan copies.
func cost(path []Item, plan Plan) uint64 {
	if plan.Reason == ReasonEmpty {
		return 0
	}
	var n uint64
	for _, it := range path[plan.First : plan.Last+1] {
		n += it.Bytes
	}
	return n - dropped(path, plan)
}

// after is the path when a plan has been carried out. Marks of the items that went
// into one are now that one's; so are those on the run that a join took over.
func after(path []Item, plan Plan) []Item {
	next := slices.Concat(path[:plan.First], []Item{merged(path, plan)}, path[plan.Last+1:])
	for i := range next {
		var moved []DeadBy
		for _, d := range next[i].DeadBy {
			switch {
			case d.Item > plan.Last:
				d.Item -= plan.Last - plan.First
			case d.Item > plan.First:
				d.Item = plan.First
			}
			if n := len(moved); n > 0 && moved[n-1].Item == d.Item {
				moved[n-1].Rows += d.Rows
			} else {
				moved = append(moved, d)
			}
		}
		next[i].DeadBy = moved
	}
	return next
}
