package schedule

import (
	"slices"

	points "github.com/tinedb/tine/internal/schedule"
)

// exclusion is a set of pairs that cannot come about: nobody can reach any of the
// second points while somebody is held at any of the first, and why.
type exclusion struct {
	because string
	held    []points.Point
	reached []points.Point
}

func exclusions() []exclusion {
	rewrite := []points.Point{points.RewriteBegun, points.RewriteCopied, points.RewriteSwapping, points.RewriteSwapped}
	logWriter := []points.Point{points.LogWriting, points.LogRotating}
	logSyncer := []points.Point{points.LogSyncing, points.LogSynced}
	closing := []points.Point{points.CloseStopped, points.CloseEnding}
	manifest := []points.Point{points.ManifestWriting, points.ManifestSynced}
	durable := []points.Point{points.MarksSwept, points.ReclaimPicked, points.ReclaimUnlinking, points.LogTrimming}
	work := slices.Concat([]points.Point{
		points.FreezePlaced, points.SweepPicked, points.FlushPicked, points.FlushWritten, points.FlushPlaced,
		points.ConsolidatePicked, points.ConsolidateMerged, points.MergePicked, points.MergeWritten, points.MarksStaged,
		points.MergePlaced, points.MarksSwept, points.ReclaimSyncing, points.ReclaimPicked, points.ReclaimUnlinking, points.TrimPlaced, points.LogTrimming,
		points.ManifestWriting, points.ManifestSynced,
	}, rewrite)
	turns := []points.Point{points.MemoryTurn, points.MergeTurn}
	begun := []points.Point{ // by a call, and before anything is decided
		points.WriteReserved, points.RecordReserved, points.ViewBuilt, points.ConsolidatePicked, points.MergePicked,
	}
	placed := []points.Point{
		points.WritePlaced, points.ForkPlaced, points.SnapshotPlaced, points.DropPlaced, points.ResetPlaced, points.RenamePlaced,
		points.FreezePlaced,
	}
	return []exclusion{
		{"a close waits for whoever holds the lock on jobs, and for the workers", slices.Concat(work, turns), closing},
		{"a close waits for the log", slices.Concat(logWriter, logSyncer), []points.Point{points.CloseEnding}},
		{"one close goes on at a time", []points.Point{points.CloseBegun, points.CloseStopped, points.CloseEnding},
			slices.Concat([]points.Point{points.CloseBegun}, closing)},
		{"a store that is being closed refuses what begins", []points.Point{points.CloseBegun, points.CloseStopped, points.CloseEnding},
			begun},
		{"a record finds the store closed when it would take its place", []points.Point{points.CloseBegun, points.CloseStopped, points.CloseEnding},
			placed},
		{"a job that finds the store closed gives up", []points.Point{points.CloseBegun},
			[]points.Point{points.FlushPicked, points.FlushWritten, points.MergeWritten}},
		{"no job runs any more, and no worker", closing, slices.Concat(turns, slices.DeleteFunc(slices.Clone(work), func(p points.Point) bool {
			return slices.Contains(begun, p) || slices.Contains(placed, p)
		}))},
		{"the log is closed", []points.Point{points.CloseEnding}, slices.Concat(logWriter, logSyncer)},

		{"one goroutine writes the log, and its fsync waits for that", logWriter, slices.Concat(logWriter, logSyncer)},
		{"one goroutine fsyncs the log, and a rotation waits for that", logSyncer, slices.Concat(logSyncer, []points.Point{points.LogRotating})},
		{"the manifest waits for the log, and reclaiming, sweeping and trimming for the manifest", slices.Concat(logWriter, logSyncer),
			slices.Concat(durable, []points.Point{points.ManifestSynced})},

		{"one goroutine writes the manifest", manifest, manifest},
		{"reclaiming, sweeping and trimming wait for the manifest", manifest, durable},
		{"a rewrite takes the manifest's writing over for its end", manifest, rewrite[2:]},
		{"the manifest is not written while the new one takes its place", rewrite[2:],
			slices.Concat(manifest, durable)},
		{"one rewrite goes on at a time", rewrite, rewrite},

		{"one trim goes on at a time", []points.Point{points.LogTrimming}, []points.Point{points.LogTrimming}},
		{"whoever would rewrite the manifest finds the same segments to trim first", []points.Point{points.LogTrimming}, rewrite},
		{"the memory worker is one goroutine", turns[:1], turns[:1]},
		{"the merge worker is one goroutine", turns[1:], turns[1:]},
	}
}
