package forktree

import (
	"slices"

	"github.com/tinedb/tine/sstable"
)

// installMerge swaps a run in for those of the claimed range, whose tables no node
// marks: what they held is nowhere in the new run.
func (t *Tree) installMerge(c *Claim, run *Run) {
	remap := sstable.NewRemapBuilder()
	var consumed []*Table
	for _, n := range c.Range {
		if n.Run == nil {
			continue
		}
		for _, tb := range n.Run.Tables {
			if !slices.Contains(run.Tables, tb) {
				remap.From(tb.Meta.ID, tb.Meta.Rows)
				consumed = append(consumed, tb)
			}
		}
	}
	t.Install(t.Replace(c, run, consumed, remap.Finish()), nil)
}
