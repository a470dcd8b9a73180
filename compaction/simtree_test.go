package compaction

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// simTree is a fork tree without rows: only sizes and who points at what.
type simTree struct {
	t      require.TestingT
	policy Policy

	names map[string]*simNode // forks and snapshots
	nodes map[*simNode]struct{}
	next  ids.NodeID

	written   uint64 // rows put in by write
	rewritten uint64 // rows copied by plans
	plans     int
	limit     int // of plans: more would mean that it never ends
	log       func(name string, path []Item, plan Plan)
}

type simNode struct {
	item  Item // all but Entered
	older *simNode
	refs  int
}

func newSimTree(t require.TestingT, p Policy) *simTree {
	return &simTree{t: t, policy: p, names: map[string]*simNode{}, nodes: map[*simNode]struct{}{}, next: 1, limit: 1_000_000}
}

// set points a name at a node (nil: nothing).
func (s *simTree) set(name string, n *simNode) {
	if n != nil {
		n.refs++
	}
	old := s.names[name]
	s.names[name] = n
	s.unref(old)
}

// fork points a new name at the node of another.
func (s *simTree) fork(name, parent string) { s.set(name, s.names[parent]) }

func (s *simTree) drop(name string) {
	s.set(name, nil)
	delete(s.names, name)
}

func (s *simTree) unref(n *simNode) {
	for n != nil {
		if n.refs--; n.refs > 0 {
			return
		}
		delete(s.nodes, n)
		n = n.older
	}
}

// write puts a node on top of a fork.
func (s *simTree) write(name string, it Item) *simNode {
	n := &simNode{item: it, older: s.names[name]}
	n.item.Node = s.next
	s.next++
	s.nodes[n] = struct{}{}
	s.written += it.Rows
	if n.older != nil {
		n.older.refs++
	}
	s.set(name, n)
	return n
}

// flush turns the memory nodes of a path for which f says so into tables.
func (s *simTree) flush(name string, f func(n *simNode) bool) {
	for n := s.names[name]; n != nil; n = n.older {
		if n.item.Memory && !n.item.Claimed && f(n) {
			n.item.Memory = false
		}
	}
}

func (s *simTree) path(n *simNode) ([]*simNode, []Item) {
	var nodes []*simNode
	var items []Item
	for i := 0; n != nil; n, i = n.older, i+1 {
		it := n.item
		it.Entered = i > 0 && n.refs > 1
		nodes, items = append(nodes, n), append(items, it)
	}
	return nodes, items
}

// entries gives the entered nodes from the root outwards.
func (s *simTree) entries() []*simNode {
	set := map[*simNode]struct{}{}
	for _, n := range s.names {
		if n != nil {
			set[n] = struct{}{}
		}
	}
	for n := range s.nodes {
		if n.refs > 1 {
			set[n] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b *simNode) int { return cmp.Compare(a.item.Node, b.item.Node) })
}

// step carries out the next plan for a path, if there is one.
func (s *simTree) step(n *simNode) bool {
	nodes, path := s.path(n)
	plan, ok := Pick(path, s.policy)
	if !ok {
		return false
	}
	require.Less(s.t, s.plans, s.limit, "does not come to rest: %s: %s", drawPath(path), plan)
	checkPlan(s.t, path, plan)
	if s.log != nil {
		s.log(s.nameOf(n), path, plan)
	}
	s.plans++
	s.rewritten += cost(path, plan)

	swap, last := nodes[plan.First], nodes[plan.Last]
	entered := swap.item.Entered
	swap.item = merged(path, plan)
	swap.item.Entered = entered
	if plan.Last > plan.First {
		if last.older != nil {
			last.older.refs++
		}
		old := swap.older
		swap.older = last.older
		s.unref(old)
	}
	return true
}

// rest carries out plans until there are none.
func (s *simTree) rest() {
	s.limit = s.plans + 100*len(s.nodes) + 100
	for again := true; again; {
		again = false
		for _, n := range s.entries() {
			for n.refs > 0 && s.step(n) {
				again = true
			}
		}
	}
}

// check holds every path against the bounds. It must be at rest, without claims.
func (s *simTree) check() {
	for _, n := range s.entries() {
		_, path := s.path(n)
		checkRest(s.t, path, s.policy)
	}
}

func (s *simTree) nameOf(n *simNode) string {
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		if s.names[name] == n {
			return name
		}
	}
	return "-"
}
