package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// checkFork tells what is wrong with a fork's record taken alone.
func checkFork(f *Fork) error {
	switch {
	case f.ID == 0:
		return errors.New("fork with id 0")
	case f.Parent == f.ID:
		return fmt.Errorf("fork %d is its own parent", f.ID)
	case len(f.Name) == 0 || len(f.Name) > maxNameBytes:
		return fmt.Errorf("fork %d has a name of %d bytes", f.ID, len(f.Name))
	}
	return nil
}

// checkSnapshot tells what is wrong with a snapshot's record taken alone.
func checkSnapshot(s *Snapshot) error {
	switch {
	case s.ID == 0:
		return errors.New("snapshot with id 0")
	case len(s.Name) == 0 || len(s.Name) > maxNameBytes:
		return fmt.Errorf("snapshot %d has a name of %d bytes", s.ID, len(s.Name))
	}
	return nil
}

// checkNode tells what is wrong with a node's record taken alone.
func checkNode(n *Node) error {
	switch {
	case n.ID == 0:
		return errors.New("node with id 0")
	case n.Older == n.ID:
		return fmt.Errorf("node %d is older than itself", n.ID)
	case len(n.Tables) > maxRunTables:
		return fmt.Errorf("node %d has a run of %d tables, above the cap of %d", n.ID, len(n.Tables), maxRunTables)
	case slices.Contains(n.Tables, 0):
		return fmt.Errorf("node %d names table 0", n.ID)
	case len(n.Chunks) > maxRunTables:
		return fmt.Errorf("node %d has a run of %d chunks, above the cap of %d", n.ID, len(n.Chunks), maxRunTables)
	case slices.Contains(n.Chunks, 0):
		return fmt.Errorf("node %d names chunk 0", n.ID)
	case len(n.Tables) > 0 && len(n.Chunks) > 0:
		return fmt.Errorf("node %d names tables and chunks", n.ID)
	}
	return nil
}

// checkChunk tells what is wrong with a chunk's record taken alone.
func checkChunk(c *Chunk) error {
	switch {
	case c.ID == 0 || c.ID > maxChunkID:
		return fmt.Errorf("chunk with id %d", c.ID)
	case len(c.Tables) == 0 || len(c.Tables) > MaxChunkTables:
		return fmt.Errorf("chunk %d has %d tables, it may have 1 to %d", c.ID, len(c.Tables), MaxChunkTables)
	case slices.Contains(c.Tables, 0):
		return fmt.Errorf("chunk %d names table 0", c.ID)
	}
	return nil
}

// checkTable tells what is wrong with a table's record taken alone.
func checkTable(m *sstable.Meta) error {
	switch {
	case m.ID == 0:
		return errors.New("table with id 0")
	case m.File == 0:
		return fmt.Errorf("table %d lies in file 0", m.ID)
	case m.Length == 0 || m.Offset+m.Length < m.Offset:
		return fmt.Errorf("table %d has offset %d and length %d", m.ID, m.Offset, m.Length)
	case m.Rows == 0 || m.Rows > sstable.MaxRows || m.Tombstones > m.Rows:
		return fmt.Errorf("table %d has %d rows, %d of them tombstones", m.ID, m.Rows, m.Tombstones)
	case len(m.Smallest) > maxKeyBytes || len(m.Largest) > maxKeyBytes:
		return fmt.Errorf("table %d has bounds of %d and %d bytes", m.ID, len(m.Smallest), len(m.Largest))
	case bytes.Compare(m.Smallest, m.Largest) > 0:
		return fmt.Errorf("table %d ends before it begins", m.ID)
	}
	return nil
}

// Check tells whether the objects of the state fit together:
//
//   - every object is filed under its own id and sound by itself;
//   - names are unique, per kind; so are memtables, and no memtable is a node
//     already, or the next write to it would be skipped by the next replay;
//   - every table and chunk of a node's run exists, and the run is sorted and disjoint;
//   - no chain of older nodes leads back to itself;
//   - no table and no chunk is listed that no node uses, and no two tables share bytes of a file;
//   - every vector on a table that is listed has as many rows as the table;
//   - every id and LSN in use is below NextID and NextLSN.
//
// Nodes that a fork, a snapshot or a node names but that have no record are
// allowed: the log holds them. So are nodes that nothing names, which a drop removes
// in slices, and marks of nodes and on tables that have no record. The error names the first misfit in id order. Cost:
// O(n log n) in the number of objects.
func (s *State) Check() error {
	for _, check := range []func() error{s.checkForks, s.checkSnapshots, s.checkChunks, s.checkNodes, s.checkOlder, s.checkTables, s.checkAllMarks, s.checkCounters} {
		if err := check(); err != nil {
			return fmt.Errorf("manifest state: %w", err)
		}
	}
	return nil
}

func (s *State) checkForks() error {
	memtables := make(map[ids.NodeID]ids.ForkID, s.Forks.Len())
	for f := range s.Forks.All() {
		id := f.ID
		if err := checkFork(&f); err != nil {
			return err
		}
		if f.Memtable == 0 || f.Memtable == f.Top {
			return fmt.Errorf("fork %d has memtable %d over top %d", id, f.Memtable, f.Top)
		}
		if other, taken := memtables[f.Memtable]; taken {
			return fmt.Errorf("forks %d and %d share memtable %d", other, id, f.Memtable)
		}
		memtables[f.Memtable] = id
		if _, flushed := s.Nodes[f.Memtable]; flushed {
			return fmt.Errorf("memtable %d of fork %d is a node in tables", f.Memtable, id)
		}
		if err := s.checkIDs("fork", uint64(id), uint64(f.Parent), uint64(f.Top), uint64(f.Memtable)); err != nil {
			return err
		}
		if err := s.checkLSN("fork", uint64(id), f.CreatedLSN); err != nil {
			return err
		}
	}
	if a, b, ok := s.Forks.Namesakes(); ok {
		return fmt.Errorf("forks %d and %d are both named %q", a.ID, b.ID, a.Name)
	}
	return nil
}

func (s *State) checkSnapshots() error {
	names := make(map[string]ids.SnapshotID, len(s.Snapshots))
	for _, id := range sortedKeys(s.Snapshots) {
		p := s.Snapshots[id]
		if p.ID != id {
			return fmt.Errorf("snapshot %d is filed under %d", p.ID, id)
		}
		if err := checkSnapshot(&p); err != nil {
			return err
		}
		if other, taken := names[p.Name]; taken {
			return fmt.Errorf("snapshots %d and %d are both named %q", other, id, p.Name)
		}
		names[p.Name] = id
		if err := s.checkIDs("snapshot", uint64(id), uint64(p.Node), uint64(p.Fork)); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) checkNodes() error {
	for _, id := range sortedKeys(s.Nodes) {
		n := s.Nodes[id]
		if n.ID != id {
			return fmt.Errorf("node %d is filed under %d", n.ID, id)
		}
		if err := checkNode(&n); err != nil {
			return err
		}
		if err := s.checkList("node", uint64(id), n.Tables); err != nil {
			return err
		}
		if err := s.checkRunOfChunks(&n); err != nil {
			return err
		}
		if err := s.checkIDs("node", uint64(id), uint64(n.Older), uint64(n.Fork)); err != nil {
			return err
		}
		if err := s.checkLSN("node", uint64(id), n.Frozen); err != nil {
			return err
		}
	}
	return nil
}

// checkChunks looks at each chunk once, however many runs have it.
func (s *State) checkChunks() error {
	for _, id := range sortedKeys(s.Chunks) {
		c := Chunk{ID: id, Tables: s.Chunks[id]}
		if err := checkChunk(&c); err != nil {
			return err
		}
		if err := s.checkList("chunk", uint64(id), c.Tables); err != nil {
			return err
		}
	}
	return nil
}

// checkList tells whether the tables exist, sorted and disjoint.
func (s *State) checkList(object string, of uint64, tables []ids.TableID) error {
	for i, table := range tables {
		m, ok := s.Tables[table]
		if !ok {
			return fmt.Errorf("%s %d names table %d, which does not exist", object, of, table)
		}
		if i == 0 {
			continue
		}
		if before := s.Tables[tables[i-1]]; bytes.Compare(before.Largest, m.Smallest) >= 0 {
			return fmt.Errorf("run of %s %d: table %d does not end before table %d begins", object, of, before.ID, table)
		}
	}
	return nil
}

// checkRunOfChunks tells whether the node's chunks exist, and follow each other; what is
// in them has been looked at.
func (s *State) checkRunOfChunks(n *Node) error {
	total := 0
	for i, id := range n.Chunks {
		tables, ok := s.Chunks[id]
		if !ok {
			return fmt.Errorf("node %d names chunk %d, which does not exist", n.ID, id)
		}
		if total += len(tables); total > maxRunTables {
			return fmt.Errorf("node %d has a run of more than %d tables", n.ID, maxRunTables)
		}
		if i == 0 {
			continue
		}
		before := s.Chunks[n.Chunks[i-1]]
		if err := s.checkList("node", uint64(n.ID), []ids.TableID{before[len(before)-1], tables[0]}); err != nil {
			return err
		}
	}
	return nil
}

// checkOlder follows every chain of older nodes once. Ids do not rise along a
// chain, since a compaction may put a new node under an old one, so only
// walking finds a ring.
func (s *State) checkOlder() error {
	walk := make(map[ids.NodeID]int, len(s.Nodes)) // which walk met the node first
	for i, start := range sortedKeys(s.Nodes) {
		for id := start; id != 0; {
			n, ok := s.Nodes[id]
			if !ok {
				break
			}
			if first, met := walk[id]; met {
				if first == i {
					return fmt.Errorf("node %d is older than itself", id)
				}
				break
			}
			walk[id] = i
			id = n.Older
		}
	}
	return nil
}

func (s *State) checkTables() error {
	used, chunks := make(map[ids.TableID]bool, len(s.Tables)), make(map[ids.ChunkID]bool, len(s.Chunks))
	for _, n := range s.Nodes {
		for _, id := range n.Tables {
			used[id] = true
		}
		for _, id := range n.Chunks {
			chunks[id] = true
		}
	}
	for _, id := range sortedKeys(s.Chunks) {
		if !chunks[id] {
			return fmt.Errorf("chunk %d is used by no node", id)
		}
		for _, table := range s.Chunks[id] {
			used[table] = true
		}
	}
	tables := make([]sstable.Meta, 0, len(s.Tables))
	for _, id := range sortedKeys(s.Tables) {
		m := s.Tables[id]
		if m.ID != id {
			return fmt.Errorf("table %d is filed under %d", m.ID, id)
		}
		if err := checkTable(&m); err != nil {
			return err
		}
		if !used[id] {
			return fmt.Errorf("table %d is used by no node", id)
		}
		if err := s.checkIDs("table", uint64(id), uint64(m.File)); err != nil {
			return err
		}
		tables = append(tables, m)
	}
	slices.SortFunc(tables, func(a, b sstable.Meta) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.ID, b.ID))
	})
	for i := 1; i < len(tables); i++ {
		if a, b := &tables[i-1], &tables[i]; a.File == b.File && a.Offset+a.Length > b.Offset {
			return fmt.Errorf("tables %d and %d share bytes of %s", a.ID, b.ID, ids.TableFileName(a.File))
		}
	}
	return nil
}

func (s *State) checkCounters() error {
	if s.Trimmed > s.NextLSN {
		return fmt.Errorf("trimmed through %d, but the next lsn is %d", s.Trimmed, s.NextLSN)
	}
	return s.checkLSN("applied", 0, s.Applied)
}

// checkIDs tells whether the ids that an object carries may be in use.
func (s *State) checkIDs(object string, id uint64, others ...uint64) error {
	if id >= s.NextID {
		return fmt.Errorf("%s %d, but the next id is %d", object, id, s.NextID)
	}
	for _, other := range others {
		if other != 0 && other >= s.NextID {
			return fmt.Errorf("%s %d carries id %d, but the next id is %d", object, id, other, s.NextID)
		}
	}
	return nil
}

// checkLSN tells whether an LSN that an object carries may be in use.
func (s *State) checkLSN(object string, id uint64, lsn ids.LSN) error {
	if lsn != 0 && lsn >= s.NextLSN {
		return fmt.Errorf("%s %d carries lsn %d, but the next lsn is %d", object, id, lsn, s.NextLSN)
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
