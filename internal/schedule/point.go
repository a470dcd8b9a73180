package schedule

// Point is a named moment. What it means is in the package's table.
type Point uint8

// The points, in the table's order.
const (
	WriteReserved Point = iota
	WritePlaced
	RecordReserved
	ForkPlaced
	SnapshotPlaced
	DropPlaced
	ResetPlaced
	RenamePlaced
	FreezePlaced
	ViewBuilt
	IteratorOpening
	IteratorClosing
	ViewUnpinning
	SweepPicked
	FlushPicked
	FlushWritten
	FlushPlaced
	ConsolidatePicked
	ConsolidateMerged
	MergePicked
	MergeWritten
	MarksStaged
	MergePlaced
	MarksSwept
	ReclaimSyncing
	ReclaimPicked
	ReclaimUnlinking
	TrimPlaced
	LogWriting
	LogSyncing
	LogSynced
	LogRotating
	LogTrimming
	ManifestWriting
	ManifestSynced
	RewriteBegun
	RewriteCopied
	RewriteSwapping
	RewriteSwapped
	MemoryTurn
	MergeTurn
	CloseBegun
	CloseStopped
	CloseEnding
	OrphanRemoving

	Points // how many there are
)

var names = [Points]string{
	"WriteReserved", "WritePlaced", "RecordReserved", "ForkPlaced", "SnapshotPlaced", "DropPlaced", "ResetPlaced",
	"RenamePlaced", "FreezePlaced", "ViewBuilt", "IteratorOpening", "IteratorClosing", "ViewUnpinning", "SweepPicked",
	"FlushPicked", "FlushWritten", "FlushPlaced", "ConsolidatePicked", "ConsolidateMerged", "MergePicked", "MergeWritten",
	"MarksStaged", "MergePlaced", "MarksSwept", "ReclaimSyncing", "ReclaimPicked", "ReclaimUnlinking", "TrimPlaced",
	"LogWriting", "LogSyncing", "LogSynced", "LogRotating", "LogTrimming", "ManifestWriting", "ManifestSynced", "RewriteBegun", "RewriteCopied",
	"RewriteSwapping", "RewriteSwapped", "MemoryTurn", "MergeTurn", "CloseBegun", "CloseStopped", "CloseEnding",
	"OrphanRemoving",
}

func (p Point) String() string { return names[p] }
