package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

func TestDiffTurnsOneStateIntoTheOther(t *testing.T) {
	from, to := NewState(), NewState()
	from.Forks = map[ids.ForkID]Fork{1: {ID: 1, Name: "same"}, 2: {ID: 2, Name: "old"}, 3: {ID: 3, Name: "gone"}}
	to.Forks = map[ids.ForkID]Fork{1: {ID: 1, Name: "same"}, 2: {ID: 2, Name: "new"}, 4: {ID: 4, Name: "made"}}
	from.Snapshots = map[ids.SnapshotID]Snapshot{5: {ID: 5, Name: "gone"}}
	to.Snapshots = map[ids.SnapshotID]Snapshot{6: {ID: 6, Name: "made"}}
	from.Nodes = map[ids.NodeID]Node{7: {ID: 7, Tables: []ids.TableID{10}}, 8: {ID: 8, Older: 7}, 9: {ID: 9}}
	to.Nodes = map[ids.NodeID]Node{7: {ID: 7, Tables: []ids.TableID{11}}, 8: {ID: 8}, 12: {ID: 12}}
	from.Tables = map[ids.TableID]sstable.Meta{10: {ID: 10}, 13: {ID: 13}}
	to.Tables = map[ids.TableID]sstable.Meta{11: {ID: 11}, 13: {ID: 13}}
	d := Diff(from, to)
	require.Len(t, d.PutForks, 2, "what stays the same is left out")
	from.Apply(d)
	require.Equal(t, to, from)
	require.True(t, Diff(from, to).Empty())
}
