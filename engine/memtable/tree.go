package memtable

import (
	"bytes"
	"unsafe"
)

// tree is a B+tree over entries: leaves hold each key's newest version, inner
// nodes separators. Keys are never removed. The writer changes it under the
// memtable's lock and may read it without; readers hold the lock.
//
// Invariants: all leaves are equally deep, none is empty, and they are linked in
// key order; child i of an inner node holds the keys in [separator i-1,
// separator i).
type tree struct {
	root   *inner // nil while there is one leaf only
	first  *leaf
	last   *leaf
	splits uint64 // of leaves: while it stands, every leaf keeps its neighbours
	bytes  int64
}

// leaf has its pointers first: the garbage collector reads no further.
type leaf struct {
	next, prev *leaf
	slots
}

// inner is an inner node. Exactly one of leaves and inners is set; the number of
// children is slots.count+1.
type inner struct {
	leaves *[fanout + 1]*leaf
	inners *[fanout + 1]*inner
	slots
}

const (
	leafBytes     = 1024 // with what the allocator adds
	innerBytes    = 1024
	childrenBytes = int64(unsafe.Sizeof([fanout + 1]*leaf{}))
)

// leafFor is the leaf that holds key or would hold it. All keys of the leaf are
// known to share their first known bytes with key.
func (t *tree) leafFor(c chunks, key []byte) (l *leaf, known int) {
	n := t.root
	if n == nil {
		return t.first, 0
	}
	for {
		var i int
		i, known = n.child(c, key, known)
		if n.leaves != nil {
			return n.leaves[i], known
		}
		n = n.inners[i]
	}
}

// isAbove tells whether key lies behind all keys of the tree: then its place is the end
// of the last leaf.
func (t *tree) isAbove(c chunks, key []byte) bool {
	return bytes.Compare(key, c.key(t.last.refs[t.last.count-1])) > 0
}

// append inserts a key that lies behind all others.
func (t *tree) append(c chunks, key []byte, r ref) {
	if l := t.last; l.count < fanout {
		l.insert(c, int(l.count), key, r)
	} else {
		t.insertSplitting(c, key, r)
	}
}

// place is search by the writer: keys that rise cost it one comparison.
func (t *tree) place(c chunks, key []byte) (l *leaf, at int, found bool) {
	if t.isAbove(c, key) {
		return t.last, int(t.last.count), false
	}
	return t.search(c, key)
}

// search is the place of key in the leaf that holds it or would hold it.
func (t *tree) search(c chunks, key []byte) (l *leaf, at int, found bool) {
	l, known := t.leafFor(c, key)
	at, found = l.search(c, key, known)
	return l, at, found
}

// child is the number of the child for key. Between two separators everything
// has their prefix, key as well as what lies there; of the children at the ends
// nothing is known.
func (n *inner) child(c chunks, key []byte, known int) (i, knownBelow int) {
	i, found := n.search(c, key, known)
	if found {
		i++ // a separator is the first key of what lies behind it
	}
	if i > 0 && i < int(n.count) {
		return i, int(n.prefixBytes)
	}
	return i, 0
}

// insertSplitting inserts a key that is not in the tree and whose leaf is full.
// Inner nodes that are full are split on the way down, so that there is always
// room for one more separator above.
func (t *tree) insertSplitting(c chunks, key []byte, r ref) {
	if t.root == nil {
		t.root = t.newInner()
		t.root.leaves = new([fanout + 1]*leaf)
		t.root.leaves[0] = t.first
	} else if t.root.count == fanout {
		above := t.newInner()
		above.inners = new([fanout + 1]*inner)
		above.inners[0] = t.root
		t.root = above
	}
	n := t.root
	for n.inners != nil {
		i, _ := n.child(c, key, 0)
		if n.inners[i].count == fanout {
			t.splitInner(c, n, i)
			i, _ = n.child(c, key, 0)
		}
		n = n.inners[i]
	}
	i, _ := n.child(c, key, 0)
	t.splitLeaf(c, n, i, key, r)
}

// splitLeaf splits leaf i below parent in two and inserts key into one of them.
// Where keys arrive in rising order at the end of everything, the old leaf stays
// full and the new one starts with key alone.
func (t *tree) splitLeaf(c chunks, parent *inner, i int, key []byte, r ref) {
	left := parent.leaves[i]
	right := t.newLeaf()
	at, _ := left.search(c, key, 0)
	if left == t.last && at == fanout {
		right.insert(c, 0, key, r)
	} else {
		const middle = fanout / 2
		left.moveTail(middle, &right.slots)
		left.tighten(c)
		right.tighten(c)
		half := &left.slots
		if at > middle {
			half, at = &right.slots, at-middle
		}
		half.insert(c, at, key, r)
	}
	t.link(left, right)
	copy(parent.leaves[i+2:], parent.leaves[i+1:parent.count+1])
	parent.leaves[i+1] = right
	separator := right.refs[0]
	parent.insert(c, i, c.key(separator), separator)
	t.splits++
}

// splitInner splits the full inner child i of parent; its middle separator moves
// up.
func (t *tree) splitInner(c chunks, parent *inner, i int) {
	left := parent.inners[i]
	right := t.newInner()
	const up = fanout / 2
	separator := left.refs[up]
	if left.leaves != nil {
		right.leaves = new([fanout + 1]*leaf)
		copy(right.leaves[:], left.leaves[up+1:])
		clear(left.leaves[up+1:])
	} else {
		right.inners = new([fanout + 1]*inner)
		copy(right.inners[:], left.inners[up+1:])
		clear(left.inners[up+1:])
	}
	left.moveTail(up+1, &right.slots)
	left.count--
	left.tighten(c)
	right.tighten(c)
	copy(parent.inners[i+2:], parent.inners[i+1:parent.count+1])
	parent.inners[i+1] = right
	parent.insert(c, i, c.key(separator), separator)
}

func (t *tree) link(left, right *leaf) {
	right.prev, right.next = left, left.next
	if left.next == nil {
		t.last = right
	} else {
		left.next.prev = right
	}
	left.next = right
}

func (t *tree) newLeaf() *leaf {
	t.bytes += leafBytes
	return new(leaf)
}

// newInner makes an inner node and counts the array of children it will get.
func (t *tree) newInner() *inner {
	t.bytes += innerBytes + childrenBytes
	return new(inner)
}
