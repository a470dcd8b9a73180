package forktree

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

// TakeTransaction gives the edits that bring the manifest up to the tree's
// present, and forgets that they are owed. The caller appends them to the
// manifest log in the same critical section, so that the log's order is the
// order of the installs.
func (t *Tree) TakeTransaction() *manifest.Transaction {
	tx := &manifest.Transaction{}
	for _, id := range t.dirtyForks {
		if f, ok := t.forks.Settle(id); ok {
			tx.PutForks = append(tx.PutForks, f)
		} else {
			tx.DropForks = append(tx.DropForks, id)
		}
	}
	t.dirtyForks = t.dirtyForks[:0]
	for id := range t.dirtySnaps {
		if s := t.snaps[id]; s != nil {
			tx.PutSnapshots = append(tx.PutSnapshots, s.record())
		} else {
			tx.DropSnapshots = append(tx.DropSnapshots, id)
		}
	}
	clear(t.dirtySnaps)
	for _, n := range t.dirtyNodes {
		n.dirty = false
		if t.nodes[n.ID] == n && n.Run != nil {
			n.logged = true
			tx.PutNodes = append(tx.PutNodes, n.record())
		}
	}
	t.dirtyNodes = t.dirtyNodes[:0]
	for _, tb := range t.newTables {
		if tb.held > 0 && (!tb.logged || tb.moved) {
			tb.logged, tb.moved = true, false
			tx.PutTables = append(tx.PutTables, *tb.Place.Meta())
		}
	}
	t.newTables = t.newTables[:0]
	for _, c := range t.newChunks {
		if c.held > 0 && !c.logged {
			c.logged = true
			tx.PutChunks = append(tx.PutChunks, manifest.Chunk{ID: c.id, Tables: tableIDs(c.tables)})
		}
	}
	t.newChunks = t.newChunks[:0]
	for _, c := range t.goneChunks {
		if c.held == 0 { // else it is held again, and put again above
			tx.DropChunks = append(tx.DropChunks, c.id)
		}
	}
	t.goneChunks = nil
	tx.DropNodes, t.goneNodes = t.goneNodes, nil
	for _, id := range t.goneTables {
		if tb := t.tables[id]; tb == nil || tb.held == 0 { // else it is held again, and put again above
			tx.DropTables = append(tx.DropTables, id)
		}
	}
	t.goneTables = nil
	tx.AddMarks, t.newMarks = t.newMarks, nil
	for key := range t.goneMarks {
		tx.DropMarks = append(tx.DropMarks, key)
	}
	clear(t.goneMarks)
	return tx
}

// Recovered gives all that a manifest has to hold after Load, and forgets that it is
// owed. The forks in it are the tree's own: it is to be looked at before the tree
// changes, and not to be changed.
func (t *Tree) Recovered() *manifest.State {
	s := manifest.NewState()
	s.Apply(t.TakeTransaction())
	s.Forks = t.forks
	return s
}

// TakeObsolete gives the files of which no table is held or pinned any more.
// They may be unlinked once the manifest is durable through the transaction that
// was taken in the same critical section, or any later one. It also gives the
// tables whose readers can be forgotten.
func (t *Tree) TakeObsolete() (files []ids.FileNum, tables []*Table) {
	files, t.goneFiles = t.goneFiles, nil
	tables, t.goneReaders = t.goneReaders, nil
	return files, tables
}

// Owed is the number of forks and snapshots that the next transaction will hold.
func (t *Tree) Owed() int { return len(t.dirtyForks) + len(t.dirtySnaps) }

// Owes tells whether a transaction, or an unlink, is owed for something that
// went away.
func (t *Tree) Owes() bool {
	return len(t.freed) > 0 || len(t.goneNodes) > 0 || len(t.goneTables) > 0 || len(t.goneFiles) > 0 ||
		len(t.goneChunks) > 0 || len(t.goneMarks) > 0
}

func nodeID(n *Node) ids.NodeID {
	if n == nil {
		return 0
	}
	return n.ID
}

func (s *Snapshot) record() manifest.Snapshot {
	return manifest.Snapshot{
		ID: s.ID, Name: s.Name, Node: nodeID(s.Node), Fork: s.Fork, CreatedUnixNano: s.CreatedUnixNano,
	}
}

func (n *Node) record() manifest.Node {
	r := manifest.Node{ID: n.ID, Older: nodeID(n.Older), Fork: n.Fork, Frozen: n.Frozen}
	if n.Run.chunks == nil {
		r.Tables = tableIDs(n.Run.Tables)
		return r
	}
	r.Chunks = make([]ids.ChunkID, len(n.Run.chunks))
	for i, c := range n.Run.chunks {
		r.Chunks[i] = c.id
	}
	return r
}

func tableIDs(tables []*Table) []ids.TableID {
	out := make([]ids.TableID, len(tables))
	for i, tb := range tables {
		out[i] = tb.Meta.ID
	}
	return out
}
