package fuzz

import (
	"runtime/debug"

	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// note counts what a mutation that succeeded met, and keeps the handles right.
func (d *Driver) note(op ops.Op, before model.State) {
	switch op.Kind {
	case ops.Put, ops.Delete:
		m, _ := before.Forks.Get(op.Fork)
		d.writtenIn[m.ID] = true
	case ops.DeleteRange:
		d.noteRange(op.Fork, op.Range, before)
	case ops.Batch:
		forks, ranges := map[int]bool{}, 0
		for _, w := range op.Writes {
			m, _ := before.Forks.Get(w.Fork)
			d.writtenIn[m.ID], forks[m.ID] = true, true
			if w.Range != nil {
				d.noteRange(w.Fork, *w.Range, before)
				ranges++
			}
		}
		if len(forks) > 1 {
			d.counts.Add("batch over several forks", 1)
		}
		if ranges > 0 {
			d.counts.Add("batch with a range delete", 1)
		}
		if ranges > 0 && len(forks) > 1 {
			d.counts.Add("batch with a range delete over several forks", 1)
		}
	case ops.Fork:
		d.noteFork(op.Name)
		m, _ := before.Forks.Get(op.Fork)
		d.shared = d.shared || d.writtenIn[m.ID]
	case ops.ForkSnapshot:
		d.noteFork(op.Name)
	case ops.ForkMany, ops.ForkManySnap:
		for _, name := range op.Names {
			d.noteFork(name)
		}
		if len(op.Names) > 1 {
			d.counts.Add("several forks made at one cut", 1)
		}
		m, exists := before.Forks.Get(op.Fork)
		d.shared = d.shared || op.Kind == ops.ForkMany && exists && d.writtenIn[m.ID]
	case ops.DropMany, ops.DropPrefix, ops.DropSubtree:
		for name := range before.Forks.All() {
			if _, lives := d.state.Forks.Get(name); !lives {
				d.noteDrop(name, before)
			}
		}
		if before.Forks.Len() > d.state.Forks.Len()+1 {
			d.counts.Add("several forks dropped at once", 1)
		}
	case ops.Snapshot:
		d.counts.Add("snapshots", 1)
	case ops.Drop:
		d.noteDrop(op.Fork, before)
	case ops.DropSnapshot:
		m, _ := before.Snapshots.Get(op.Fork)
		delete(d.snapshots, m.ID)
	}
}

// noteRange counts what a deleted range held before its operation.
func (d *Driver) noteRange(fork string, r model.Range, before model.State) {
	m, _ := before.Forks.Get(fork)
	d.writtenIn[m.ID] = true
	rows := m.Contents.Within(r)
	switch {
	case rows.Len() == 0:
		d.counts.Add("range deletes of no row", 1)
	case rows.Len() == m.Contents.Len():
		d.counts.Add("range deletes of every row", 1)
	default:
		d.counts.Add("range deletes of some rows", 1)
	}
	if rows.Len() > 1024 {
		d.counts.Add("range deletes of more than 1024 rows", 1)
	}
	for _, p := range before.Forks.All() {
		if p.ID == m.ParentID && rows.Len() > 0 && model.DiffContents(rows, p.Contents.Within(r)) == "" {
			d.counts.Add("range deletes of rows that the parent has and keeps", 1)
		}
	}
	for _, h := range d.held {
		if h.forkID == m.ID && h.want.Within(r).Len() > 0 {
			h.deletes++
		}
	}
}

func (d *Driver) noteFork(child string) {
	m, _ := d.state.Forks.Get(child)
	d.counts.Add("forks", 1)
	if m.Depth >= 64 {
		d.counts.Add("forks of depth 64 or more", 1)
	}
	if d.state.Forks.Len() >= 64 {
		d.counts.Add("forks made while 64 or more live", 1)
	}
}

func (d *Driver) noteDrop(name string, before model.State) {
	m, _ := before.Forks.Get(name)
	d.counts.Add("drops", 1)
	for _, f := range d.state.Forks.All() {
		if f.ParentID == m.ID {
			d.counts.Add("drops of a parent before its child", 1)
			break
		}
	}
	if f := d.forks[m.ID]; f != nil && len(d.stale) < 4 {
		d.stale = append(d.stale, f)
	}
	delete(d.forks, m.ID)
	delete(d.writtenIn, m.ID)
}

// noteSwap counts a flush or compaction that the test asked for.
func (d *Driver) noteSwap(err error) {
	if err != nil {
		return
	}
	if d.shared {
		d.counts.Add("flushes of a memtable that several forks share", 1)
	}
	d.shared = false
	clear(d.writtenIn)
	for _, h := range d.held {
		h.swaps++
		if h.deletes > 0 {
			h.buried++
		}
	}
}

// noteStats counts what the store says it has done since it was opened.
func (d *Driver) noteStats() {
	s := d.store.Stats()
	d.counts.Add("store: flushes", int(s.Flushes))
	d.counts.Add("store: merges", int(s.Merges))
	d.counts.Add("store: merges across a branch point", int(s.SharedMerges))
	d.counts.Add("store: joins", int(s.Joins))
	d.counts.Add("store: tombstones dropped", int(s.TombstonesDropped))
	d.counts.Add("store: results discarded", int(s.Discarded))
	d.counts.Add("store: writes that waited", int(s.WriteStalls))
	d.counts.Add("store: consolidations", int(s.Consolidations))
	d.counts.Add("store: files removed", int(s.FilesRemoved))
	d.counts.Add("store: rows marked", int(s.RowsMarked))
	d.counts.Add("store: tombstones resolved", int(s.TombstonesResolved))
	d.counts.Add("store: vectors translated", int(s.VectorsTranslated))
	d.counts.Add("store: vectors staged", int(s.VectorsStaged))
	d.counts.Add("store: merges because of dead rows", int(s.DeadRewrites))
	d.counts.Add("store: tables relocated", int(s.TablesRelocated))
	d.counts.Add("store: sieves", int(s.Sieves))
	d.counts.Add("store: weaves", int(s.Weaves))
	if s.Vectors > 0 {
		d.counts.Add("closed with vectors", 1)
	}
}

func stack() string { return string(debug.Stack()) }
