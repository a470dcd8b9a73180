package forktree

import (
	"math"

	"github.com/tinedb/tine/internal/invariant"
)

// ref counts one more pointer at n. Call it before the unref of what n replaces.
func (t *Tree) ref(n *Node) {
	if n == nil {
		return
	}
	if n.freed { // the arguments of Check allocate
		invariant.Check(false, "node %d is referenced after it was freed", n.ID)
	}
	n.refs++
	t.stirAt(n)
}

// unref counts one pointer at n less.
func (t *Tree) unref(n *Node) {
	if n == nil {
		return
	}
	t.lose(n)
	if n.Holders() == 1 { // it may be a branch point no more
		t.stirThrough(n)
	}
}

// lose is unref for jobs: where paths go does not change.
func (t *Tree) lose(n *Node) {
	n.refs--
	if n.refs < n.jobs || n.jobs < 0 { // the arguments of Check allocate
		invariant.Check(false, "node %d: %d references, %d of them jobs", n.ID, n.refs, n.jobs)
	}
	if n.refs == 0 {
		n.freed = true
		t.freed = append(t.freed, n)
	}
	t.shape++
}

// Release takes at most max unreferenced nodes apart and tells whether some are
// left. A drop is O(1) because this is done later and in slices, so that a deep
// path does not hold the lock for long.
func (t *Tree) Release(max int) (more bool) {
	for ; max > 0 && len(t.freed) > 0; max-- {
		n := t.freed[len(t.freed)-1]
		t.freed = t.freed[:len(t.freed)-1]
		if n.refs != 0 || n.Claimed() { // the arguments of Check allocate
			invariant.Check(false, "node %d is released while it is used", n.ID)
		}
		delete(t.nodes, n.ID)
		if n.logged {
			n.logged = false
			t.goneNodes = append(t.goneNodes, n.ID)
		}
		if n.Mem != nil {
			t.memoryBytes -= n.Mem.Bytes()
			t.memoryNodes--
			n.Mem = nil
		}
		for _, m := range n.marks {
			t.detach(m)
		}
		n.marks = nil
		if n.Run != nil {
			t.letGo(n.Run, nil)
			n.Run = nil
		}
		older := n.Older
		n.disown()
		n.Older = nil
		n.swap = math.MaxUint64
		t.unref(older)
	}
	return len(t.freed) > 0
}
