package engine

import (
	"iter"
	"slices"
	"sync/atomic"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/invariant"
)

// flat is what reads find at and below one node that several paths come to: the
// layers down to the next such node, which has a flat of its own, and what is dead
// in all tables from here down. The views of all forks above share it, so that a
// fork's own view holds only what is private to the fork, and is made in O(its
// private nodes). It is immutable but for its count, its sieve, and what is known of its age:
// a swap at one of its nodes, or further below, makes it stale, and later views make
// another; swaps elsewhere do not concern it.
//
// It is kept as long as a view or a flat above uses it. Owned by the Store, under
// its lock.
type flat struct {
	node   *forktree.Node // its newest
	layers []layer        // newest first
	below  *flat
	dead   *deadTables
	swaps  uint64 // the tree's count of swaps when it was last found to be as the tree is
	stale  bool   // it was found not to be
	refs   int    // views, and flats above

	sieve atomic.Pointer[sieve] // nil until enough lookups have come by
	asked atomic.Int64          // about how many that is

	weave  atomic.Pointer[weave] // nil until iterators have cost enough
	steps  atomic.Int64          // about how much that is, in steps
	enough atomic.Int64          // how much it must be; 0: nobody has looked yet
}

// layer is one node of a path: a frozen memtable or a run.
type layer struct {
	mem *memtable.Memtable
	run *forktree.Run
}

// isShared tells whether paths part at the node, so that it is worth a flat.
func isShared(n *forktree.Node) bool { return n.Holders() > 1 }

// flatLocked gives the flat at a node with a reference for the caller. It is built
// only if there is none or the one that is there is stale, with those below it of which
// the same is true.
func (s *Store) flatLocked(n *forktree.Node) *flat {
	var missing []*forktree.Node
	var f *flat
	for ; n != nil; n = nextShared(n) {
		if there := s.mu.flats[n]; there != nil && s.isPresentLocked(there) {
			f = there
			break
		}
		missing = append(missing, n)
	}
	if f != nil {
		f.refs++
	}
	for i := len(missing) - 1; i >= 0; i-- {
		f = s.newFlatLocked(missing[i], f)
	}
	return f
}

// isPresentLocked tells whether the flat is what would be built in its place now. Each
// flat is looked at once a swap, whoever asks; and what is stale stays so. A flat over a
// stale one is stale too. Cost: O(flats below that nobody has asked for since the last
// swap, and their nodes).
func (s *Store) isPresentLocked(f *flat) bool {
	now := s.mu.tree.Swaps()
	var unsure []*flat
	for ; f != nil && !f.stale && f.swaps != now; f = f.below {
		unsure = append(unsure, f)
	}
	stale := f != nil && f.stale
	for _, x := range slices.Backward(unsure) {
		if stale = stale || !x.node.Unchanged(x.below.top(), x.swaps); stale {
			x.stale = true
		} else {
			x.swaps = now
		}
	}
	return !stale
}

// top is the flat's newest node, nil if there is no flat.
func (f *flat) top() *forktree.Node {
	if f == nil {
		return nil
	}
	return f.node
}

// nextShared gives the first shared node below n, nil if there is none.
func nextShared(n *forktree.Node) *forktree.Node {
	for n = n.Older; n != nil && !isShared(n); n = n.Older {
	}
	return n
}

// newFlatLocked takes over the caller's reference on below and gives one on the new
// flat.
func (s *Store) newFlatLocked(n *forktree.Node, below *flat) *flat {
	f := &flat{node: n, below: below, swaps: s.mu.tree.Swaps(), refs: 1}
	var marked deadOnPath
	for {
		marked.add(n)
		f.layers = s.appendLayerLocked(f.layers, n)
		if n = n.Older; n == nil || isShared(n) {
			break
		}
	}
	f.dead = marked.over(below.deadTables())
	f.dead.share()
	s.mu.flats[f.node] = f
	s.counter.flats.Add(1)
	return f
}

func (f *flat) deadTables() *deadTables {
	if f == nil {
		return nil
	}
	return f.dead
}

// appendLayerLocked pins what it appends, if the node has any rows.
func (s *Store) appendLayerLocked(layers []layer, n *forktree.Node) []layer {
	switch {
	case n.Mem != nil:
		return append(layers, layer{mem: n.Mem.(*memtable.Memtable)})
	case len(n.Run.Tables) > 0:
		s.mu.tree.Pin(n.Run)
		return append(layers, layer{run: n.Run})
	}
	return layers
}

func (s *Store) unpinLayersLocked(layers []layer) {
	for _, l := range layers {
		if l.run != nil {
			s.mu.tree.Unpin(l.run)
		}
	}
}

// releaseFlatLocked takes one reference back. The flat that nothing uses any more
// goes, and those below that only it has used.
func (s *Store) releaseFlatLocked(f *flat) {
	for ; f != nil; f = f.below {
		f.refs--
		invariant.Check(f.refs >= 0, "the flat at node %d is released twice", f.node.ID)
		if f.refs > 0 {
			return
		}
		s.unpinLayersLocked(f.layers)
		s.dropSieveLocked(f)
		s.dropWeaveLocked(f)
		if s.mu.flats[f.node] == f {
			delete(s.mu.flats, f.node)
		}
	}
}

// under walks the flats from f down.
func (f *flat) under() iter.Seq[*flat] {
	return func(yield func(*flat) bool) {
		for ; f != nil; f = f.below {
			if !yield(f) {
				return
			}
		}
	}
}
