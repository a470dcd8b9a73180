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
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/sstable"
)

// pass goes over every node at which a path is entered, from the root outwards,
// and carries out the plans of the wanted kinds until the path is at rest. Older
// nodes come first, so that all their descendants share the result. It tells
// whether it did anything. A plan that fails, on a damaged table say, does not
// keep the other paths from being tended; its error is returned in the end.
func (s *Store) pass(wanted func(compaction.Kind) bool, stop func() error) (did bool, err error) {
	entries := s.entries()
	slices.SortFunc(entries, func(a, b *forktree.Node) int { return cmp.Compare(a.ID, b.ID) })
	for _, n := range entries {
		for {
			if stopped := stop(); stopped != nil {
				return did, errors.Join(stopped, err)
			}
			plan, claim := s.plan(n, wanted)
			if claim == nil {
				break
			}
			if failed := s.execute(plan, claim, stop); failed != nil {
				err = errors.Join(err, fmt.Errorf("%s of nodes %d to %d: %w", plan.Reason,
					claim.Range[0].ID, claim.Range[len(claim.Range)-1].ID, failed))
				break
			}
			did = true
		}
	}
	return did, err
}

func (s *Store) entries() []*forktree.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.Entries()
}

// plan asks the picker about the path from n and claims what it chose.
func (s *Store) plan(n *forktree.Node, wanted func(compaction.Kind) bool) (compaction.Plan, *forktree.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.Live() {
		return compaction.Plan{}, nil
	}
	var nodes []*forktree.Node
	var items []compaction.Item
	for x := range forktree.Path(n) {
		nodes = append(nodes, x)
		items = append(items, s.itemLocked(x))
	}
	plan, ok := compaction.PickOf(items, compaction.DefaultPolicy(), wanted)
	if !ok {
		return plan, nil
	}
	return plan, s.claimLocked(nodes[plan.First : plan.Last+1])
}

func (s *Store) itemLocked(n *forktree.Node) compaction.Item {
	it := compaction.Item{
		Node: n.ID, Memory: n.Mem != nil, Entered: n.Holders() > 1,
		Claimed: n.ClaimedForSwap() || s.mu.letBe[n.ID] != nil, ClaimedRead: n.ClaimedForReading(),
	}
	if n.Mem != nil {
		it.Bytes, it.Rows = uint64(n.Mem.Bytes()), uint64(n.Mem.Len())
	} else {
		it.Bytes, it.Rows, it.Tombstones, it.Sparse = n.Run.Bytes(), n.Run.Rows(), n.Run.Tombstones(), n.Run.Sparse()
	}
	return it
}

func (s *Store) execute(plan compaction.Plan, c *forktree.Claim, stop func() error) error {
	switch {
	case plan.Kind == compaction.KindConsolidate:
		return s.consolidate(c)
	case plan.Reason == compaction.ReasonEmpty:
		return s.join(c)
	}
	return s.merge(c, stop)
}

// mergeInputs gives iterators over the runs of a claim's range, how many rows they
// have together, and a view of what lies below.
func (s *Store) mergeInputs(c *forktree.Claim) (inputs []iterator.Iterator, rows uint64, below *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range c.Range {
		if len(n.Run.Tables) > 0 {
			inputs = append(inputs, s.runIter(n.Run, false))
			rows += n.Run.Rows()
		}
	}
	return inputs, rows, s.viewLocked(c.Range[len(c.Range)-1].Older, nil)
}

// join swaps the only run of the range that has tables, if any has, in at its
// newest node as it is: nothing is read or written but the manifest.
func (s *Store) join(c *forktree.Claim) error {
	s.opts.Schedule.Reach(schedule.MergePicked)
	run := c.Swap.Run
	for _, n := range c.Range {
		if len(n.Run.Tables) > 0 {
			run = n.Run
		}
	}
	err := s.install([]*forktree.Claim{c}, schedule.MergePlaced, func() {
		if c.Wanted() {
			s.mu.tree.InstallMerge(c, run)
			s.counter.joins.Add(1)
		}
	})
	return err
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

// merge swaps one run in for those of the range. See flushJob for the order in
// which things become durable.
func (s *Store) merge(c *forktree.Claim, stop func() error) error {
	inputs, before, below := s.mergeInputs(c)
	s.opts.Schedule.Reach(schedule.MergePicked)

	out, err := s.newOutput()
	if err != nil {
		below.releaseQuietly()
		s.unclaim(c)
		return err
	}
	var res compaction.Result
	var metas []sstable.Meta
	err = s.shielded(c, func() (err error) {
		res, err = compaction.Merge(inputs, out, compaction.MergeOptions{Gone: below.absent, Stop: unshielded(stop)})
		if err == nil {
			invariant.Check(res.RowsIn == before, "%d rows were read of tables that hold %d", res.RowsIn, before)
			metas, err = out.EndRun()
		}
		return err
	})
	below.releaseQuietly()
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		s.unclaim(c)
		return errors.Join(diskFull(s.blame(err)), s.discard(out))
	}
	s.opts.Schedule.Reach(schedule.MergeWritten)
	used := map[ids.FileNum]bool{}
	err = s.install([]*forktree.Claim{c}, schedule.MergePlaced, func() {
		if !c.Wanted() {
			s.counter.discarded.Add(1)
			return
		}
		for _, n := range c.Range[1:] {
			if n.Holders() > 1 {
				s.counter.sharedMerges.Add(1)
				break
			}
		}
		s.mu.tree.InstallMerge(c, s.mu.tree.NewRun(metas))
		for _, m := range metas {
			used[m.File] = true
			s.counter.bytesMerged.Add(m.Length)
		}
		s.counter.merges.Add(1)
		s.counter.tombstonesDropped.Add(res.TombstonesDropped)
	})
	s.finishOutput(out, used)
	return err
}
