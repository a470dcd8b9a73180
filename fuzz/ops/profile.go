package ops

// Profile says what a Generator draws.
type Profile struct {
	Keys       int     // how many different keys there are
	ValueBytes int     // the longest value
	Forks      int     // the most forks alive at a time, but for a chain
	Snapshots  int     // the most snapshots alive at a time
	Iters      int     // the most iterators held at a time
	NoSync     float64 // the share of writes that ask for no sync
	Wrong      float64 // the share of operations on names that are not there
	EmptyKeys  float64 // the share of keys that are empty, and so refused
	Ranges     float64 // the share of the writes in a batch that delete a range
	Chain      int     // the longest chain of forks drawn at once; 0: none
	Bulk       int     // how many rows a flood writes or deletes, about
	Weights    map[Kind]int
}

// Everyday is a mixture of everything, for long runs.
func Everyday() Profile {
	return Profile{
		Keys: 96, ValueBytes: 160, Forks: 16, Snapshots: 6, Iters: 5, NoSync: 0.5, Wrong: 0.02, EmptyKeys: 0.004, Ranges: 0.08, Chain: 90,
		Weights: map[Kind]int{
			Put: 300, Delete: 110, DeleteRange: 16, Batch: 60, Get: 120, GetSnapshot: 20, Scan: 40, ScanSnapshot: 8, Seek: 20,
			OpenIter: 24, WalkIter: 60, CloseIter: 10,
			Fork: 50, ForkSnapshot: 12, Snapshot: 12, RenameSnapshot: 2, DropSnapshot: 10,
			ForkMany: 12, ForkManySnap: 4, DropMany: 8, DropPrefix: 8, DropSubtree: 4,
			Drop: 40, Rename: 8, Reset: 10, ResetSnapshot: 5,
			Flush: 10, Compact: 5, Settle: 3, Sync: 6, Reopen: 3, Verify: 4, Check: 4, Backup: 1, BackupSome: 1,
		},
	}
}

// Crashing is short lists in which nearly every operation changes something, for
// runs that are stopped at each of their calls.
func Crashing() Profile {
	return Profile{
		Keys: 12, ValueBytes: 90, Forks: 6, Snapshots: 3, Iters: 2, NoSync: 0.5, Ranges: 0.12, Chain: 8,
		Weights: map[Kind]int{
			Put: 30, Delete: 12, DeleteRange: 6, Batch: 12, Fork: 16, ForkSnapshot: 5, Snapshot: 6, RenameSnapshot: 1,
			DropSnapshot: 4, Drop: 8, Rename: 3, Reset: 6, ResetSnapshot: 2,
			ForkMany: 4, ForkManySnap: 2, DropMany: 2, DropPrefix: 2, DropSubtree: 1,
			OpenIter: 2, CloseIter: 1, Flush: 9, Compact: 5, Sync: 3, Reopen: 3,
		},
	}
}

// Merging is lists in which runs pile up under forks that share them.
func Merging() Profile {
	p := Crashing()
	p.Keys, p.Forks, p.Chain = 30, 10, 12
	p.Weights = map[Kind]int{
		Put: 40, Delete: 20, DeleteRange: 8, Batch: 15, Fork: 9, Snapshot: 3, DropSnapshot: 2, ForkSnapshot: 2, Drop: 6, Reset: 2,
		Rename: 1, OpenIter: 1, WalkIter: 1, CloseIter: 1, Flush: 30, Compact: 8, Reopen: 1, Check: 2,
	}
	return p
}

// Freezing is lists in which memory is never flushed: frozen memtables pile up
// and are consolidated, while the log is trimmed around them.
func Freezing() Profile {
	p := Crashing()
	p.Keys, p.ValueBytes, p.Forks, p.Chain, p.NoSync = 30, 300, 6, 10, 0.8
	p.Weights = map[Kind]int{
		Put: 40, Delete: 8, DeleteRange: 4, Batch: 10, Fork: 25, Snapshot: 2, DropSnapshot: 2, Drop: 16, Reset: 3, Rename: 1,
		Compact: 8, Reopen: 2, Check: 2, Flush: 1,
	}
	return p
}

// Failing is very short lists that do everything, for runs that are repeated for
// each of their calls.
func Failing() Profile {
	p := Crashing()
	p.Keys, p.Forks, p.Chain = 10, 4, 3
	p.Weights = map[Kind]int{
		Put: 24, Delete: 8, DeleteRange: 6, Batch: 10, Fork: 12, ForkSnapshot: 4, Snapshot: 6, DropSnapshot: 4, Drop: 8, Rename: 3, Reset: 5,
		ResetSnapshot: 2, Scan: 4, Flush: 18, Compact: 14, Sync: 5, Reopen: 6,
	}
	return p
}

// Reading is lists that flush often and then read what was flushed.
func Reading() Profile {
	p := Crashing()
	p.Keys, p.Wrong, p.Iters = 20, 0, 3
	p.Weights = map[Kind]int{
		Put: 30, Delete: 6, DeleteRange: 5, Batch: 6, Fork: 8, Snapshot: 3, Drop: 3, Get: 10, Scan: 20, ScanSnapshot: 5, Seek: 6,
		OpenIter: 5, WalkIter: 12, CloseIter: 2, Flush: 12, Compact: 3,
	}
	return p
}

// Deleting is lists that write much and delete most of it, one by one and by
// ranges, while forks share it and iterators stay open over it, and that flush,
// merge and reopen all the time: nearly every table has rows that somebody deleted.
func Deleting() Profile {
	return Profile{
		Keys: 160, ValueBytes: 70, Forks: 8, Snapshots: 3, Iters: 5, NoSync: 0.7, Wrong: 0.01, EmptyKeys: 0.002, Ranges: 0.3, Chain: 10, Bulk: 40,
		Weights: map[Kind]int{
			fill: 16, erase: 16, Put: 30, Delete: 60, DeleteRange: 50, Batch: 40, Get: 30, Scan: 20, Seek: 40,
			OpenIter: 14, WalkIter: 50, CloseIter: 8, ScanSnapshot: 6, GetSnapshot: 6,
			Fork: 16, ForkSnapshot: 5, Snapshot: 6, DropSnapshot: 5, Drop: 14, Rename: 1, Reset: 5, ResetSnapshot: 2,
			Flush: 30, Compact: 14, Settle: 3, Sync: 2, Reopen: 6, Verify: 4, Check: 5, Backup: 1, BackupSome: 1,
		},
	}
}

// Queueing is lists in which forks are queues: rows come in behind all others, go
// out at the head, and every reader begins there.
func Queueing() Profile {
	p := Deleting()
	p.Keys, p.Bulk, p.Ranges = 20, 9, 0.1
	p.Weights = map[Kind]int{
		queue: 60, Put: 4, DeleteRange: 2, Batch: 3, Seek: 20, Scan: 8, OpenIter: 8, WalkIter: 25, CloseIter: 5,
		Fork: 7, Snapshot: 2, DropSnapshot: 2, ForkSnapshot: 1, Drop: 6, Reset: 2, Flush: 12, Compact: 5, Reopen: 3, Verify: 2, Check: 3,
	}
	return p
}

// Hoarding is lists in which memory holds thousands of rows and of tombstones in a
// row, which readers learn to jump over: nothing but a reopen flushes, and ranges
// are deleted of more rows than a memtable lets one cover.
func Hoarding() Profile {
	p := Deleting()
	p.Keys, p.ValueBytes, p.Forks, p.NoSync, p.Chain, p.Bulk = 2400, 20, 4, 0.97, 4, 1500
	p.Weights = map[Kind]int{
		fill: 26, erase: 12, queue: 10, Put: 60, Delete: 20, DeleteRange: 10, Batch: 12, Seek: 90, Scan: 6, OpenIter: 8, WalkIter: 30,
		CloseIter: 5, Get: 20, Fork: 6, Snapshot: 2, DropSnapshot: 2, Drop: 5, Reset: 14, ResetSnapshot: 6, Compact: 1, Reopen: 1, Check: 1,
	}
	return p
}

// Erasing is short lists in which tables that forks share are filled and emptied,
// for runs that are stopped at each of their calls.
func Erasing() Profile {
	p := Crashing()
	p.Keys, p.ValueBytes, p.Ranges, p.Bulk = 24, 60, 0.3, 10
	p.Weights = map[Kind]int{
		fill: 20, erase: 5, Put: 10, Delete: 10, DeleteRange: 14, Batch: 12, Fork: 10, ForkSnapshot: 2, Snapshot: 3, DropSnapshot: 3,
		Drop: 9, Reset: 2, ResetSnapshot: 1, OpenIter: 2, CloseIter: 1, Flush: 20, Compact: 9, Sync: 2, Reopen: 3,
	}
	return p
}
