package compaction

import (
	"fmt"
	"strconv"
	"strings"
)

// A picture of a path is one word an item, newest first: its bytes (a row is one
// byte here), after "m" if the rows are in memory, followed by
//
//	t5  5 of the rows are tombstones
//	*   entered: a branch point
//	!   claimed for writing
//	?   claimed for reading
//	~   sparse

func parsePath(picture string) ([]Item, error) {
	var path []Item
	for _, word := range strings.Fields(picture) {
		var it Item
		rest, memory := strings.CutPrefix(word, "m")
		it.Memory = memory
		for flag, set := range map[string]*bool{"*": &it.Entered, "!": &it.Claimed, "?": &it.ClaimedRead, "~": &it.Sparse} {
			if before, after, ok := strings.Cut(rest, flag); ok {
				rest, *set = before+after, true
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
		for _, flag := range []struct {
			set  bool
			mark string
		}{{it.Entered && i > 0, "*"}, {it.Claimed, "!"}, {it.ClaimedRead, "?"}, {it.Sparse, "~"}} {
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
// of different keys, the worst case.
func merged(path []Item, plan Plan) Item {
	it := path[plan.First]
	it.Sparse = false
	for _, older := range path[plan.First+1 : plan.Last+1] {
		it.Bytes += older.Bytes
		it.Rows += older.Rows
		it.Tombstones += older.Tombstones
	}
	if plan.Kind != KindConsolidate && plan.Reason != ReasonEmpty && plan.Last == len(path)-1 {
		it.Bytes -= it.Tombstones
		it.Rows -= it.Tombstones
		it.Tombstones = 0
	}
	return it
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
	return n
}
