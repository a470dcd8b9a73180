package manifest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

func TestDiffTurnsOneStateIntoTheOther(t *testing.T) {
	from, to := NewState(), NewState()
	from.Forks = forksOf(Fork{ID: 1, Name: "same"}, Fork{ID: 2, Name: "old"}, Fork{ID: 3, Name: "gone"})
	to.Forks = forksOf(Fork{ID: 1, Name: "same"}, Fork{ID: 2, Name: "new"}, Fork{ID: 4, Name: "made"})
	from.Snapshots = map[ids.SnapshotID]Snapshot{5: {ID: 5, Name: "gone"}}
	to.Snapshots = map[ids.SnapshotID]Snapshot{6: {ID: 6, Name: "made"}}
	from.Nodes = map[ids.NodeID]Node{7: {ID: 7, Tables: []ids.TableID{10}}, 8: {ID: 8, Older: 7}, 9: {ID: 9}, 20: {ID: 20, Chunks: []ids.ChunkID{1, 2}}}
	to.Nodes = map[ids.NodeID]Node{7: {ID: 7, Tables: []ids.TableID{11}}, 8: {ID: 8}, 12: {ID: 12}, 20: {ID: 20, Chunks: []ids.ChunkID{1, 3}}}
	from.Chunks = map[ids.ChunkID][]ids.TableID{1: {10}, 2: {13}}
	to.Chunks = map[ids.ChunkID][]ids.TableID{1: {10}, 3: {14, 15}}
	from.Tables = map[ids.TableID]sstable.Meta{10: {ID: 10, Rows: 5}, 13: {ID: 13, Rows: 9}, 14: {ID: 14, File: 1}, 15: {ID: 15, File: 1}}
	to.Tables = map[ids.TableID]sstable.Meta{11: {ID: 11}, 13: {ID: 13, Rows: 9}, 14: {ID: 14, File: 2}, 15: {ID: 15, File: 1, Offset: 9}}
	from.Marks = map[MarksKey]*sstable.Vector{{7, 13}: vectorOf(9, 1), {8, 13}: vectorOf(9, 1, 2), {8, 10}: vectorOf(5, 1), {9, 13}: vectorOf(9, 3)}
	to.Marks = map[MarksKey]*sstable.Vector{{7, 13}: vectorOf(9, 1), {8, 13}: vectorOf(9, 1, 2, 7), {12, 13}: sstable.WholeVector(9), {9, 13}: from.Marks[MarksKey{9, 13}]}
	d := Diff(from, to)
	require.Len(t, d.AddMarks, 2, "an equal vector is left out, also if it is another object")
	require.Equal(t, []MarksKey{{8, 10}}, d.DropMarks)
	require.Len(t, d.PutForks, 2, "what stays the same is left out")
	require.Len(t, d.PutTables, 3, "one is new and two have moved")
	require.Len(t, d.PutChunks, 1)
	require.Equal(t, []ids.ChunkID{2}, d.DropChunks)
	from.Apply(d)
	require.Equal(t, fingerprint(to), fingerprint(from))
	require.True(t, Diff(from, to).Empty())
}

func forksOf(forks ...Fork) *Forks {
	set := &Forks{}
	for _, f := range forks {
		set.Put(f)
	}
	return set
}

func TestDiffAssertsThatNoVectorShrinks(t *testing.T) {
	from, to := NewState(), NewState()
	from.Marks[MarksKey{8, 13}] = vectorOf(9, 1, 2)
	for _, v := range []*sstable.Vector{vectorOf(9, 1), vectorOf(9, 1, 3), vectorOf(9, 3, 4, 5)} {
		to.Marks[MarksKey{8, 13}] = v
		require.PanicsWithValue(t, invariant.Violation(fmt.Sprintf("manifest: the vector of node 8 on table 13 has lost rows: from 2 to %d, %d in both",
			v.Dead(), sstable.UnionVectors(v, from.Marks[MarksKey{8, 13}]).Dead())), func() { Diff(from, to) })
	}
}
