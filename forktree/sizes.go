package forktree

import (
	"fmt"

	"github.com/tinedb/tine/internal/invariant"
)

// Sizes are what one fork's or snapshot's path means on disk, in bytes of tables. They
// count tables whole, whatever rows of them are marked dead.
type Sizes struct {
	Depth      int    // nodes on the path
	Referenced uint64 // of the tables on it
	Exclusive  uint64 // of those, the tables that nothing else reaches: theirs is the space that a drop gives up
	Freed      uint64 // of whole files that go when it is dropped, because they hold no other's tables
}

// Sizes gives the sizes of the path from top, as the path of one fork or snapshot. It
// costs O(path + chunks on it + tables that nothing else reaches), so that those of all forks
// together cost no more than their paths and the tables there are.
//
// They are exact, but that what was dropped counts as another's until jobs have let go
// of it and Release has taken it apart.
func (t *Tree) Sizes(top *Node) Sizes {
	var s Sizes
	own := true // nothing else has come to the path yet
	runs, chunks, tables, files := map[*Run]int32{}, map[*chunk]int32{}, map[*Table]int32{}, map[*file]uint64{}
	count := func(list []*Table) {
		for _, tb := range list {
			if tb.held > 1 {
				if tables[tb]++; tables[tb] < tb.held {
					continue
				}
			}
			s.Exclusive += tb.Meta.Length
			files[tb.file] += tb.Meta.Length
		}
	}
	for n := range Path(top) {
		s.Depth++
		own = own && n.Holders() == 1
		if n.Run == nil {
			continue
		}
		s.Referenced += n.Run.size()
		if !own {
			continue
		}
		// A run counts its nodes, a chunk its runs, and a table its chunks, or runs if
		// they are not cut: they are nobody else's if all of them are met here.
		if runs[n.Run]++; runs[n.Run] < n.Run.holders {
			continue
		}
		if n.Run.chunks == nil {
			count(n.Run.Tables)
		}
		for _, c := range n.Run.chunks {
			if chunks[c]++; chunks[c] == c.held {
				count(c.tables)
			}
		}
	}
	for f, bytes := range files {
		if bytes == f.liveBytes {
			s.Freed += f.allBytes
		}
	}
	if invariant.Expensive && len(t.nodes) <= recountedNodes {
		err := t.recount(top, s)
		invariant.Check(err == nil, "%v", err)
	}
	return s
}

// size is Bytes, added up once: runs are immutable. The tree's lock is held.
func (r *Run) size() uint64 {
	if r.bytes == 0 {
		r.bytes = r.Bytes()
	}
	return r.bytes
}

// recountedNodes is up to how many nodes a tree's sizes are counted again at each
// call; Verify does it for trees of any size, for some paths.
const (
	recountedNodes = 256
	recountedPaths = 3
)

// verifySizes recounts the sizes of some forks' and snapshots' paths.
func (t *Tree) verifySizes() error {
	var tops []*Node
	for f := range t.forks.All() {
		tops = append(tops, t.nodes[f.Top])
	}
	for _, s := range t.Snapshots() {
		tops = append(tops, s.Node)
	}
	step := max(1, len(tops)/recountedPaths)
	for i := int(t.shape % uint64(step)); i < len(tops); i += step { // others each time
		if err := t.recount(tops[i], t.Sizes(tops[i])); err != nil {
			return err
		}
	}
	return nil
}

// recount compares sizes with those that come out if the path's tables are held
// against all that others reach, table by table: forks, snapshots, and nodes that
// nobody wants and that are not taken apart yet. It costs O(everything).
func (t *Tree) recount(top *Node, got Sizes) error {
	others, path := map[*Node]bool{}, map[*Node]bool{}
	reach := func(n *Node) {
		for ; n != nil && !others[n]; n = n.Older {
			others[n] = true
		}
	}
	self := top // the one entry at top that is not another's
	enter := func(n *Node) {
		if n == self {
			self = nil
			return
		}
		reach(n)
	}
	for f := range t.forks.All() {
		enter(t.nodes[f.Top])
	}
	for _, s := range t.snaps {
		enter(s.Node)
	}
	for _, n := range t.nodes {
		if !n.Live() {
			reach(n)
		}
	}
	want := Sizes{}
	for n := range Path(top) {
		want.Depth++
		path[n] = true
	}
	theirs, ours := map[*Table]bool{}, map[*Table]bool{}
	for n := range others {
		if n.Run != nil {
			for _, tb := range n.Run.Tables {
				theirs[tb] = true
			}
		}
	}
	for n := range path {
		if n.Run != nil {
			for _, tb := range n.Run.Tables {
				ours[tb] = true
			}
		}
	}
	kept := map[*file]bool{}
	for tb := range theirs {
		kept[tb.file] = true
	}
	gone := map[*file]bool{}
	for tb := range ours {
		want.Referenced += tb.Meta.Length
		if !theirs[tb] {
			want.Exclusive += tb.Meta.Length
			gone[tb.file] = true
		}
	}
	for f := range gone {
		if !kept[f] {
			want.Freed += f.allBytes
		}
	}
	if got != want {
		return fmt.Errorf("the path from node %d has the sizes %+v, counted again they are %+v", nodeID(top), got, want)
	}
	return nil
}
