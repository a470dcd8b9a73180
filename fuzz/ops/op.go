package ops

import "github.com/tinedb/tine/fuzz/model"

// Kind is what an operation does.
type Kind string

// The kinds, by the word that stands for them in the text form.
const (
	Put            Kind = "put"
	Delete         Kind = "delete"
	DeleteRange    Kind = "deleterange"
	Batch          Kind = "batch"
	Get            Kind = "get"
	GetSnapshot    Kind = "getsnapshot"
	Scan           Kind = "scan"         // both directions
	ScanSnapshot   Kind = "scansnapshot" // both directions
	Seek           Kind = "seek"         // a few rows on both sides of a key
	OpenIter       Kind = "iter"
	WalkIter       Kind = "walk"
	CloseIter      Kind = "close"
	Fork           Kind = "fork"
	ForkSnapshot   Kind = "forksnapshot"
	ForkMany       Kind = "forkmany"
	ForkManySnap   Kind = "forkmanysnapshot"
	Snapshot       Kind = "snapshot"
	RenameSnapshot Kind = "renamesnapshot"
	DropSnapshot   Kind = "dropsnapshot"
	Drop           Kind = "drop"
	DropMany       Kind = "dropmany"
	DropPrefix     Kind = "dropprefix" // of names; that there is none counts as refused
	DropSubtree    Kind = "dropsubtree"
	Rename         Kind = "rename"
	Reset          Kind = "reset"
	ResetSnapshot  Kind = "resetsnapshot"
	Flush          Kind = "flush"
	Compact        Kind = "compact"
	Settle         Kind = "settle"
	Sync           Kind = "sync"
	Reopen         Kind = "reopen"
	Backup         Kind = "backup"     // of all, which is opened and compared
	BackupSome     Kind = "backupsome" // of some forks
	Verify         Kind = "verify"     // the store's own invariants
	Check          Kind = "check"      // all contents against the model
)

// Op is one operation. Which fields count depends on Kind: see fieldsOf.
type Op struct {
	N    int // its place in the list it was drawn in; values name it
	Kind Kind

	Fork  string   // the fork, or for snapshot kinds the snapshot, it is done to
	Name  string   // the other name: of a child, a source, a snapshot, or the new one; or a prefix
	Names []string // of many forks, or of those that a backup holds
	Key   string
	Size  int // of the value, in bytes, at least
	Range model.Range

	Writes []Write // of a batch

	Iter  int    // which held iterator
	Steps int    // how many moves a walk makes
	Seed  uint64 // what the moves of a walk are drawn from

	NoSync bool
}

// Write is one write of a batch: a put, a delete of a key, or one of a range.
type Write struct {
	Fork   string
	Delete bool         // of Key
	Range  *model.Range // that is deleted; nil: none
	Key    string
	Size   int
}

// Mutates tells whether the operation changes what the store holds, and so has
// a place in its log.
func (op Op) Mutates() bool {
	switch op.Kind {
	case Put, Delete, DeleteRange, Batch, Fork, ForkSnapshot, Snapshot, RenameSnapshot,
		DropSnapshot, Drop, ForkMany, ForkManySnap, DropMany, DropPrefix, DropSubtree, Rename, Reset, ResetSnapshot:
		return true
	}
	return false
}

// Idle tells whether the operation is a write that has nothing to write: a deleted
// range in which no key can be, or a batch of such. A store may forget it at once,
// so that it is acknowledged as durable says nothing of what came before.
func (op Op) Idle() bool {
	switch op.Kind {
	case DeleteRange:
		return op.Range.Empty()
	case Batch:
		for _, w := range op.Writes {
			if w.Range == nil || !w.Range.Empty() {
				return false
			}
		}
		return true
	}
	return false
}
