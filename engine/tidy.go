package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

// When little is written any more, space comes back that ordinary work lets wait for
// more: that of dead tables in files that are alive for the most part, and that of rows
// which newer ones of the same segment shadow. Passes note where there may be
// some, from sizes alone; here they are counted, on a sample, and merged away where
// there are enough.

// A store is at rest when less than restBytes has been written for restAfter, or when
// somebody waits for background work to end.
const (
	restAfter = 2 * time.Second
	restBytes = 256 << 10
)

// resting says how long a store has been at rest. Its fields are under background.mu.
type resting struct {
	after   time.Duration
	since   time.Time
	taken   int64 // in all, when that was looked at last
	waiting bool  // the merge worker will be woken
}

// noteUntidyLocked has tidy look at the path from n. Of nodes that are gone those stay
// in the list that came since it was gone through: at most as many as are there, and
// a few.
func (s *Store) noteUntidyLocked(n *forktree.Node) {
	const few = 1024
	if len(s.mu.untidy) >= few && len(s.mu.untidy) >= 2*s.mu.untidyLive {
		for id := range s.mu.untidy {
			if s.mu.tree.NodeByID(id) == nil {
				delete(s.mu.untidy, id)
			}
		}
		s.mu.untidyLive = len(s.mu.untidy)
	}
	s.mu.untidy[n.ID] = struct{}{}
}

// takeUntidy gives the nodes that are to be looked at, from the root outwards, and
// forgets them.
func (s *Store) takeUntidy() (entries []ids.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.mu.untidy {
		entries = append(entries, id)
	}
	clear(s.mu.untidy)
	s.mu.untidyLive = 0
	slices.Sort(entries)
	return entries
}

func (s *Store) keepUntidy(entries []ids.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range entries {
		if n := s.mu.tree.NodeByID(id); n != nil {
			s.noteUntidyLocked(n)
		}
	}
}

func (s *Store) isUntidy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.untidy) > 0 || s.mu.tree.Gappy()
}

// tidy merges what is shadowed and empties files of which a fifth is dead, as long as
// the store is at rest; if it is not, it sees to it that it is called again. It tells
// whether it did anything. A merge that fails is not tried again before the path has
// changed: others need the disk more.
func (s *Store) tidy(stop func() error) (did bool, err error) {
	if !s.isUntidy() || !s.atRest() {
		return false, nil
	}
	entries := s.takeUntidy()
	for i, id := range entries {
		if stopped := stop(); stopped != nil || !s.atRest() {
			s.keepUntidy(entries[i:])
			return did, errors.Join(stopped, err)
		}
		merged, failed := s.tidyPath(id, stop)
		did, err = did || merged, errors.Join(err, failed)
	}
	if !s.atRest() {
		return did, err
	}
	moved, unmoved := s.relocateSparse(true, stop)
	return did || moved, errors.Join(err, unmoved)
}

// tidyPath goes over the segment that an entered node begins.
func (s *Store) tidyPath(entry ids.NodeID, stop func() error) (did bool, err error) {
	passed := map[ids.NodeID]bool{}
	for {
		plan, claim := s.planShadowed(entry, passed)
		if claim == nil {
			return did, nil
		}
		passed[claim.Swap.ID] = true
		first, last := claim.Range[0].ID, claim.Range[len(claim.Range)-1].ID
		worth, err := plan.Reason != compaction.ReasonShadowed, error(nil)
		if !worth {
			worth, err = s.worthMerging(claim, stop)
		}
		if err == nil && worth {
			err = s.execute(plan, claim, nil, stop)
			did = did || err == nil
		} else {
			s.unclaim(claim)
		}
		if err != nil {
			return did, fmt.Errorf("%s of nodes %d to %d: %w", plan.Reason, first, last, err)
		}
	}
}

// planShadowed asks the picker about the path from an entered node, and claims what it
// chose: what was put off as long as it was young, or what may be shadowed. A path on which another rule has something to do, or another job is at work,
// is left to an ordinary pass, which notes it again.
func (s *Store) planShadowed(entry ids.NodeID, passed map[ids.NodeID]bool) (compaction.Plan, *forktree.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.mu.tree.NodeByID(entry)
	if n == nil || !n.Live() {
		return compaction.Plan{}, nil
	}
	p := s.pathLocked(n, true)
	if _, more := compaction.Pick(p.items, compaction.DefaultPolicy()); more {
		return compaction.Plan{}, nil
	}
	plan, ok := compaction.Grown(p.items, compaction.DefaultPolicy())
	if !ok {
		plan, ok = compaction.PickShadowed(p.items, compaction.DefaultPolicy(), func(newest compaction.Item) bool { return passed[newest.Node] })
	}
	if !ok {
		return compaction.Plan{}, nil
	}
	return plan, s.claimLocked(p.nodes[plan.First : plan.Last+1])
}

// What is counted of a run is this many rows in a row, at this many places.
const (
	shadowRows   = 16
	shadowPlaces = 64
)

// worthMerging counts, on a sample, how many bytes come back if the claimed runs are
// merged: rows that lie under newer ones, but for tables that other nodes hold too, of
// which the merge would make another copy. It reads a block at each place, and filters.
func (s *Store) worthMerging(c *forktree.Claim, stop func() error) (worth bool, err error) {
	runs := s.claimedRuns(c)
	w := s.merging(c, wasteful)
	w.below.releaseQuietly()
	shared := s.sharedTables(runs)
	var freed, all float64
	err = s.shielded(c, func() error {
		var rows uint64 // of the runs so far, from the oldest on
		for i := len(runs) - 1; i >= 0; i-- {
			if rows > 0 {
				share, err := s.shadowing(runs[i], runs[i+1:], shared, unshielded(stop))
				if err != nil {
					return err
				}
				freed += share * float64(runs[i].run.Rows()) * all / float64(rows)
			}
			rows += runs[i].run.Rows()
			all += float64(runs[i].run.Bytes())
		}
		return nil
	})
	for _, t := range w.consumed {
		if shared[t] {
			freed -= float64(t.Meta.Length)
		}
	}
	return err == nil && compaction.DefaultPolicy().Worthwhile(freed, all), err
}

// sharedTables gives those tables of some runs that other nodes hold too.
func (s *Store) sharedTables(runs []deadRun) map[*forktree.Table]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := map[*forktree.Table]bool{}
	for _, l := range runs {
		for _, t := range l.run.Tables {
			if l.run.Shares(t) {
				shared[t] = true
			}
		}
	}
	return shared
}

// shadowing tells what share of the rows of a run lie over a row of an older one in a
// table that is not shared. A table that cannot be read has none: its error is for
// those who read it.
func (s *Store) shadowing(newer deadRun, older []deadRun, shared map[*forktree.Table]bool, stop func() error) (share float64, err error) {
	step := max(newer.run.Rows()/shadowPlaces, shadowRows)
	seen, over := 0, 0
	for _, t := range newer.run.Tables {
		if newer.dead[t].whole() {
			continue
		}
		reader, unread := s.tables.ReaderAt(&t.Place)
		for at := uint64(0); at < t.Meta.Rows && unread == nil; at += step {
			if err := stop(); err != nil {
				return 0, err
			}
			it := reader.NewUncachedIter(newer.dead[t].get())
			ok := it.SeekOrdinal(at)
			for n := 0; ok && n < shadowRows; n++ {
				seen++
				if s.mayLieOver(it.Key(), older, shared) {
					over++
				}
				ok = it.Next()
			}
			unread = errors.Join(it.Error(), it.Close())
		}
	}
	return float64(over) / float64(max(seen, 1)), nil
}

// mayLieOver asks the filters of the newest of some runs that may have the key.
func (s *Store) mayLieOver(key []byte, older []deadRun, shared map[*forktree.Table]bool) bool {
	for _, l := range older {
		if t := l.run.Find(key); t != nil {
			if reader, err := s.tables.ReaderAt(&t.Place); err == nil && reader.MayContain(key) {
				return !shared[t]
			}
		}
	}
	return false
}

// atRest tells whether the store is at rest. If it is not, it wakes the merge worker
// when it may be.
func (s *Store) atRest() bool {
	if s.opts.Manual {
		return true
	}
	taken := s.memoryBytes.Load() + int64(s.counter.memoryFlushed.Load())
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.resting
	if r.since.IsZero() || taken-r.taken > restBytes {
		r.since = time.Now()
	}
	r.taken = taken
	if b.urgent > 0 {
		return true
	}
	wait := r.after - time.Since(r.since)
	if wait > 0 && !r.waiting {
		r.waiting = true
		b.afterLocked(wait, func() { r.waiting, b.merge.pending = false, true })
	}
	return wait <= 0
}
