package memtable

// buildTree makes a tree of entries that are sorted by key, at least one. The
// nodes are filled evenly: nothing more will be inserted after a merge, and a
// memtable that outgrows its flat form gets one leaf anyway.
func buildTree(c chunks, refs []ref) *tree {
	t := &tree{bytes: treeBytes}
	var leaves []*leaf
	for _, part := range evenly(len(refs), fanout) {
		l := t.newLeaf()
		l.fill(c, refs[part.lo:part.hi])
		if t.first == nil {
			t.first, t.last = l, l
		} else {
			t.link(t.last, l)
		}
		leaves = append(leaves, l)
	}
	if len(leaves) == 1 {
		return t
	}
	// Level by level; lowest[i] is the smallest key below node i.
	var nodes []*inner
	lowest := make([]ref, 0, len(leaves))
	for _, part := range evenly(len(leaves), fanout+1) {
		n := t.newInner()
		n.leaves = new([fanout + 1]*leaf)
		copy(n.leaves[:], leaves[part.lo:part.hi])
		var separators []ref
		for _, l := range leaves[part.lo+1 : part.hi] {
			separators = append(separators, l.refs[0])
		}
		n.fill(c, separators)
		nodes, lowest = append(nodes, n), append(lowest, leaves[part.lo].refs[0])
	}
	for len(nodes) > 1 {
		var above []*inner
		var aboveLowest []ref
		for _, part := range evenly(len(nodes), fanout+1) {
			n := t.newInner()
			n.inners = new([fanout + 1]*inner)
			copy(n.inners[:], nodes[part.lo:part.hi])
			n.fill(c, lowest[part.lo+1:part.hi])
			above, aboveLowest = append(above, n), append(aboveLowest, lowest[part.lo])
		}
		nodes, lowest = above, aboveLowest
	}
	t.root = nodes[0]
	return t
}

// fill sets the slots of a new node.
func (s *slots) fill(c chunks, refs []ref) {
	s.count = int32(copy(s.refs[:], refs))
	if s.count > 0 {
		s.setPrefix(c, sharedBytes(c.key(refs[0]), c.key(refs[len(refs)-1])))
	}
}

type part struct{ lo, hi int }

// evenly cuts [0, n) into as few parts of at most most as will do, which differ
// by at most one in length.
func evenly(n, most int) []part {
	count := (n + most - 1) / most
	parts := make([]part, count)
	for i := range parts {
		parts[i] = part{lo: i * n / count, hi: (i + 1) * n / count}
	}
	return parts
}
