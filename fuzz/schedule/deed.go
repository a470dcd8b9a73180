package schedule

import (
	"errors"
	"fmt"

	points "github.com/tinedb/tine/internal/schedule"
)

// deed is something that an actor does, or has the store's workers do, and in the
// course of which points are reached.
type deed struct {
	name  string
	on    stores
	ready func(*run, *actor) error // before anything is held; may be nil
	do    func(*run, *actor) error
	by    party
	ends  bool // it closes the store
}

// party is who comes to the points of a deed, if there is only one of them.
type party uint8

const (
	anybody party = iota
	job           // whoever holds the lock for work that the caller does itself
	memoryWorker
	mergeWorker
)

// stores is a set of kinds of store, those that a deed works on.
type stores uint8

const (
	manual  stores = 1 << iota // all work is done by those who ask for it
	tight                      // with workers, who wait at the gates; memory is over its budget
	roomy                      // with workers, but nothing has to be flushed
	workers = tight | roomy
	every   = manual | workers
)

// common are the kinds that suit two deeds, the plainest first. Deeds that need
// no worker find none either: one kind is as good as another.
func common(a, b stores) []stores {
	var out []stores
	for _, kind := range []stores{manual, tight, roomy} {
		if a&b&kind != 0 {
			out = append(out, kind)
		}
		if len(out) > 0 && out[0] == manual {
			break
		}
	}
	return out
}

// The deeds. Those at the top need nothing of others and are tried first.
var (
	write = deed{name: "write", on: every, do: func(_ *run, a *actor) error {
		return a.edit(60, true, a.own("w"), a.own("v"), a.own("g"))
	}}
	// bulk fills a segment.
	bulk = deed{name: "bulk", on: every, ready: func(_ *run, a *actor) error {
		return errors.Join(a.put(1200, false, a.own("w")), a.put(1200, false, a.own("w")))
	}, do: func(_ *run, a *actor) error {
		for range 3 {
			if err := a.put(1500, false, a.own("w")); err != nil {
				return err
			}
		}
		return nil
	}}
	fork = deed{name: "fork", on: every, do: func(_ *run, a *actor) error {
		return a.fork(a.own("w"), a.own("child"), true)
	}}
	snapshot = deed{name: "snapshot", on: every, do: func(_ *run, a *actor) error {
		return a.snapshot(a.own("v"), a.own("s"), true)
	}}
	drop = deed{name: "drop", on: every, do: func(_ *run, a *actor) error { return a.drop(a.own("d"), true) }}
	// These make and drop several forks by one record.
	forkMany = deed{name: "fork many", on: every, do: func(_ *run, a *actor) error {
		return a.forkMany(a.own("w"), true, a.own("child"), a.own("sister"), a.own("brother"))
	}}
	dropMany = deed{name: "drop many", on: every, do: func(_ *run, a *actor) error {
		return a.dropMany(true, a.own("d"), a.own("e"), a.own("n"))
	}}
	dropSubtree = deed{name: "drop subtree", on: every,
		ready: func(_ *run, a *actor) error {
			return errors.Join(a.fork(a.own("c"), a.own("top"), false), a.put(60, false, a.own("top")),
				a.forkMany(a.own("top"), false, a.own("child"), a.own("sister")), a.put(60, false, a.own("child")),
				a.fork(a.own("child"), a.own("grandchild"), false))
		},
		do: func(_ *run, a *actor) error {
			return a.dropSubtree(a.own("top"), true, a.own("child"), a.own("sister"), a.own("grandchild"))
		}}
	// reset discards the memtable of one fork and freezes that of the other.
	reset  = deed{name: "reset", on: every, do: func(_ *run, a *actor) error { return a.reset(a.own("r"), a.own("w"), true) }}
	rename = deed{name: "rename", on: every, do: func(_ *run, a *actor) error {
		return a.rename(a.own("n"), a.own("named"), true)
	}}
	read = deed{name: "read", on: every, do: func(_ *run, a *actor) error { return a.hold(a.own("j")) }}
	// letGo closes the last iterator on a view that nobody else has.
	letGo = deed{name: "let go", on: every,
		ready: func(_ *run, a *actor) (err error) {
			if a.closes, err = a.w.iterate(a.own("i")); err != nil {
				return err
			}
			a.closes.it.First()
			return a.snapshot(a.own("i"), a.own("forget"), false)
		},
		do: func(_ *run, a *actor) error {
			if err := a.closes.check(); err != nil {
				return err
			}
			h := a.closes
			a.closes = nil
			return h.it.Close()
		}}
	flush        = deed{name: "flush", on: every, by: job, do: func(_ *run, a *actor) error { return a.w.store.Flush() }}
	reclaimFlush = deed{name: "drop, flush", on: every, by: job, ready: dropUnsynced, do: flush.do}
	writeFlush   = deed{name: "write and flush", on: every, by: job, do: func(_ *run, a *actor) error {
		if err := a.edit(700, false, a.own("v"), a.own("g")); err != nil {
			return err
		}
		return a.w.store.Flush()
	}}
	// merge merges and consolidates what there is.
	merge   = deed{name: "compact", on: manual, by: job, do: func(_ *run, a *actor) error { return a.w.store.Compact() }}
	reclaim = deed{name: "reclaim", on: manual, by: job, ready: dropUnsynced, do: func(_ *run, a *actor) error { return a.w.store.Settle() }}
	discard = deed{name: "drop and reclaim", on: manual, by: job, do: func(r *run, a *actor) error {
		if err := dropUnsynced(r, a); err != nil {
			return err
		}
		return a.w.store.Settle()
	}}
	// compact does the same beside the workers.
	compact = deed{name: "compact beside workers", on: roomy, by: job, do: merge.do}

	memoryTurn = deed{name: "memory worker", on: tight, by: memoryWorker, do: func(r *run, _ *actor) error {
		r.watch.open(points.MemoryTurn)
		return nil
	}}
	// tidyTurn finds nothing to flush.
	tidyTurn    = deed{name: "memory worker", on: roomy, by: memoryWorker, do: memoryTurn.do}
	reclaimTurn = deed{name: "drop, memory worker", on: workers, by: memoryWorker, ready: dropUnsynced, do: memoryTurn.do}
	discardTurn = deed{name: "memory worker after a drop", on: workers, by: memoryWorker, do: func(r *run, a *actor) error {
		if err := dropUnsynced(r, a); err != nil {
			return err
		}
		return memoryTurn.do(r, a)
	}}
	writeTurn = deed{name: "memory worker after a write", on: tight, by: memoryWorker, do: func(r *run, a *actor) error {
		if err := a.edit(1500, false, a.own("v"), a.own("h")); err != nil {
			return err
		}
		return memoryTurn.do(r, a)
	}}
	readTurn = deed{name: "memory worker after a read", on: workers, by: memoryWorker, do: func(r *run, a *actor) error {
		if err := a.hold(a.own("j")); err != nil {
			return err
		}
		return memoryTurn.do(r, a)
	}}
	// crowdTurn has the worker find new memtables to merge.
	crowdTurn = deed{name: "memory worker after snapshots", on: workers, by: memoryWorker, do: func(r *run, a *actor) error {
		if err := crowded(a); err != nil {
			return err
		}
		return memoryTurn.do(r, a)
	}}
	crowdCompact = deed{name: "snapshots, compact beside workers", on: roomy, by: job, do: func(r *run, a *actor) error {
		if err := crowded(a); err != nil {
			return err
		}
		return a.w.store.Compact()
	}}
	// trimTurn leaves segments to the worker that hold nothing but what a dropped
	// fork wrote; behind them come rows for others to flush.
	trimTurn = deed{name: "memory worker after a useless segment", on: roomy, by: memoryWorker,
		ready: func(r *run, a *actor) error {
			if err := a.w.store.Flush(); err != nil {
				return err
			}
			if err := useless(a); err != nil {
				return err
			}
			for _, a := range r.actors {
				if err := a.put(100, false, a.own("w"), a.own("v")); err != nil {
					return err
				}
			}
			return nil
		},
		do: memoryTurn.do}
	lateTrimTurn = deed{name: "a useless segment, memory worker", on: roomy, by: memoryWorker, do: func(r *run, a *actor) error {
		if err := useless(a); err != nil {
			return err
		}
		return memoryTurn.do(r, a)
	}}
	mergeTurn = deed{name: "merge worker", on: workers, by: mergeWorker, do: func(r *run, _ *actor) error {
		r.watch.open(points.MergeTurn)
		return nil
	}}
	shut = deed{name: "close", on: every, ends: true, do: func(_ *run, a *actor) error { return a.w.store.Close() }}
)

// dropUnsynced drops the only fork that needs some files, and one that marks rows of
// tables it shares.
func dropUnsynced(_ *run, a *actor) error {
	return errors.Join(a.drop(a.own("d"), false), a.drop(a.own("g"), false))
}

// crowded puts more memtables on a path than there should be.
func crowded(a *actor) error {
	for n := range 6 {
		if err := a.put(60, false, a.own("c")); err != nil {
			return err
		}
		if err := a.snapshot(a.own("c"), fmt.Sprintf("crowd%d-%d", a.number, n), false); err != nil {
			return err
		}
	}
	return nil
}

// useless fills segments of the log with what is discarded at once, and was never
// in tables.
func useless(a *actor) error {
	err := a.fork("main", a.own("useless"), false)
	for range 4 {
		if err == nil {
			err = a.put(1500, false, a.own("useless"))
		}
	}
	return errors.Join(err, a.drop(a.own("useless"), false))
}

// ways are the deeds in which a point is reached, the plainest first.
func ways(p points.Point) []deed {
	switch p {
	case points.WriteReserved, points.WritePlaced:
		return []deed{write}
	case points.RecordReserved, points.ForkPlaced:
		return []deed{fork}
	case points.SnapshotPlaced:
		return []deed{snapshot}
	case points.DropPlaced:
		return []deed{drop}
	case points.ResetPlaced:
		return []deed{reset}
	case points.RenamePlaced:
		return []deed{rename}
	case points.FreezePlaced:
		return []deed{flush, memoryTurn, writeFlush, writeTurn}
	case points.ViewBuilt, points.IteratorOpening:
		return []deed{read}
	case points.IteratorClosing, points.ViewUnpinning:
		return []deed{letGo}
	case points.SweepPicked:
		return []deed{reclaim, flush, memoryTurn, tidyTurn, readTurn}
	case points.FlushPicked, points.FlushWritten, points.FlushPlaced:
		return []deed{flush, memoryTurn, writeTurn, writeFlush}
	case points.ConsolidatePicked, points.ConsolidateMerged:
		return []deed{merge, memoryTurn, tidyTurn, compact, crowdTurn, crowdCompact}
	case points.MergePicked, points.MergeWritten, points.MarksStaged, points.MergePlaced, points.MarksSwept:
		return []deed{merge, mergeTurn, compact}
	case points.ReclaimSyncing, points.ReclaimPicked, points.ReclaimUnlinking:
		return []deed{reclaim, reclaimFlush, discard, reclaimTurn, discardTurn}
	case points.TrimPlaced, points.LogTrimming:
		return []deed{flush, memoryTurn, trimTurn, lateTrimTurn}
	case points.LogWriting:
		return []deed{write, bulk}
	case points.LogSyncing, points.LogSynced:
		return []deed{write}
	case points.LogRotating:
		return []deed{bulk}
	case points.ManifestWriting, points.ManifestSynced:
		return []deed{reclaim, flush, memoryTurn, mergeTurn}
	case points.RewriteBegun, points.RewriteCopied, points.RewriteSwapping, points.RewriteSwapped:
		return []deed{flush, memoryTurn, tidyTurn}
	case points.MemoryTurn:
		return []deed{memoryTurn, tidyTurn}
	case points.MergeTurn:
		return []deed{mergeTurn}
	case points.CloseBegun, points.CloseStopped, points.CloseEnding:
		return []deed{shut}
	}
	panic(fmt.Sprintf("nobody knows the way to %s", p))
}

// several are the deeds by which points are reached that ways has others for: those
// that make or drop many forks at once.
var several = map[points.Point][]deed{points.ForkPlaced: {forkMany}, points.DropPlaced: {dropMany, dropSubtree}}

// before is the point that somebody who is on the way to a point comes to before,
// and where it is early enough to wait for a close that has begun.
var before = map[points.Point]points.Point{
	points.WritePlaced: points.WriteReserved, points.ForkPlaced: points.RecordReserved, points.SnapshotPlaced: points.RecordReserved,
	points.DropPlaced: points.RecordReserved, points.ResetPlaced: points.RecordReserved, points.RenamePlaced: points.RecordReserved,
	points.FreezePlaced: points.RecordReserved, points.IteratorOpening: points.ViewBuilt, points.ViewUnpinning: points.IteratorClosing,
	points.SweepPicked: points.FlushPlaced, points.FlushPicked: points.FreezePlaced, points.FlushWritten: points.FlushPicked,
	points.FlushPlaced: points.FlushWritten, points.ConsolidateMerged: points.ConsolidatePicked, points.MergeWritten: points.MergePicked,
	points.MarksStaged: points.MergeWritten, points.MergePlaced: points.MergeWritten, points.MarksSwept: points.MergePlaced,
	points.ReclaimSyncing: points.SweepPicked, points.ReclaimPicked: points.ReclaimSyncing,
	points.ReclaimUnlinking: points.ReclaimPicked, points.TrimPlaced: points.SweepPicked, points.LogTrimming: points.TrimPlaced,
	points.LogWriting: points.WritePlaced, points.LogSyncing: points.LogWriting, points.LogSynced: points.LogSyncing,
	points.LogRotating: points.WritePlaced, points.ManifestWriting: points.FlushPlaced, points.ManifestSynced: points.ManifestWriting,
	points.RewriteBegun: points.TrimPlaced, points.RewriteCopied: points.RewriteBegun, points.RewriteSwapping: points.RewriteCopied,
	points.RewriteSwapped: points.RewriteSwapping,
}
