package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/sstable"
)

// work is what a merge reads and what stays as it is: the parts of the new run in
// key order.
type work struct {
	parts    []part
	consumed []*forktree.Table
	below    *view  // what lies below the range
	reason   string // of the plan
}

// kept gives the tables that are taken over.
func (w *work) kept() (tables []*forktree.Table) {
	for _, p := range w.parts {
		if p.kept != nil {
			tables = append(tables, p.kept)
		}
	}
	return tables
}

// part is a piece of the new run: a table that is taken over, or what becomes of
// some runs.
type part struct {
	kept *forktree.Table
	runs []deadRun // newest first
}

// deadRun is a run as a merge reads it: without the rows that the range marks dead.
type deadRun struct {
	run  *forktree.Run
	dead map[*forktree.Table]*deadRows
}

// merging makes one run of those of the range. It reads the tables that overlap each
// other and takes over the others, among them the greater part of a large run under a
// small one. must tells which it reads in any case.
func (s *Store) merging(c *forktree.Claim, must func(*forktree.Table, *deadRows) bool) *work {
	w, runs := s.claimed(c)
	spans := make([][]compaction.Span, len(runs))
	for i, l := range runs {
		spans[i] = make([]compaction.Span, len(l.run.Tables))
		for j, t := range l.run.Tables {
			spans[i][j] = compaction.Span{
				Smallest: t.Meta.Smallest, Largest: t.Meta.Largest, Bytes: t.Meta.Length, Must: must(t, l.dead[t]),
			}
		}
	}
	for _, p := range compaction.Split(spans, s.smallTable()) {
		if p.Kept {
			at := p.Tables[0]
			w.parts = append(w.parts, part{kept: runs[at.Run].run.Tables[at.Table]})
			continue
		}
		read := make([]deadRun, len(runs))
		for _, at := range p.Tables {
			t := runs[at.Run].run.Tables[at.Table]
			if read[at.Run].run == nil {
				read[at.Run] = deadRun{run: &forktree.Run{}, dead: runs[at.Run].dead}
			}
			read[at.Run].run.Tables = append(read[at.Run].run.Tables, t)
			w.consumed = append(w.consumed, t)
		}
		read = slices.DeleteFunc(read, func(l deadRun) bool { return l.run == nil })
		w.parts = append(w.parts, part{runs: read})
	}
	return w
}

// claimed gives what lies below a claimed range, the runs of the range, newest first,
// and what nodes of the range mark dead in them.
func (s *Store) claimed(c *forktree.Claim) (w *work, runs []deadRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workLocked(c), runsOf(c)
}

func (s *Store) claimedRuns(c *forktree.Claim) []deadRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	return runsOf(c)
}

// runsOf gives the runs of a claimed range, newest first, and what nodes of the range
// mark dead in them. The caller holds the lock.
func runsOf(c *forktree.Claim) (runs []deadRun) {
	var dead deadOnPath
	for _, n := range c.Range {
		dead.add(n)
		if len(n.Run.Tables) > 0 {
			runs = append(runs, deadRun{run: n.Run, dead: dead.of(n.Run)})
		}
	}
	return runs
}

// wasteful tells whether a table is to be written again although nothing overlaps it:
// it has many rows that can be left out, or that may be gone when they are looked at.
func wasteful(t *forktree.Table, dead *deadRows) bool {
	p := compaction.DefaultPolicy()
	return dead != nil && float64(dead.bound) >= p.MaxDeadRatio*float64(dead.rows) ||
		t.Meta.Tombstones > 0 && float64(t.Meta.Tombstones) >= p.MaxTombstoneRatio*float64(t.Meta.Rows)
}

// smallTable is the size under which a table is too small to stay beside another.
func (s *Store) smallTable() uint64 { return uint64(s.opts.TableBytes) / 4 }

// rewriting reads some tables of the range's only run, neighbours as one, and keeps
// the others. A table of which nothing is alive is not even opened.
func (s *Store) rewriting(c *forktree.Claim, tables []rotten) *work {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.workLocked(c)
	var open *part
	for _, t := range c.Swap.Run.Tables {
		if len(tables) == 0 || tables[0].table != t {
			w.parts = append(w.parts, part{kept: t})
			open = nil
			continue
		}
		if open == nil {
			w.parts = append(w.parts, part{runs: []deadRun{{run: &forktree.Run{}, dead: map[*forktree.Table]*deadRows{}}}})
			open = &w.parts[len(w.parts)-1]
		}
		l := open.runs[0]
		l.run.Tables = append(l.run.Tables, t)
		l.dead[t] = tables[0].dead
		w.consumed = append(w.consumed, t)
		tables = tables[1:]
	}
	invariant.Check(len(tables) == 0, "a table that is to be rewritten is not in its run")
	return w
}

func (s *Store) workLocked(c *forktree.Claim) *work {
	return &work{below: s.viewLocked(c.Range[len(c.Range)-1].Older, nil)}
}

// merged is what the parts have become.
type merged struct {
	parts [][]sstable.Meta  // of each part that is not kept
	made  []*forktree.Table // the same, once the tree knows them
	remap *sstable.Remap
	deletes
}

// merge swaps a new run in for those of the range. See flushJob for the order in
// which things become durable.
func (s *Store) merge(c *forktree.Claim, w *work, stop func() error) error {
	if len(w.consumed) == 0 {
		w.below.releaseQuietly()
		return s.join(c, w.kept())
	}
	defer s.clock.merges.since(time.Now())
	s.opts.Schedule.Reach(schedule.MergePicked)
	out, err := s.newOutput()
	if err != nil {
		w.below.releaseQuietly()
		s.unclaim(c)
		return err
	}
	var res merged
	err = s.shielded(c, func() (err error) {
		res, err = s.mergeParts(w, out, unshielded(stop))
		return err
	})
	w.below.releaseQuietly()
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		s.unclaim(c)
		return errors.Join(diskFull(s.blame(err)), s.discard(out))
	}
	s.opts.Schedule.Reach(schedule.MergeWritten)
	used, err := s.replace(c, w, &res)
	s.finishOutput(out, used)
	return err
}

// mergeParts writes what is alive in the parts.
func (s *Store) mergeParts(w *work, out *compaction.Output, stop func() error) (merged, error) {
	remap := sstable.NewRemapBuilder()
	var bytes uint64
	for _, t := range w.consumed {
		bytes += t.Meta.Length
	}
	r := newResolver(w.below, max(int64(bytes), minReadBudget), nil)
	var res merged
	var dropped uint64
	for _, p := range w.parts {
		if p.kept != nil {
			continue
		}
		inputs, rows := s.mergeInputs(p.runs, remap)
		got, err := compaction.Merge(inputs, out, compaction.MergeOptions{Gone: r.gone, Stop: stop, Remap: remap})
		if err != nil {
			return merged{}, err
		}
		invariant.Check(got.RowsIn == rows, "%d rows were read of tables in which %d are alive", got.RowsIn, rows)
		metas, err := out.EndRun()
		if err != nil {
			return merged{}, err
		}
		res.parts = append(res.parts, metas)
		dropped += got.TombstonesDropped
	}
	res.remap = remap.Finish()
	res.deletes = r.deletes(dropped)
	return res, nil
}

// mergeInputs gives an iterator for each run and the number of live rows in all. The
// block cache stays as it is.
func (s *Store) mergeInputs(runs []deadRun, remap *sstable.RemapBuilder) (inputs []iterator.Iterator, rows uint64) {
	for _, l := range runs {
		var tables []compaction.RunTable
		for _, t := range l.run.Tables {
			dead := l.dead[t].get()
			if dead != nil {
				rows -= dead.Count()
			}
			rows += t.Meta.Rows
			if l.dead[t].whole() {
				remap.From(t.Meta.ID, t.Meta.Rows) // there is nothing to be read
				continue
			}
			tables = append(tables, compaction.RunTable{Meta: &t.Meta, Open: func() (*sstable.Iter, error) {
				reader, err := s.tables.ReaderAt(&t.Place)
				if err != nil {
					return nil, err
				}
				return reader.NewUncachedIter(dead), nil
			}})
		}
		inputs = append(inputs, compaction.NewRunIter(tables, remap))
	}
	return inputs, rows
}

// Vectors are carried over and swept so many at a time, so that a swap under a
// hundred thousand holders keeps no writer waiting.
const holdersAtOnce = 64

// replace puts the new run into the tree. Where many nodes mark rows of the consumed
// tables, their marks are carried over in slices before the swap and swept in slices
// after it.
func (s *Store) replace(c *forktree.Claim, w *work, res *merged) (used map[ids.FileNum]bool, err error) {
	used = map[ids.FileNum]bool{}
	r := s.prepare(c, w, res, used)
	if r == nil {
		return used, nil
	}
	opened := s.openTables(res.made)
	for begun := time.Now(); opened == nil && s.stage(c, r); begun = time.Now() {
		s.yield(begun, schedule.MarksStaged)
	}
	err = s.install([]*forktree.Claim{c}, schedule.MergePlaced, func() {
		if opened != nil || !c.Wanted() {
			s.counter.discarded.Add(1)
			s.mu.tree.Abandon(r)
			return
		}
		s.countMergeLocked(c, w, res)
		s.mu.tree.Install(r, res.marks)
	})
	for begun := time.Now(); s.sweep(r); begun = time.Now() {
		s.yield(begun, schedule.MarksSwept)
	}
	return used, errors.Join(opened, err)
}

// openTables opens new tables before the old ones go: one that cannot be read must
// not take their place, and the first reader afterwards finds filter and index in
// memory.
func (s *Store) openTables(made []*forktree.Table) error {
	for _, t := range made {
		if _, err := s.tables.ReaderAt(&t.Place); err != nil {
			return fmt.Errorf("open a table that was just written: %w", err)
		}
	}
	return nil
}

// yield leaves the lock and the processor to others for as long as a slice has taken.
// Without it a writer that wants the lock would have to win a race for it against the
// next slice.
func (s *Store) yield(begun time.Time, at schedule.Point) {
	s.opts.Schedule.Rest(at, time.Since(begun))
}

// prepare makes the new run known to the tree, unless nobody wants it any more.
func (s *Store) prepare(c *forktree.Claim, w *work, res *merged, used map[ids.FileNum]bool) *forktree.Replacement {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.Wanted() {
		s.counter.discarded.Add(1)
		s.unclaimLocked(c)
		return nil
	}
	t := s.mu.tree
	var tables []*forktree.Table
	parts := res.parts
	for _, p := range w.parts {
		if p.kept != nil {
			tables = append(tables, p.kept)
			continue
		}
		made := t.NewTables(parts[0])
		res.made = append(res.made, made...)
		tables = append(tables, made...)
		for _, m := range parts[0] {
			used[m.File] = true
		}
		parts = parts[1:]
	}
	return t.Replace(c, t.RunOf(tables), w.consumed, res.remap)
}

// stage carries some vectors over and tells whether it is worth doing more of them
// before the install.
func (s *Store) stage(c *forktree.Claim, r *forktree.Replacement) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	few := s.opts.Schedule.Few(holdersAtOnce)
	if r.Todo() <= few || !c.Wanted() {
		return false
	}
	s.mu.tree.Stage(r, few)
	s.counter.vectorsStaged.Add(uint64(few))
	s.publishLocked()
	return true
}

// sweep takes some vectors away that say nothing any more.
func (s *Store) sweep(r *forktree.Replacement) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Staged() == 0 {
		return false
	}
	more = s.mu.tree.Sweep(r, s.opts.Schedule.Few(holdersAtOnce))
	s.publishLocked()
	return more
}

func (s *Store) countMergeLocked(c *forktree.Claim, w *work, res *merged) {
	for _, n := range c.Range[1:] {
		if n.Holders() > 1 {
			s.counter.sharedMerges.Add(1)
			break
		}
	}
	for _, metas := range res.parts {
		for _, m := range metas {
			s.counter.bytesMerged.Add(m.Length)
		}
	}
	s.counter.merges.Add(1)
	switch w.reason {
	case compaction.ReasonDead:
		s.counter.deadRewrites.Add(1)
	case compaction.ReasonShadowed:
		s.counter.shadowRewrites.Add(1)
	}
	s.countDeletes(&res.deletes)
}
