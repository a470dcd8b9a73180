package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
)

// pass goes over nodes at which a path is entered, from the root outwards, and carries
// out the plans of the wanted kinds until the path is at rest. Older nodes come first,
// so that all their descendants share the result. With a watch it goes over those
// whose path has changed since the last pass, otherwise over all; what it does not
// bring to rest the next pass begins with, so that no path waits for a second job of
// another. It tells whether it did anything. A plan that fails, on a damaged table say,
// does not keep the other paths from being tended; its error is returned in the end.
func (s *Store) pass(w *forktree.Watch, wanted func(compaction.Kind) bool, stop func() error) (did bool, err error) {
	entries := s.entries(w)
	crowd := s.crowd(entries, wanted)
	for i, n := range entries {
		for {
			if stopped := stop(); stopped != nil {
				s.keep(w, entries[i:]...)
				if errors.Is(stopped, errEnough) {
					return did, err
				}
				return did, errors.Join(stopped, err)
			}
			plan, claim, tables := s.plan(n, w, wanted, crowd)
			if claim == nil {
				break
			}
			step, end := s.between(w, plan, claim, stop)
			failed := s.execute(plan, claim, tables, step)
			end()
			if failed != nil {
				s.keep(w, n)
				err = errors.Join(err, fmt.Errorf("%s of nodes %d to %d: %w", plan.Reason,
					claim.Range[0].ID, claim.Range[len(claim.Range)-1].ID, failed))
				break
			}
			did = true
		}
	}
	return did, err
}

// errEnough ends a pass for now, and is no failure of it.
var errEnough = errors.New("enough for now")

// entries notes the nodes at which paths are entered that a pass goes over. It holds
// the lock for a slice at a time, so what comes meanwhile may be missing, and what goes
// may be there: plan looks at each again. Where somebody waits for the work to end, all
// are looked at.
func (s *Store) entries(w *forktree.Watch) []*forktree.Node {
	all := s.back.isUrgent()
	s.mu.Lock()
	defer s.mu.Unlock()
	if w != nil {
		return w.Take(all, s.mu.rest)
	}
	entries := s.mu.tree.Entries(s.mu.rest)
	slices.SortFunc(entries, func(a, b *forktree.Node) int { return cmp.Compare(a.ID, b.ID) })
	return entries
}

// crowd counts the paths of a pass that hold too many runs, so that one merge can make
// room on many of them. Like entries it holds the lock for a slice at a time.
func (s *Store) crowd(entries []*forktree.Node, wanted func(compaction.Kind) bool) *compaction.Crowd {
	var c compaction.Crowd
	if len(entries) < 2 || !wanted(compaction.KindMerge) {
		return &c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var runs []ids.NodeID
	for i, n := range entries {
		if i%claimsAtOnce == claimsAtOnce-1 {
			s.mu.rest()
		}
		if !n.Live() {
			continue
		}
		runs = runs[:0]
		for x := range forktree.Path(n) {
			if x.Mem == nil {
				runs = append(runs, x.ID)
			}
		}
		c.Add(runs, compaction.DefaultPolicy())
	}
	return &c
}

// keep has the next pass of a watch go over some nodes again.
func (s *Store) keep(w *forktree.Watch, nodes ...*forktree.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range nodes {
		if w != nil && n.Live() {
			w.Keep(n)
		}
	}
}

// plan asks the picker about the path from n and claims what it chose. For a
// rewrite it gives the tables to be rewritten. A path on which other jobs are at work
// is kept for the next pass of the watch: there may be something to do when they have
// ended. One that has nothing to do is noted where tidy may find something.
func (s *Store) plan(n *forktree.Node, w *forktree.Watch, wanted func(compaction.Kind) bool, crowd *compaction.Crowd) (compaction.Plan, *forktree.Claim, []rotten) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.Live() {
		return compaction.Plan{}, nil, nil
	}
	s.counter.pathsSeen.Add(1)
	tables := wanted(compaction.KindMerge)
	if !tables && !memoryNear(n) {
		return compaction.Plan{}, nil, nil
	}
	p := s.pathLocked(n, tables)
	plan, ok := compaction.PickOf(p.items, compaction.DefaultPolicy(), wanted)
	var claim *forktree.Claim
	if ok {
		plan = crowd.Share(p.items, plan, compaction.DefaultPolicy())
		claim = s.claimLocked(p.nodes[plan.First : plan.Last+1])
	}
	if claim == nil {
		if w != nil && p.busy {
			w.Keep(n)
		}
		if tables && !ok {
			if _, shadowed := compaction.PickShadowed(p.items, compaction.DefaultPolicy(), nil); shadowed {
				s.noteUntidyLocked(n)
			}
		}
		return plan, nil, nil
	}
	if plan.Kind == compaction.KindRewrite {
		return plan, claim, p.dead[plan.First]
	}
	return plan, claim, nil
}

// nearRuns is how many runs in a row a worker that looks after memory looks through for
// more of it. Flushes may leave thousands on each of thousands of paths: to go over all
// of them whenever one of them is merged costs more than the merges. What lies below so many
// is looked at when they have become fewer, and more than so many on a path are a task
// for the merges anyway.
const nearRuns = 64

// memoryNear tells whether anything on the path from n is in memory, as far as nearRuns says.
func memoryNear(n *forktree.Node) bool {
	for range nearRuns {
		if n == nil {
			return false
		}
		if n.Mem != nil {
			return true
		}
		n = n.Older
	}
	return false
}

// described is a path as the picker sees it.
type described struct {
	nodes []*forktree.Node
	items []compaction.Item // of nodes
	dead  [][]rotten        // of nodes, nil if there are none at all
	busy  bool              // other jobs hold claims on it
}

// pathLocked describes the path from n: all of it, or what a plan for memory depends on.
func (s *Store) pathLocked(n *forktree.Node, whole bool) (p described) {
	runs := 0 // in a row
	for x := range forktree.Path(n) {
		if runs++; x.Mem != nil {
			runs = 0
		}
		if runs > nearRuns && !whole {
			break
		}
		it := s.itemLocked(x)
		s.counter.nodesSeen.Add(1)
		p.busy = p.busy || it.Claimed || it.ClaimedRead
		p.nodes = append(p.nodes, x)
		p.items = append(p.items, it)
	}
	p.dead = describeDead(p.nodes, p.items)
	return p
}

func (s *Store) itemLocked(n *forktree.Node) compaction.Item {
	it := compaction.Item{
		Node: n.ID, Memory: n.Mem != nil, Entered: n.Holders() > 1,
		Claimed: n.ClaimedForSwap() || s.mu.letBe[n.ID] != nil, ClaimedRead: n.ClaimedForReading(),
		Young: s.mu.grace.holds(n.Fork),
	}
	if n.Mem != nil {
		it.Bytes, it.Rows = uint64(n.Mem.Bytes()), uint64(n.Mem.Len())
	} else {
		it.Bytes, it.Rows, it.Tombstones = n.Run.Bytes(), n.Run.Rows(), n.Run.Tombstones()
	}
	return it
}

func (s *Store) execute(plan compaction.Plan, c *forktree.Claim, tables []rotten, stop func() error) error {
	var w *work
	switch {
	case plan.Kind == compaction.KindConsolidate:
		return s.consolidate(c)
	case plan.Reason == compaction.ReasonEmpty:
		return s.join(c, onlyRun(c))
	case plan.Kind == compaction.KindRewrite:
		w = s.rewriting(c, tables)
	default:
		w = s.merging(c, wasteful)
	}
	w.reason = plan.Reason
	return s.merge(c, w, stop)
}

// onlyRun gives the tables of the one run of the range that has any.
func onlyRun(c *forktree.Claim) (tables []*forktree.Table) {
	for _, n := range c.Range {
		if len(n.Run.Tables) > 0 {
			tables = n.Run.Tables
		}
	}
	return tables
}

// join swaps a run of the range's tables in at its newest node: nothing is read or
// written but the manifest.
func (s *Store) join(c *forktree.Claim, tables []*forktree.Table) error {
	s.opts.Schedule.Reach(schedule.MergePicked)
	return s.install([]*forktree.Claim{c}, schedule.MergePlaced, func() {
		if c.Wanted() {
			s.mu.tree.Install(s.mu.tree.Replace(c, s.runOfLocked(c, tables), nil, nil), nil)
			s.counter.joins.Add(1)
		}
	})
}

// runOfLocked gives a run of the tables: that of a node of the range if it has just
// these, so that the nodes go on to share it.
func (s *Store) runOfLocked(c *forktree.Claim, tables []*forktree.Table) *forktree.Run {
	for _, n := range c.Range {
		if slices.Equal(n.Run.Tables, tables) {
			return n.Run
		}
	}
	return s.mu.tree.RunOf(tables)
}

// consolidate swaps one memtable in for those of the range.
func (s *Store) consolidate(c *forktree.Claim) error {
	s.opts.Schedule.Reach(schedule.ConsolidatePicked)
	mem := c.Range[0].Mem.(*memtable.Memtable)
	for _, n := range c.Range[1:] {
		mem = memtable.Merge(mem, n.Mem.(*memtable.Memtable))
	}
	s.opts.Schedule.Reach(schedule.ConsolidateMerged)
	s.installMemory(c, mem)
	s.wake()
	return nil
}

func (s *Store) installMemory(c *forktree.Claim, mem *memtable.Memtable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Wanted() {
		s.mu.tree.InstallMemory(c, mem)
		s.counter.consolidations.Add(1)
		s.counter.installs.Add(1)
	}
	s.unclaimLocked(c)
	s.countMemoryLocked()
}
