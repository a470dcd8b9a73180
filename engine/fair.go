package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// One worker does all merges, and a merge of a large run takes long. Forks that have
// nothing to do with it go on meanwhile: what they flush makes their paths longer. So
// between the steps of a merge the worker looks at the paths that have changed, and
// carries out what the read bound asks for there, if it is much smaller. The large
// merge waits for that, and goes on where it was: nothing is copied twice.

// muchSmaller is how many times smaller than a merge another one must be to be done in
// the middle of it.
const muchSmaller = 4

// turnNodes is how many nodes a path may have that is looked at in a turn. One that is
// much longer than the read bound is not brought within it by a small merge, and where
// there are thousands of such paths, looking at all of them takes longer than the large merge.
const turnNodes = 256

// turns lets small merges take turns with a large one. It belongs to the large one's
// goroutine. Of the time, small merges get half at most.
type turns struct {
	s     *Store
	watch *forktree.Watch
	stop  func() error
	most  uint64           // bytes that a small merge may read
	seen  uint64           // the installs that there were at the last look
	ended time.Time        // the last look
	took  time.Duration    // the last look
	later []*forktree.Node // live ones that were looked at, each once, and may have more to do
}

// between gives what a merge by a watch's pass asks between its steps, in place of stop, and
// what is to be called when it has ended.
func (s *Store) between(w *forktree.Watch, plan compaction.Plan, c *forktree.Claim, stop func() error) (step func() error, end func()) {
	if w == nil || plan.Kind == compaction.KindConsolidate {
		return stop, func() {}
	}
	t := &turns{s: s, watch: w, stop: stop, seen: s.counter.installs.Load(), ended: time.Now()}
	var bytes uint64
	for _, l := range s.claimedRuns(c) {
		bytes += l.run.Bytes()
	}
	if bytes < s.smallTable() {
		return stop, func() {}
	}
	t.most = bytes / muchSmaller
	return t.step, func() { s.keep(w, t.later...) }
}

func (t *turns) step() error {
	if err := t.stop(); err != nil {
		return err
	}
	installs := t.s.counter.installs.Load()
	if installs == t.seen || time.Since(t.ended) < t.took {
		return nil
	}
	t.seen = installs
	begun := time.Now()
	t.look()
	t.ended = time.Now()
	t.took = t.ended.Sub(begun)
	return nil
}

// look brings the paths that have changed within the read bound. What else they need,
// and what fails, is left to the next pass.
func (t *turns) look() {
	s := t.s
	s.mu.Lock()
	entries := t.watch.Take(false, s.mu.rest)
	t.later = append(t.later, entries...)
	t.later = slices.DeleteFunc(t.later, func(n *forktree.Node) bool { return !n.Live() })
	slices.SortFunc(t.later, func(a, b *forktree.Node) int { return cmp.Compare(a.ID, b.ID) })
	t.later = slices.Compact(t.later)
	s.mu.Unlock()
	crowd := s.crowd(entries, func(compaction.Kind) bool { return true })
	for _, n := range entries {
		for t.stop() == nil {
			plan, claim := s.planBound(n, crowd, t.most)
			if claim == nil {
				break
			}
			if err := s.execute(plan, claim, nil, t.stop); err != nil {
				s.opts.Logger.Warn("a merge is left to the next pass", "error", err)
				break
			}
		}
	}
}

// planBound asks the picker what the read bound wants of the path from n, and claims
// it if no more than so many bytes are to be read for it.
func (s *Store) planBound(n *forktree.Node, crowd *compaction.Crowd, most uint64) (compaction.Plan, *forktree.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.Live() {
		return compaction.Plan{}, nil
	}
	s.counter.pathsSeen.Add(1)
	if longerThan(n, turnNodes) {
		return compaction.Plan{}, nil
	}
	p := s.pathLocked(n, true)
	plan, ok := compaction.PickBound(p.items, compaction.DefaultPolicy())
	if !ok {
		return plan, nil
	}
	fits := func(plan compaction.Plan) bool {
		var bytes uint64
		for _, it := range p.items[plan.First : plan.Last+1] {
			bytes += it.Bytes
		}
		return bytes <= most
	}
	if shared := crowd.Share(p.items, plan, compaction.DefaultPolicy()); fits(shared) {
		plan = shared // otherwise that is left to the next pass
	}
	if !fits(plan) {
		return plan, nil
	}
	return plan, s.claimLocked(p.nodes[plan.First : plan.Last+1])
}

// longerThan tells whether the path from n has more nodes than that.
func longerThan(n *forktree.Node, most int) bool {
	for ; n != nil && most >= 0; most-- {
		n = n.Older
	}
	return most < 0
}
