package forktree

import (
	"bytes"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/sstable"
)

// Run is an immutable list of tables, sorted by key and disjoint. Nodes hold it;
// views and jobs pin it, so that its files outlive a swap that replaces it.
//
// Tables is the list as readers use it. What holds, counts and logs the tables of a
// long run are its chunks, which it shares with the runs that it came from: see chunk.
type Run struct {
	Tables []*Table

	chunks  []*chunk // the same list; nil if it is short, then the run itself counts
	holders int32    // nodes whose form it is
	pins    int32    // views and jobs
	gone    bool     // both fell to zero once

	bytes uint64 // see size; 0 until somebody asks
}

// Table is one sorted table. Where it lies is an attribute, which may change at any
// time: see Tree.Relocate.
type Table struct {
	Meta  sstable.Meta  // what is in it; its File and Offset are zero
	Place sstable.Place // where it lies, for those who read it

	// Local is the engine's own, such as an opened reader; the tree never looks
	// at it.
	Local any

	holders   []*Marks       // of all nodes that mark rows of it, in no order
	replacing []*Replacement // those that will consume it on some path

	held   int32 // chunks, and runs without chunks, that nodes hold: while > 0 the manifest names it
	alive  int32 // chunks, and runs without chunks, that are held or pinned: while > 0 its file stays
	file   *file
	nth    int // in file.tables
	logged bool
	moved  bool // since it was logged
	letBe  bool // it cannot be read: do not relocate it
}

// Shares tells whether another node than the run's has the table, in this run or in
// another.
func (r *Run) Shares(tb *Table) bool {
	if r.holders > 1 || tb.held > 1 {
		return true
	}
	c := r.chunkOf(tb)
	return c != nil && c.held > 1
}

// Bytes is the size of the run's tables on disk.
func (r *Run) Bytes() uint64 {
	var n uint64
	for _, t := range r.Tables {
		n += t.Meta.Length
	}
	return n
}

// Rows is the number of rows in the run, tombstones included.
func (r *Run) Rows() uint64 {
	var n uint64
	for _, t := range r.Tables {
		n += t.Meta.Rows
	}
	return n
}

// Tombstones is the number of tombstones in the run.
func (r *Run) Tombstones() uint64 {
	var n uint64
	for _, t := range r.Tables {
		n += t.Meta.Tombstones
	}
	return n
}

// Find gives the only table of the run that can hold key, nil if none can.
func (r *Run) Find(key []byte) *Table {
	lo, hi := 0, len(r.Tables)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(r.Tables[mid].Meta.Largest, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(r.Tables) || bytes.Compare(r.Tables[lo].Meta.Smallest, key) > 0 {
		return nil
	}
	return r.Tables[lo]
}

// NewRun makes a run of freshly written tables, which no other run has. It
// asserts that they are sorted and disjoint (invariant 2).
func (t *Tree) NewRun(metas []sstable.Meta) *Run { return t.RunOf(t.NewTables(metas)) }

// NewTables makes the tree know freshly written tables. They must become part of a
// run in the same critical section.
func (t *Tree) NewTables(metas []sstable.Meta) []*Table {
	tables := make([]*Table, len(metas))
	for i, m := range metas {
		invariant.Check(t.tables[m.ID] == nil, "table %d is written twice", m.ID)
		tables[i] = t.addTable(m)
	}
	return tables
}

// RunOf makes a run of tables, of which some may be part of other runs. It asserts
// that they are sorted and disjoint (invariant 2). It must be held or become a
// replacement's in the same critical section. Of a long run it looks at the tables
// that are not in a chunk which is there already, and at the chunks.
func (t *Tree) RunOf(tables []*Table) *Run {
	r := &Run{Tables: tables}
	if len(tables) <= t.cuts.whole {
		checkTables(tables)
		return r
	}
	t.cut(r)
	for i := 1; i < len(r.chunks); i++ {
		checkOrder(r.chunks[i-1].last(), r.chunks[i].tables[0])
	}
	return r
}

func checkTables(tables []*Table) {
	for i, t := range tables {
		invariant.Check(bytes.Compare(t.Meta.Smallest, t.Meta.Largest) <= 0, "table %d: bounds reversed", t.Meta.ID)
		if i > 0 {
			checkOrder(tables[i-1], t)
		}
	}
}

func checkOrder(a, b *Table) {
	invariant.Check(bytes.Compare(a.Meta.Largest, b.Meta.Smallest) < 0, "tables %d and %d of one run overlap", a.Meta.ID, b.Meta.ID)
}

func (t *Tree) addTable(m sstable.Meta) *Table {
	tb := &Table{Meta: m}
	tb.Place.Set(m)
	tb.Meta.File, tb.Meta.Offset = 0, 0
	t.fileOf(m.File).add(tb, &m)
	t.tables[m.ID] = tb
	return tb
}

// hold and letGo count the nodes whose form a run is; Pin and Unpin count views
// and jobs. Increment before decrement when one replaces another. All cost O(chunks),
// and O(tables) of the chunks that come or go: a run of few tables is one chunk here.

func (t *Tree) hold(r *Run) {
	invariant.Check(!r.gone, "a run that is gone is held again")
	r.holders++
	if r.holders > 1 {
		return
	}
	if r.chunks == nil {
		t.holdTables(r.Tables)
	}
	for _, c := range r.chunks {
		if c.held++; c.held == 1 {
			t.holdTables(c.tables)
			t.newChunks = append(t.newChunks, c)
		}
	}
	if r.pins == 0 {
		t.enliven(r)
	}
}

func (t *Tree) holdTables(tables []*Table) {
	for _, tb := range tables {
		tb.held++
		if tb.held == 1 {
			tb.file.liveBytes += tb.Meta.Length
			t.weigh(tb.file)
			t.liveBytes += tb.Meta.Length
			t.newTables = append(t.newTables, tb)
		}
	}
}

// letGo takes one node's hold back. heir is the run that takes the place of r there
// and is held already, nil if none does: what both have is as shared as it was before
// the two, so nobody is told of it.
func (t *Tree) letGo(r, heir *Run) {
	r.holders--
	invariant.Check(r.holders >= 0, "a run is let go twice")
	if r.holders > 0 {
		if r.holders == 1 && heir != r {
			t.stirTables(r.Tables)
		}
		return
	}
	if r.chunks == nil {
		t.letGoTables(r.Tables)
	}
	inherited := heir.chunkSet()
	for _, c := range r.chunks {
		c.held--
		invariant.Check(c.held >= 0, "chunk %d is let go twice", c.id)
		if _, ok := inherited[c]; c.held == 1 && !ok {
			t.stirTables(c.tables)
		}
		if c.held == 0 {
			t.letGoTables(c.tables)
			if c.logged {
				c.logged = false
				t.goneChunks = append(t.goneChunks, c)
			}
		}
	}
	if r.pins == 0 {
		t.perish(r)
	}
}

func (t *Tree) letGoTables(tables []*Table) {
	for _, tb := range tables {
		tb.held--
		invariant.Check(tb.held >= 0, "table %d is let go twice", tb.Meta.ID)
		if tb.held == 1 {
			t.stirMarked(tb)
		}
		if tb.held == 0 {
			tb.file.liveBytes -= tb.Meta.Length
			t.weigh(tb.file)
			t.liveBytes -= tb.Meta.Length
			if tb.logged {
				tb.logged = false
				t.goneTables = append(t.goneTables, tb.Meta.ID)
			}
		}
	}
}

// stirTables says that the tables may be shared no more.
func (t *Tree) stirTables(tables []*Table) {
	if t.markCount == 0 {
		return
	}
	for _, tb := range tables {
		t.stirMarked(tb)
	}
}

// Pin keeps the run's files although no node may hold it any more. The run must
// be held or pinned already: a count is never raised from zero.
func (t *Tree) Pin(r *Run) {
	invariant.Check(r.holders > 0 || r.pins > 0, "a run that nothing holds is pinned")
	r.pins++
}

// hatch pins a run that may be new.
func (t *Tree) hatch(r *Run) {
	invariant.Check(!r.gone, "a run that is gone is hatched again")
	if r.holders == 0 && r.pins == 0 {
		t.enliven(r)
	}
	r.pins++
}

// Unpin takes back one Pin.
func (t *Tree) Unpin(r *Run) {
	r.pins--
	invariant.Check(r.pins >= 0, "a run is unpinned twice")
	if r.pins == 0 && r.holders == 0 {
		t.perish(r)
	}
}

func (t *Tree) enliven(r *Run) {
	if r.chunks == nil {
		enlivenTables(r.Tables)
	}
	for _, c := range r.chunks {
		if c.alive++; c.alive == 1 {
			enlivenTables(c.tables)
		}
	}
}

func enlivenTables(tables []*Table) {
	for _, tb := range tables {
		tb.alive++
		if tb.alive == 1 {
			tb.file.alive++
		}
	}
}

func (t *Tree) perish(r *Run) {
	r.gone = true
	if r.chunks == nil {
		t.perishTables(r.Tables)
	}
	for _, c := range r.chunks {
		c.alive--
		invariant.Check(c.alive >= 0, "chunk %d perishes twice", c.id)
		if c.alive == 0 {
			t.forgetChunk(c)
			t.perishTables(c.tables)
		}
	}
}

func (t *Tree) perishTables(tables []*Table) {
	for _, tb := range tables {
		tb.alive--
		invariant.Check(tb.alive >= 0, "table %d perishes twice", tb.Meta.ID)
		if tb.alive > 0 {
			continue
		}
		delete(t.tables, tb.Meta.ID)
		t.goneReaders = append(t.goneReaders, tb)
		tb.file.remove(tb)
		t.leave(tb.file)
	}
}
