package compaction

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// trace fills a merge's remap: it notes of each row that is written where it was
// read and where it went. What is not noted went nowhere, be it shadowed or a
// tombstone that nobody needs: a mark on it must not pass to the row that took
// its place, so nothing here ever looks at a key.
//
// A nil trace notes nothing.
type trace struct {
	remap *sstable.RemapBuilder
	runs  []*RunIter // the inputs, newest first

	table ids.TableID // the last row went there
	rows  uint64      // noted of table
	all   uint64      // noted of all tables
}

func newTrace(inputs []iterator.Iterator, remap *sstable.RemapBuilder) *trace {
	if remap == nil {
		return nil
	}
	t := &trace{remap: remap, runs: make([]*RunIter, len(inputs))}
	for i, in := range inputs {
		run, ok := in.(*RunIter)
		invariant.Check(ok && run.remap == remap, "merge: input %d cannot tell the remap where its rows are from", i)
		t.runs[i] = run
	}
	return t
}

// wrote notes that the current row of an input was just written to out. A table
// begins with its row 0; whatever out says beyond that must be what the remap
// counts by itself.
func (t *trace) wrote(input int, out *Output) {
	table, ordinal := out.place()
	if ordinal == 0 {
		t.remap.To(table)
		t.table, t.rows = table, 0
	}
	if table != t.table || ordinal != t.rows { // asked here, because what is passed to Check is allocated
		invariant.Check(false, "merge: row %d of table %d is written, but the remap is at row %d of table %d",
			ordinal, table, t.rows, t.table)
	}
	run := t.runs[input]
	run.source.Keep(run.row.Ordinal())
	t.rows++
	t.all++
}
