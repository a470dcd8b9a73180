package forktree

import (
	"fmt"
	"maps"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// recordKind is what a record of the test's log says.
type recordKind uint8

const (
	recBatch recordKind = iota
	recFreeze
	recFork
	recSnapshot
	recReset
	recDrop
	recDropSnapshot
	recRename
)

// ends tells whether the record ends or replaces something: nodes may go that
// only the log before it holds.
func (k recordKind) ends() bool {
	return k == recDrop || k == recDropSnapshot || k == recReset || k == recRename
}

// record is one record of the test's log. Unused fields are zero.
type record struct {
	lsn      ids.LSN
	kind     recordKind
	frozen   freezing       // freeze, fork, snapshot, reset; node 0: nothing was frozen
	parts    []part         // batch
	fork     ids.ForkID     // made, dropped, renamed or reset
	snap     ids.SnapshotID // made or dropped
	name     string
	top      ids.NodeID // fork, snapshot, reset
	memtable ids.NodeID // fork, reset: the memtable it goes on with
}

// freezing says that a fork's memtable became a node over another.
type freezing struct {
	fork              ids.ForkID
	node, older, next ids.NodeID
}

// part is what a batch writes to one memtable.
type part struct {
	fork     ids.ForkID
	memtable ids.NodeID
	mem      memory
}

// moment is what all forks and snapshots held just after one record.
type moment struct {
	forks map[ids.ForkID]held
	snaps map[ids.SnapshotID]held
}

type held struct {
	name string
	rows rows
}

func (m moment) clone() moment {
	return moment{forks: maps.Clone(m.forks), snaps: maps.Clone(m.snaps)}
}

// disk is everything that a crash leaves, and how much of it a crash may take.
type disk struct {
	cuts   cuts // of the trees that are read from it
	log    []record
	synced ids.LSN // records above may be lost, the newest first

	base    *manifest.State // durable
	based   int             // how many transactions base holds
	queue   []queued        // behind base, in the order of the log
	written int             // of queue; they may survive a crash, or not

	files map[ids.FileNum]bool
}

// queued is a manifest transaction and how far the log must be durable before
// it is written.
type queued struct {
	tx   *manifest.Transaction
	need ids.LSN
}

func cloneState(s *manifest.State) *manifest.State {
	return &manifest.State{
		Counters: s.Counters, Forks: s.Forks.Clone(), Snapshots: maps.Clone(s.Snapshots),
		Nodes: maps.Clone(s.Nodes), Tables: maps.Clone(s.Tables), Marks: maps.Clone(s.Marks),
		Chunks: maps.Clone(s.Chunks),
	}
}

// cut is how far into the queue a manifest reached the disk: so many transactions,
// and so many of the marks of the next, which may be written ahead of the rest.
type cut struct {
	transactions, marks int
}

// image is the manifest as it is read after a crash. Marks of a node or a table that
// is not there are forgotten.
func (d *disk) image(at cut) *manifest.State {
	s := cloneState(d.base)
	for _, q := range d.queue[:at.transactions] {
		s.Apply(q.tx)
	}
	if at.marks > 0 {
		s.Apply(&manifest.Transaction{AddMarks: d.queue[at.transactions].tx.AddMarks[:at.marks]})
	}
	maps.DeleteFunc(s.Marks, func(k manifest.MarksKey, _ *sstable.Vector) bool {
		_, node := s.Nodes[k.Node]
		_, table := s.Tables[k.Table]
		return !node || !table
	})
	return s
}

// writeManifest writes transactions until n of the queue are, the log first.
func (d *disk) writeManifest(n int) {
	for ; d.written < n; d.written++ {
		d.synced = max(d.synced, d.queue[d.written].need)
	}
}

func (d *disk) syncManifest() {
	d.writeManifest(len(d.queue))
	for _, q := range d.queue {
		d.base.Apply(q.tx)
	}
	d.based += len(d.queue)
	d.queue, d.written = nil, 0
}

// replay is the protocol's reading of manifest and log, written for this test
// alone. off names a rule to leave out.
//
// A batch goes into the memtables that it names, unless those are in tables. A
// structural record at or below the applied LSN only tells which node lies over
// which. Everything else is left to reachability.
func (d *disk) replay(state *manifest.State, last ids.LSN, off string) (*Tree, error) {
	mems := map[ids.NodeID]Memtable{}
	frozen := map[ids.NodeID]Frozen{}
	alive := d.aliveAt(state, last)
	for _, r := range d.log {
		if r.lsn > last {
			break
		}
		for _, p := range r.parts {
			if _, inTables := state.Nodes[p.memtable]; inTables || off == "reach" && !alive[p.fork] {
				continue
			}
			m, ok := mems[p.memtable]
			if !ok {
				m = Memtable{Mem: new(memory), Low: r.lsn}
				mems[p.memtable] = m
			}
			all := p.mem
			all.over(m.Mem.(*memory))
			*m.Mem.(*memory) = all
		}
		if fz := r.frozen; fz.node != 0 {
			frozen[fz.node] = Frozen{Fork: fz.fork, Older: fz.older, LSN: r.lsn}
		}
		if r.lsn > state.Applied || off == "applied" {
			r.apply(state, off)
		}
	}
	return load(state, frozen, mems, d.cuts)
}

func (r *record) apply(state *manifest.State, off string) {
	if f, ok := state.Forks.Get(r.frozen.fork); ok && r.frozen.node != 0 {
		f.Top, f.Memtable = r.frozen.node, r.frozen.next
		state.Forks.Put(f)
	}
	switch r.kind {
	case recFork:
		state.Forks.Put(manifest.Fork{ID: r.fork, Name: r.name, Top: r.top, Memtable: r.memtable, CreatedLSN: r.lsn})
	case recSnapshot:
		state.Snapshots[r.snap] = manifest.Snapshot{ID: r.snap, Name: r.name, Node: r.top}
	case recReset:
		if f, ok := state.Forks.Get(r.fork); ok {
			f.Top, f.Memtable = r.top, r.memtable
			state.Forks.Put(f)
		}
	case recDrop:
		state.Forks.Drop(r.fork)
		if off == "applied" { // without the LSN a record can only go by names
			for f, ok := state.Forks.Named(r.name); ok; f, ok = state.Forks.Named(r.name) {
				state.Forks.Drop(f.ID)
			}
		}
	case recDropSnapshot:
		delete(state.Snapshots, r.snap)
	case recRename:
		if f, ok := state.Forks.Get(r.fork); ok {
			f.Name = r.name
			state.Forks.Put(f)
		}
	}
}

// aliveAt gives the forks that are alive after record last.
func (d *disk) aliveAt(state *manifest.State, last ids.LSN) map[ids.ForkID]bool {
	alive := map[ids.ForkID]bool{}
	for f := range state.Forks.All() {
		alive[f.ID] = true
	}
	for _, r := range d.log {
		if r.lsn > state.Applied && r.lsn <= last && (r.kind == recFork || r.kind == recDrop) {
			alive[r.fork] = r.kind == recFork
		}
	}
	return alive
}

// compare tells how a tree differs from what it should hold.
func (m moment) compare(t *Tree, s shelf) error {
	if t.ForkCount() != len(m.forks) || t.SnapshotCount() != len(m.snaps) {
		return fmt.Errorf("%d forks and %d snapshots, want %d and %d", t.ForkCount(), t.SnapshotCount(), len(m.forks), len(m.snaps))
	}
	for id, want := range m.forks {
		f := t.ForkByID(id)
		if f == nil || f.Name != want.name || t.ForkByName(want.name) != f {
			return fmt.Errorf("fork %d: not there as %q", id, want.name)
		}
		if got := s.content(f.Mem, f.Top); got != want.rows {
			return fmt.Errorf("fork %q:\n got %v\nwant %v", f.Name, got, want.rows)
		}
	}
	for id, want := range m.snaps {
		n := t.SnapshotByID(id)
		if n == nil {
			return fmt.Errorf("snapshot %d is not there", id)
		}
		if got := s.content(nil, n.Node); got != want.rows {
			return fmt.Errorf("snapshot %d:\n got %v\nwant %v", id, got, want.rows)
		}
	}
	return nil
}
