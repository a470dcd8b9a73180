package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// A transaction's payload is a row of edits, each one byte of kind and a body
// (FORMAT.md, "Edits"). Kinds stand in rising order, so that a transaction has
// exactly one spelling and "put, then drop" can be told from nothing else.
const (
	editCounters     = 1 // at most one
	editPutTable     = 2
	editPutNode      = 3
	editPutFork      = 4
	editPutSnapshot  = 5
	editDropSnapshot = 6
	editDropFork     = 7
	editDropNode     = 8
	editDropTable    = 9
	editAddMarks     = 10
	editDropMarks    = 11
	editPutChunk     = 12
	editDropChunk    = 13
)

// The caps that hold before anything is allocated, on both sides of the disk.
const (
	maxNameBytes = 128
	maxKeyBytes  = sstable.MaxKeyBytes
	maxRunTables = 1 << 20
	maxChunkID   = 1 << 62

	// MaxChunkTables is the most tables of a chunk.
	MaxChunkTables = 128
)

// The sizes of the edits' fixed parts, kind byte included.
const (
	countersBytes    = 1 + 4*8
	putTableBytes    = 1 + 8*8 + 2*4 // and the two keys
	putNodeBytes     = 1 + 4*8 + 2*4 // and 8 a table or chunk
	putForkBytes     = 1 + 6*8 + 1   // and the name
	putSnapshotBytes = 1 + 4*8 + 1   // and the name
	dropBytes        = 1 + 8
	addMarksBytes    = 1 // and the vector's own encoding, which names node and table
	dropMarksBytes   = 1 + 2*8
	putChunkBytes    = 1 + 8 + 4 // and 8 a table
)

// payloadBytes is the exact length of t's encoding.
func (t *Transaction) payloadBytes() int {
	n := 0
	if t.Counters != nil {
		n += countersBytes
	}
	for i := range t.PutTables {
		n += putTableBytes + len(t.PutTables[i].Smallest) + len(t.PutTables[i].Largest)
	}
	for i := range t.PutNodes {
		n += putNodeBytes + 8*(len(t.PutNodes[i].Tables)+len(t.PutNodes[i].Chunks))
	}
	for i := range t.PutChunks {
		n += putChunkBytes + 8*len(t.PutChunks[i].Tables)
	}
	for i := range t.PutForks {
		n += putForkBytes + len(t.PutForks[i].Name)
	}
	for i := range t.PutSnapshots {
		n += putSnapshotBytes + len(t.PutSnapshots[i].Name)
	}
	for i := range t.AddMarks {
		n += t.AddMarks[i].editBytes()
	}
	return n + dropBytes*(len(t.DropSnapshots)+len(t.DropForks)+len(t.DropNodes)+len(t.DropTables)+len(t.DropChunks)) + dropMarksBytes*len(t.DropMarks)
}

// editBytes is the exact length of one edit that adds marks.
func (m *Marks) editBytes() int { return addMarksBytes + m.Vector.EncodedBytes() }

// appendPayload extends dst with t's encoding. What could not be read back is
// never written: an object outside the caps is a bug of the engine and panics.
func (t *Transaction) appendPayload(dst []byte) []byte {
	if t.Counters != nil {
		dst = appendCounters(dst, *t.Counters)
	}
	for i := range t.PutTables {
		dst = appendPutTable(dst, &t.PutTables[i])
	}
	for i := range t.PutNodes {
		dst = appendPutNode(dst, &t.PutNodes[i])
	}
	for i := range t.PutForks {
		dst = appendPutFork(dst, &t.PutForks[i])
	}
	for i := range t.PutSnapshots {
		dst = appendPutSnapshot(dst, &t.PutSnapshots[i])
	}
	for _, id := range t.DropSnapshots {
		dst = appendDrop(dst, editDropSnapshot, uint64(id))
	}
	for _, id := range t.DropForks {
		dst = appendDrop(dst, editDropFork, uint64(id))
	}
	for _, id := range t.DropNodes {
		dst = appendDrop(dst, editDropNode, uint64(id))
	}
	for _, id := range t.DropTables {
		dst = appendDrop(dst, editDropTable, uint64(id))
	}
	for i := range t.AddMarks {
		dst = appendAddMarks(dst, &t.AddMarks[i])
	}
	for _, k := range t.DropMarks {
		dst = appendDropMarks(dst, k)
	}
	for i := range t.PutChunks {
		dst = appendPutChunk(dst, &t.PutChunks[i])
	}
	for _, id := range t.DropChunks {
		dst = appendDrop(dst, editDropChunk, uint64(id))
	}
	return dst
}

func appendNumbers(dst []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return dst
}

func appendCounters(dst []byte, c Counters) []byte {
	return appendNumbers(append(dst, editCounters), uint64(c.Applied), uint64(c.Trimmed), c.NextID, uint64(c.NextLSN))
}

func appendPutTable(dst []byte, m *sstable.Meta) []byte {
	checkWritable(checkTable(m))
	dst = appendNumbers(append(dst, editPutTable), uint64(m.ID), uint64(m.File), m.Offset, m.Length,
		m.Rows, m.Tombstones, m.KeyBytes, m.ValueBytes)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Smallest)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Largest)))
	return append(append(dst, m.Smallest...), m.Largest...)
}

func appendPutNode(dst []byte, n *Node) []byte {
	checkWritable(checkNode(n))
	dst = appendNumbers(append(dst, editPutNode), uint64(n.ID), uint64(n.Older), uint64(n.Fork), uint64(n.Frozen))
	return appendIDs(appendIDs(dst, n.Tables), n.Chunks)
}

func appendPutChunk(dst []byte, c *Chunk) []byte {
	checkWritable(checkChunk(c))
	return appendIDs(appendNumbers(append(dst, editPutChunk), uint64(c.ID)), c.Tables)
}

func appendIDs[ID ~uint64](dst []byte, list []ID) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(list)))
	for _, id := range list {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(id))
	}
	return dst
}

func appendPutFork(dst []byte, f *Fork) []byte {
	checkWritable(checkFork(f))
	dst = appendNumbers(append(dst, editPutFork), uint64(f.ID), uint64(f.Parent), uint64(f.Top), uint64(f.Memtable),
		uint64(f.CreatedUnixNano), uint64(f.CreatedLSN))
	return append(append(dst, byte(len(f.Name))), f.Name...)
}

func appendPutSnapshot(dst []byte, s *Snapshot) []byte {
	checkWritable(checkSnapshot(s))
	dst = appendNumbers(append(dst, editPutSnapshot), uint64(s.ID), uint64(s.Node), uint64(s.Fork), uint64(s.CreatedUnixNano))
	return append(append(dst, byte(len(s.Name))), s.Name...)
}

func appendDrop(dst []byte, kind byte, id uint64) []byte {
	invariant.Check(id != 0, "manifest: drop of id 0 (edit kind %d)", kind)
	return appendNumbers(append(dst, kind), id)
}

func appendAddMarks(dst []byte, m *Marks) []byte {
	checkWritable(checkMarks(m))
	return m.Vector.AppendTo(append(dst, editAddMarks), m.Node, m.Table)
}

func appendDropMarks(dst []byte, k MarksKey) []byte {
	invariant.Check(k.Node != 0 && k.Table != 0, "manifest: drop of the marks of node %d on table %d", k.Node, k.Table)
	return appendNumbers(append(dst, editDropMarks), uint64(k.Node), uint64(k.Table))
}

func checkWritable(err error) { invariant.Check(err == nil, "manifest: put: %v", err) }

// decodeTransaction is the inverse of appendPayload. The result aliases nothing
// of payload. Its errors say what is wrong and where in the payload; the caller
// knows the file.
func decodeTransaction(payload []byte) (*Transaction, error) {
	t := &Transaction{}
	d := decoder{rest: payload}
	last := byte(0)
	for len(d.rest) > 0 {
		at := len(payload) - len(d.rest)
		kind := d.byte()
		if kind < last || (kind == last && kind == editCounters) {
			return nil, fmt.Errorf("payload byte %d: edit kind %d behind kind %d", at, kind, last)
		}
		last = kind
		if err := d.edit(t, kind); err != nil {
			return nil, fmt.Errorf("payload byte %d: %w", at, err)
		}
	}
	return t, nil
}

var errShortEdit = errors.New("edit ends early")

// edit decodes the body of one edit into t.
func (d *decoder) edit(t *Transaction, kind byte) error {
	switch kind {
	case editCounters:
		t.Counters = &Counters{
			Applied: ids.LSN(d.number()), Trimmed: ids.LSN(d.number()), NextID: d.number(), NextLSN: ids.LSN(d.number()),
		}
		return d.err
	case editPutTable:
		m := sstable.Meta{
			ID: ids.TableID(d.number()), File: ids.FileNum(d.number()), Offset: d.number(), Length: d.number(),
			Rows: d.number(), Tombstones: d.number(), KeyBytes: d.number(), ValueBytes: d.number(),
		}
		smallestBytes, largestBytes := d.length(maxKeyBytes), d.length(maxKeyBytes)
		m.Smallest, m.Largest = bytes.Clone(d.take(smallestBytes)), bytes.Clone(d.take(largestBytes))
		t.PutTables = append(t.PutTables, m)
		return d.first(checkTable(&m))
	case editPutNode:
		n := Node{ID: ids.NodeID(d.number()), Older: ids.NodeID(d.number()), Fork: ids.ForkID(d.number()), Frozen: ids.LSN(d.number())}
		n.Tables, n.Chunks = decodeIDs[ids.TableID](d, maxRunTables), decodeIDs[ids.ChunkID](d, maxRunTables)
		t.PutNodes = append(t.PutNodes, n)
		return d.first(checkNode(&n))
	case editPutFork:
		f := Fork{
			ID: ids.ForkID(d.number()), Parent: ids.ForkID(d.number()), Top: ids.NodeID(d.number()), Memtable: ids.NodeID(d.number()),
			CreatedUnixNano: int64(d.number()), CreatedLSN: ids.LSN(d.number()),
		}
		f.Name = string(d.take(int(d.byte())))
		t.PutForks = append(t.PutForks, f)
		return d.first(checkFork(&f))
	case editPutSnapshot:
		s := Snapshot{ID: ids.SnapshotID(d.number()), Node: ids.NodeID(d.number()), Fork: ids.ForkID(d.number()), CreatedUnixNano: int64(d.number())}
		s.Name = string(d.take(int(d.byte())))
		t.PutSnapshots = append(t.PutSnapshots, s)
		return d.first(checkSnapshot(&s))
	case editDropSnapshot:
		t.DropSnapshots = append(t.DropSnapshots, ids.SnapshotID(d.id()))
	case editDropFork:
		t.DropForks = append(t.DropForks, ids.ForkID(d.id()))
	case editDropNode:
		t.DropNodes = append(t.DropNodes, ids.NodeID(d.id()))
	case editDropTable:
		t.DropTables = append(t.DropTables, ids.TableID(d.id()))
	case editAddMarks:
		m := d.marks()
		t.AddMarks = append(t.AddMarks, m)
		return d.first(checkMarks(&m))
	case editDropMarks:
		t.DropMarks = append(t.DropMarks, MarksKey{Node: ids.NodeID(d.id()), Table: ids.TableID(d.id())})
	case editPutChunk:
		c := Chunk{ID: ids.ChunkID(d.number()), Tables: decodeIDs[ids.TableID](d, MaxChunkTables)}
		t.PutChunks = append(t.PutChunks, c)
		return d.first(checkChunk(&c))
	case editDropChunk:
		t.DropChunks = append(t.DropChunks, ids.ChunkID(d.id()))
	default:
		return fmt.Errorf("unknown edit kind %d", kind)
	}
	return d.err
}

// decoder reads fields from the front of hostile bytes. The first failure
// sticks, and every field read after it is zero.
type decoder struct {
	rest []byte
	err  error
}

// take returns the next n bytes, aliasing the input.
func (d *decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.rest) {
		d.err = errShortEdit
		return nil
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out
}

// first returns the failure to decode, if there was one, else err.
func (d *decoder) first(err error) error {
	if d.err != nil {
		return d.err
	}
	return err
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) number() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// id is a number that may not be zero.
func (d *decoder) id() uint64 {
	n := d.number()
	if n == 0 && d.err == nil {
		d.err = errors.New("id 0")
	}
	return n
}

// length reads a 32-bit length and holds it against its cap.
func (d *decoder) length(capacity int) int {
	b := d.take(4)
	if b == nil {
		return 0
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(capacity) {
		d.err = fmt.Errorf("length %d above the cap of %d", n, capacity)
		return 0
	}
	return int(n)
}

// decodeIDs reads a counted list of ids; the count is held against its cap and the bytes
// that are there before anything is allocated.
func decodeIDs[ID ~uint64](d *decoder, most int) []ID {
	n := d.length(most)
	b := d.take(8 * n)
	if len(b) == 0 {
		return nil
	}
	out := make([]ID, n)
	for i := range out {
		out[i] = ID(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}

// marks reads a vector, which has caps and a checksum of its own.
func (d *decoder) marks() Marks {
	if d.err != nil {
		return Marks{}
	}
	node, table, v, rest, err := sstable.DecodeVector(d.rest)
	if err != nil {
		d.err = err
		return Marks{}
	}
	d.rest = rest
	return Marks{Node: node, Table: table, Vector: v}
}
