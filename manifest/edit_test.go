package manifest

import (
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// fullTransaction has each kind of edit, some twice.
func fullTransaction() *Transaction {
	return &Transaction{
		PutForks: []Fork{
			{ID: 1, Name: "main", Top: 4, Memtable: 5, CreatedUnixNano: 1_700_000_000_000_000_000, CreatedLSN: 1},
			{ID: 7, Name: strings.Repeat("x", maxNameBytes), Parent: 1, Top: 4, Memtable: 8, CreatedUnixNano: -1, CreatedLSN: 9},
		},
		DropForks:     []ids.ForkID{2, 3},
		PutSnapshots:  []Snapshot{{ID: 11, Name: "before", Node: 4, Fork: 1, CreatedUnixNano: 5}},
		DropSnapshots: []ids.SnapshotID{12},
		PutNodes:      []Node{{ID: 4, Older: 3, Fork: 1, Frozen: 8, Tables: []ids.TableID{20, 21}}, {ID: 14}, {ID: 16, Older: 4, Chunks: []ids.ChunkID{1, 9}}},
		DropNodes:     []ids.NodeID{15},
		PutTables: []sstable.Meta{
			{ID: 20, File: 30, Offset: 0, Length: 100, Rows: 3, Tombstones: 1, KeyBytes: 9, ValueBytes: 90, Smallest: []byte{}, Largest: []byte("b")},
			{ID: 21, File: 30, Offset: 100, Length: 50, Rows: 1, KeyBytes: 3, ValueBytes: 30, Smallest: []byte("c"), Largest: []byte("c\x00")},
		},
		DropTables: []ids.TableID{22},
		PutChunks:  []Chunk{{ID: 1, Tables: []ids.TableID{20}}, {ID: 9, Tables: []ids.TableID{21, 23}}},
		DropChunks: []ids.ChunkID{2, 3},
		AddMarks: []Marks{
			{4, 20, vectorOf(3, 0, 2)},
			{4, 21, sstable.WholeVector(1)},
			{14, 90, vectorOf(1<<20, 5, 6, 7, 1<<20-1)},
			{14, 20, vectorOf(3, 1)},
		},
		DropMarks: []MarksKey{{4, 22}, {15, 1 << 60}},
		Counters:  &Counters{Applied: 8, Trimmed: 2, NextID: 100, NextLSN: 200},
	}
}

// vectorOf is a vector of the given rows.
func vectorOf(rows uint64, dead ...uint32) *sstable.Vector {
	return sstable.NewVector(rows, roaring.BitmapOf(dead...))
}

func TestTransactionSurvivesItsEncoding(t *testing.T) {
	for _, tx := range []*Transaction{
		fullTransaction(), {}, {Counters: &Counters{}}, {DropTables: []ids.TableID{1}},
		{PutChunks: []Chunk{{ID: maxChunkID, Tables: slices.Repeat([]ids.TableID{7}, MaxChunkTables)}}}, {DropChunks: []ids.ChunkID{1}},
		{AddMarks: []Marks{{1, 2, sstable.WholeVector(sstable.MaxRows)}}}, {DropMarks: []MarksKey{{1, 2}}},
	} {
		payload := tx.appendPayload(nil)
		require.Len(t, payload, tx.payloadBytes())
		got, err := decodeTransaction(payload)
		require.NoError(t, err)
		require.Equal(t, tx, got)
		clear(payload)
		require.Equal(t, tx, got, "the result aliases the payload")
	}
}

func TestEmptySeesEveryField(t *testing.T) {
	require.True(t, (&Transaction{}).Empty())
	for _, tx := range []Transaction{
		{PutForks: make([]Fork, 1)}, {DropForks: make([]ids.ForkID, 1)}, {PutSnapshots: make([]Snapshot, 1)},
		{DropSnapshots: make([]ids.SnapshotID, 1)}, {PutNodes: make([]Node, 1)}, {DropNodes: make([]ids.NodeID, 1)},
		{PutTables: make([]sstable.Meta, 1)}, {DropTables: make([]ids.TableID, 1)}, {PutChunks: make([]Chunk, 1)}, {DropChunks: make([]ids.ChunkID, 1)}, {Counters: &Counters{}},
		{AddMarks: make([]Marks, 1)}, {DropMarks: make([]MarksKey, 1)},
	} {
		require.False(t, tx.Empty())
	}
}

func TestApplyTwiceEqualsOnce(t *testing.T) {
	once, twice := NewState(), NewState()
	once.Apply(fullTransaction())
	twice.Apply(fullTransaction())
	twice.Apply(fullTransaction())
	require.Equal(t, once, twice)
	require.Equal(t, 2, once.Forks.Len())
	require.Len(t, once.Marks, 4)
	require.Len(t, once.Chunks, 2)
	once.Apply(&Transaction{DropForks: []ids.ForkID{7, 7, 99}, DropNodes: []ids.NodeID{4, 14, 16}, DropChunks: []ids.ChunkID{1, 9, 9}, DropTables: []ids.TableID{20, 21}, DropSnapshots: []ids.SnapshotID{11},
		DropMarks: []MarksKey{{4, 20}, {4, 20}, {14, 90}, {99, 99}}})
	require.Equal(t, "1 forks, 0 snapshots, 0 nodes, 0 tables, 2 vectors, applied 8, trimmed 2, next id 100, next lsn 200", once.String())
	require.Empty(t, once.Chunks)
}

// TestForkIsConstantSize: no list, whatever the fork holds.
func TestForkIsConstantSize(t *testing.T) {
	require.Equal(t, putForkBytes+7, (&Transaction{PutForks: []Fork{{ID: 1 << 60, Name: "agent-7", Parent: 1 << 61, Top: 1 << 62, Memtable: 1 << 63}}}).payloadBytes())
}

func TestDecodeRefusesHostilePayloads(t *testing.T) {
	table := fullTransaction().PutTables[0]
	sound := appendPutTable(nil, &table)
	number := func(at int, value byte) []byte {
		b := append([]byte(nil), sound...)
		b[at] = value
		return b
	}
	longKeys := append([]byte(nil), sound...)
	longKeys[65], longKeys[66], longKeys[67] = 0xff, 0xff, 0xff
	node := appendPutNode(nil, &Node{ID: 1, Tables: []ids.TableID{2}})
	hugeRun := append([]byte(nil), node...)
	hugeRun[33], hugeRun[35] = 0, 0x0f
	tooManyTables := append([]byte(nil), node...)
	tooManyTables[36] = 0xff
	both := append([]byte(nil), node...)
	both = append(both[:len(both)-4], 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0)
	hugeChunks := append(append([]byte(nil), node[:len(node)-4]...), 0, 0, 0x10, 0)
	tooManyChunks := append(append([]byte(nil), node[:len(node)-4]...), 1, 0, 0x10, 0)
	chunk := appendPutChunk(nil, &Chunk{ID: 5, Tables: []ids.TableID{2, 3}})
	chunkWith := func(at int, value byte) []byte {
		b := append([]byte(nil), chunk...)
		b[at] = value
		return b
	}
	marks := appendAddMarks(nil, &Marks{4, 20, vectorOf(300, 1, 2, 3, 250)})
	flipped := append([]byte(nil), marks...)
	flipped[len(flipped)-20] ^= 1
	for _, c := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"an unknown kind", []byte{14}, "payload byte 0: unknown edit kind 14"},
		{"kind 0", []byte{0}, "unknown edit kind 0"},
		{"kinds that fall", append(appendDrop(nil, editDropFork, 1), appendDrop(nil, editDropSnapshot, 1)...), "payload byte 9: edit kind 6 behind kind 7"},
		{"counters twice", append(appendCounters(nil, Counters{}), appendCounters(nil, Counters{})...), "edit kind 1 behind kind 1"},
		{"an edit that ends early", sound[:len(sound)-1], "edit ends early"},
		{"a drop of id 0", append([]byte{editDropNode}, make([]byte, 8)...), "id 0"},
		{"a key above its cap", longKeys, "above the cap of 65536"},
		{"a run longer than its bytes", hugeRun, "edit ends early"},
		{"a run above its cap", tooManyTables, "above the cap of 1048576"},
		{"a run of tables and chunks", both, "node 1 names tables and chunks"},
		{"chunks longer than their bytes", hugeChunks, "edit ends early"},
		{"chunks above their cap", tooManyChunks, "length 1048577 above the cap of 1048576"},
		{"a node that ends before its chunks", node[:len(node)-4], "edit ends early"},
		{"a chunk with id 0", chunkWith(1, 0), "chunk with id 0"},
		{"a chunk with an id that none can have", chunkWith(8, 0x80), "chunk with id 9223372036854775813"},
		{"a chunk above its cap", chunkWith(9, 129), "length 129 above the cap of 128"},
		{"a chunk longer than its bytes", chunkWith(9, 3), "edit ends early"},
		{"a chunk of no tables", chunkWith(9, 0)[:13], "chunk 5 has 0 tables"},
		{"a chunk that names table 0", chunkWith(13, 0), "chunk 5 names table 0"},
		{"a chunk that ends early", chunk[:len(chunk)-1], "edit ends early"},
		{"a drop of chunk 0", append([]byte{editDropChunk}, make([]byte, 8)...), "id 0"},
		{"a chunk behind drops of chunks", append(appendDrop(nil, editDropChunk, 1), chunk...), "edit kind 12 behind kind 13"},
		{"a table with id 0", number(1, 0), "table with id 0"},
		{"a name of no bytes", append([]byte{editPutFork, 1}, make([]byte, 48)...), "name of 0 bytes"},
		{"marks that end early", marks[:len(marks)-1], "payload byte 0: deletion vector: "},
		{"marks with nothing behind the kind", marks[:1], "deletion vector: 0 bytes are too few"},
		{"marks with a flipped bit", flipped, "deletion vector: checksum"},
		{"marks of node 0", vectorOf(3, 1).AppendTo([]byte{editAddMarks}, 0, 7), "marks of node 0 on table 7"},
		{"marks on table 0", vectorOf(3, 1).AppendTo([]byte{editAddMarks}, 7, 0), "marks of node 7 on table 0"},
		{"bytes behind marks that are no edit", append(append([]byte(nil), marks...), 0), "edit kind 0 behind kind 10"},
		{"a drop of the marks of node 0", append([]byte{editDropMarks}, make([]byte, 16)...), "id 0"},
		{"a drop of marks that ends early", appendDropMarks(nil, MarksKey{1, 2})[:16], "edit ends early"},
		{"marks behind drops of marks", append(appendDropMarks(nil, MarksKey{1, 2}), marks...), "edit kind 10 behind kind 11"},
		{"a table of more rows than a vector can number", number(37, 1), "4294967299 rows"},
		{"a name above its cap", append(append([]byte{editPutFork, 1}, make([]byte, 47)...), append([]byte{200}, make([]byte, 200)...)...), "name of 200 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeTransaction(c.payload)
			require.ErrorContains(t, err, c.want)
		})
	}
}
