package main

import (
	"io"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// target is the store that a verb works on: one that this process has opened (embedded),
// or a node's (remote). The verbs know nothing else, so that they do and print the same
// on both. It is used by one goroutine.
type target interface {
	Fork(name string) (forkspace, error)
	Snapshot(name string) (keyspace, error)
	ListForks(engine.ListOptions) ([]engine.ForkInfo, error)
	Snapshots() ([]engine.SnapshotInfo, error)
	// WouldDrop looks for what is to be dropped. One bad name among many is an error.
	WouldDrop(selection) (*doomed, error)
	// DropForks drops the forks, in as few steps as it takes, and tells how many went
	// before an error.
	DropForks(*doomed) (int, error)
	DropSnapshot(name string) error
	// Writes makes an empty batch.
	Writes() writes
	// LeavesNone tells whether no fork would be left without so many, if that is known
	// before they are dropped.
	LeavesNone(without int) (bool, error)
	DrawTree(io.Writer) error
	Stats() (engine.Stats, error)
	// Settle waits until what was dropped has given its space back.
	Settle() error
	Check(level engine.CheckLevel) (*engine.CheckReport, error)
	Backup(engine.BackupSink, engine.BackupOptions) (*engine.BackupReport, error)
	// Close ends the work. Its error counts.
	Close() error
}

// keyspace is what can be read and forked: a fork or a snapshot.
type keyspace interface {
	tree.Source
	Get(key []byte) ([]byte, error)
	// Scan opens an iterator. Values are left out, and no more than limit rows fetched
	// (0: all), where that saves something.
	Scan(r engine.Range, keysOnly bool, limit int) (scanRows, error)
	ForkMany(names []string) ([]forkspace, error)
}

// scanRows are rows that can be walked both ways.
type scanRows interface {
	tree.Rows
	Last() bool
	Prev() bool
}

// forkspace is a keyspace that can be written.
type forkspace interface {
	keyspace
	tree.Target
	ID() uint64
	Name() string
	Info() (engine.ForkInfo, error)
	// Write commits a batch, durably.
	Write(func(tree.Batch)) error
	DeleteRange(r engine.Range) error
	Rename(name string) error
	Reset(to keyspace) error
	// Snapshot puts a name on what the fork is now, and gives the snapshot's id.
	Snapshot(name string) (uint64, error)
}

// systemPrefix begins the names of forks that a node keeps for itself. They are shown,
// and worked on, only with --all and only by who has the store's directory.
const systemPrefix = ".tine/"
