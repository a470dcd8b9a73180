package manifest

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// Transaction is a set of changes that take effect together or not at all. Each
// is the after-image of one object, its removal, or marks that are added to a
// vector: applying a transaction twice equals applying it once, and removing an
// unknown object is allowed. A rewrite of the log leans on exactly that: it copies
// objects while transactions go on, and then repeats the transactions. Only marks
// may take effect before the rest, see Marks.
//
// It belongs to its caller until it is appended; from then on neither it nor
// the slices in it may change.
type Transaction struct {
	PutForks      []Fork
	DropForks     []ids.ForkID
	PutSnapshots  []Snapshot
	DropSnapshots []ids.SnapshotID
	PutNodes      []Node
	DropNodes     []ids.NodeID
	PutChunks     []Chunk
	DropChunks    []ids.ChunkID
	PutTables     []sstable.Meta
	DropTables    []ids.TableID
	AddMarks      []Marks
	DropMarks     []MarksKey // whole vectors, also what AddMarks adds here
	Counters      *Counters  // nil: unchanged
}

// Empty tells whether the transaction changes nothing.
func (t *Transaction) Empty() bool {
	return len(t.PutForks) == 0 && len(t.DropForks) == 0 &&
		len(t.PutSnapshots) == 0 && len(t.DropSnapshots) == 0 &&
		len(t.PutNodes) == 0 && len(t.DropNodes) == 0 &&
		len(t.PutChunks) == 0 && len(t.DropChunks) == 0 &&
		len(t.PutTables) == 0 && len(t.DropTables) == 0 &&
		len(t.AddMarks) == 0 && len(t.DropMarks) == 0 &&
		t.Counters == nil
}
