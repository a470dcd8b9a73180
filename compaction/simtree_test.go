package compaction

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// simTree is a fork tree without rows: only sizes, who points at what, and how many
// rows of whose run a node marked.
type simTree struct {
	t      require.TestingT
	policy Policy

	names map[string]*simNode // forks and snapshots
	nodes map[*simNode]struct{}
	next  ids.NodeID

	written   uint64 // rows put in by write
	rewritten uint64 // rows copied by plans
	marks     uint64 // rows put to death by mark
	plans     int
	limit     int  // of plans: more would mean that it never ends
	readAll   bool // merges take no tables over
	crowd     Crowd
	alone     bool // each path merges for itself
	log       func(name string, path []Item, plan Plan)
}

type simNode struct {
	item  Item // all but Entered, Rotten and DeadBy
	run   *simRun
	older *simNode
	refs  int
}

// simRun is one table. Several nodes hold it after a join.
type simRun struct {
	holders int
	dead    map[*simNode]uint64 // rows by who marked them
	tables  []*simTable         // if its rows have keys
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
		n.run.holders--
		n = n.older
	}
}

// write puts a node on top of a fork.
func (s *simTree) write(name string, it Item) *simNode {
	n := &simNode{item: it, older: s.names[name], run: newSimRun()}
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

func newSimRun() *simRun { return &simRun{holders: 1, dead: map[*simNode]uint64{}} }

// mark puts rows of the run of an item of n's path to death, as n does when it
// becomes tables.
func (s *simTree) mark(n *simNode, item int, rows uint64) {
	nodes, path := s.path(n)
	require.False(s.t, n.item.Memory || path[item].Memory, "memory has no marks")
	require.LessOrEqual(s.t, rows, s.alive(n, nodes[item]), "fewer rows are alive")
	if rows > 0 {
		nodes[item].run.dead[n] += rows
		s.marks += rows
	}
}

// alive counts the rows of an older node that n may mark: no tombstones, and none
// that a node of a path through both marked already.
func (s *simTree) alive(n, older *simNode) uint64 {
	rows := older.item.Rows - older.item.Tombstones
	for by, dead := range older.run.dead {
		if _, alive := s.nodes[by]; alive && (through(by, n) || through(n, by)) {
			rows -= min(rows, dead) // forks of one node may mark the same rows
		}
	}
	return rows
}

func (s *simTree) path(n *simNode) ([]*simNode, []Item) {
	var nodes []*simNode
	var items []Item
	for i := 0; n != nil; n, i = n.older, i+1 {
		it := n.item
		it.Entered = i > 0 && n.refs > 1
		nodes, items = append(nodes, n), append(items, it)
	}
	k := &picker{path: items}
	for i, n := range nodes {
		if len(n.run.dead) == 0 {
			continue
		}
		it := &items[i]
		for j, by := range nodes[:i+1] {
			if rows := n.run.dead[by]; rows > 0 {
				it.DeadBy = append(it.DeadBy, DeadBy{j, rows})
			}
		}
		dead := k.deadBy(i, k.closed(i))
		it.Rotten = n.run.holders == 1 && dead > 0 && float64(dead) >= s.policy.withDefaults().MaxDeadRatio*float64(it.Rows)
	}
	return nodes, items
}

// swapMarks makes marks of the plan's range marks of the newest of it, and the marks
// on what the plan replaces marks on the new run: those of nodes whose path goes
// through the swap and which the plan makes no end of. Who enters below the swap
// still sees the old runs with the old marks.
func (s *simTree) swapMarks(nodes []*simNode, path []Item, plan Plan, run *simRun) {
	swap, rng := nodes[plan.First], nodes[plan.First:plan.Last+1]
	inherit := func(run *simRun) {
		for _, n := range rng[1:] {
			if rows := run.dead[n]; rows > 0 {
				run.dead[swap] += rows
			}
		}
	}
	for _, below := range nodes[plan.Last+1:] {
		inherit(below.run)
	}
	if !copies(plan) {
		inherit(run)
		return
	}
	ended := nodes[reach(path, plan) : plan.Last+1]
	for _, old := range rng {
		for by, rows := range old.run.dead {
			_, alive := s.nodes[by]
			if alive && through(by, swap) && !slices.Contains(ended, by) {
				run.dead[by] += rows
			}
		}
	}
}

// through tells whether the path of n goes through another node.
func through(n, other *simNode) bool {
	for n != nil && n != other {
		n = n.older
	}
	return n != nil
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
	plan = s.crowd.Share(path, plan, s.policy)
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
	swap.item.Entered, swap.item.Rotten, swap.item.DeadBy = entered, false, nil
	run := newSimRun()
	if !copies(plan) { // a join takes a run over as it is
		run = swap.run
		for i := plan.First; i <= plan.Last; i++ {
			if path[i].Bytes > 0 {
				run = nodes[i].run
			}
		}
		run.holders++
	}
	s.swapMarks(nodes, path, plan, run)
	if copies(plan) && swap.run.tables != nil {
		s.rewritten -= cost(path, plan)
		var written uint64
		var runs [][]*simTable
		for _, n := range nodes[plan.First : plan.Last+1] {
			runs = append(runs, n.run.tables)
		}
		run.tables, written = mergeTables(runs, !s.readAll)
		s.rewritten += written
		swap.item.Rows = 0
		for _, t := range run.tables {
			swap.item.Rows += uint64(len(t.keys))
		}
		swap.item.Bytes = swap.item.Rows
	}
	swap.run.holders--
	swap.run = run
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
		entries := s.entries()
		if !s.alone {
			s.crowd = s.crowded(entries)
		}
		for _, n := range entries {
			for n.refs > 0 && s.step(n) {
				again = true
			}
		}
	}
}

// crowded counts the paths that are too long.
func (s *simTree) crowded(entries []*simNode) (c Crowd) {
	for _, n := range entries {
		var runs []ids.NodeID
		for ; n != nil; n = n.older {
			if !n.item.Memory {
				runs = append(runs, n.item.Node)
			}
		}
		c.Add(runs, s.policy)
	}
	return c
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
