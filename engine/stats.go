package engine

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

// counters are what the store counts as it goes.
type counters struct {
	forks, flushes, merges, sharedMerges, joins, consolidations atomic.Uint64
	bytesFlushed, bytesMerged, tombstonesDropped                atomic.Uint64
	tombstonesResolved, rowsMarked, vectorsStaged, deadRewrites atomic.Uint64
	filesRemoved, discarded, stalls                             atomic.Uint64
	installs                                                    atomic.Uint64 // of any kind, and files removed
	flats                                                       atomic.Uint64 // built
	iterators                                                   atomic.Int64
}

// Stats says what a store holds and what it has done since it was opened.
type Stats struct {
	Forks, Snapshots       int
	Nodes, MemoryNodes     int // in all; of those, in memory
	Tables, Files          int // held by nodes, views or jobs
	OpenIterators          int
	MemtableBytes          int64  // of all memtables and nodes in memory
	TableBytes             uint64 // of the tables that forks and snapshots need
	WALBytes               uint64 // of the log, where it is written; its segments are preallocated and larger
	LastLSN                uint64
	ForksMade              uint64
	Flushes                uint64 // nodes written from memory to tables
	Merges                 uint64 // runs merged by a swap
	SharedMerges           uint64 // of those, across a branch point
	Joins                  uint64 // nodes joined without reading or writing tables
	Consolidations         uint64 // memtables merged by a swap
	Discarded              uint64 // results that nobody wanted any more
	BytesFlushed           uint64
	BytesMerged            uint64
	TombstonesDropped      uint64 // not written, or merged away
	TombstonesResolved     uint64 // of those, because the rows they hide are marked dead instead
	Vectors                int    // of dead rows: pairs of a node and a table
	VectorBytes            int64  // memory of all vectors, and of the forms of them that reads use
	VectorsTranslated      uint64 // vectors on new tables, made of those on the merged ones
	VectorsStaged          uint64 // vectors on merged tables that were carried over in slices before the swap
	MarkedTables           int    // tables in which some node marks rows dead
	MarkedRows             uint64 // marks in all vectors; a row may be marked by many nodes
	RowsMarked             uint64 // marks made by deletes
	DeadRewrites           uint64 // merges because of dead rows
	FilesRemoved           uint64
	WriteStalls            uint64 // writes that waited for memory
	CacheHits, CacheMisses uint64
	CacheBytes             int64
	OpenTables             int    // of which index and filter are in memory
	TableCacheBytes        int64  // that these take
	TablesEvicted          uint64 // let go of to stay within Options.TableCacheBytes
}

// Stats gives the present figures. It costs O(nodes + vectors).
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, c := s.mu.tree, &s.counter
	cache, readers := s.cache.Stats(), s.tables.ReaderStats()
	out := Stats{
		Forks: t.ForkCount(), Snapshots: t.SnapshotCount(), Nodes: t.NodeCount(), MemoryNodes: t.MemoryNodes(),
		Tables: t.TableCount(), Files: t.FileCount(), OpenIterators: int(c.iterators.Load()),
		MemtableBytes: s.mu.activeBytes + t.MemoryBytes(), TableBytes: t.LiveBytes(), LastLSN: uint64(s.mu.newest),
		ForksMade: c.forks.Load(), Flushes: c.flushes.Load(), Merges: c.merges.Load(), SharedMerges: c.sharedMerges.Load(),
		Joins: c.joins.Load(), Consolidations: c.consolidations.Load(), Discarded: c.discarded.Load(),
		BytesFlushed: c.bytesFlushed.Load(), BytesMerged: c.bytesMerged.Load(), TombstonesDropped: c.tombstonesDropped.Load(),
		TombstonesResolved: c.tombstonesResolved.Load(), RowsMarked: c.rowsMarked.Load(), DeadRewrites: c.deadRewrites.Load(),
		Vectors: t.MarkCount(), VectorBytes: t.MarkBytes(), VectorsTranslated: t.Translated(), VectorsStaged: c.vectorsStaged.Load(),
		FilesRemoved: c.filesRemoved.Load(), WriteStalls: c.stalls.Load(),
		CacheHits: uint64(cache.Hits), CacheMisses: uint64(cache.Misses), CacheBytes: cache.Bytes,
		OpenTables: readers.Readers, TableCacheBytes: readers.Bytes, TablesEvicted: readers.Evicted,
	}
	for _, tb := range t.Tables() {
		if marked := tb.Marked(); len(marked) > 0 {
			out.MarkedTables++
			for _, m := range marked {
				out.MarkedRows += m.Vector.Dead()
				out.VectorBytes += readBytes(m)
			}
		}
	}
	if s.log != nil {
		out.WALBytes = uint64(s.log.Bytes())
	}
	return out
}

// ForkInfo describes a fork.
type ForkInfo struct {
	ID       uint64
	Name     string
	ParentID uint64 // 0 if it has none
	Parent   string // its present name; "" if it has none or it was dropped
	Created  time.Time
	Depth    int // nodes on its path

	MemtableBytes   int64  // of its own unfrozen writes
	ReferencedBytes uint64 // of all tables it reads through
	ExclusiveBytes  uint64 // of those, reached by no other fork or snapshot
}

// SnapshotInfo describes a snapshot.
type SnapshotInfo struct {
	ID      uint64
	Name    string
	ForkID  uint64 // whose state it is
	Fork    string // its present name; "" if it was dropped
	Created time.Time
	Depth   int

	ReferencedBytes uint64
	ExclusiveBytes  uint64
}

// Forks describes all forks, by name. It costs O(forks × path).
func (s *Store) Forks() []ForkInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	shares := shareCounts(s.mu.tree)
	var out []ForkInfo
	for _, f := range s.mu.tree.Forks() {
		out = append(out, s.forkInfoLocked(f, shares))
	}
	return out
}

// Snapshots describes all snapshots, by name. It costs O(forks × path).
func (s *Store) Snapshots() []SnapshotInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	shares := shareCounts(s.mu.tree)
	var out []SnapshotInfo
	for _, n := range s.mu.tree.Snapshots() {
		out = append(out, s.snapshotInfoLocked(n, shares))
	}
	return out
}

// Info describes the fork. It costs O(forks × path).
func (f *Fork) Info() (ForkInfo, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if err := f.goneLocked(); err != nil {
		return ForkInfo{}, err
	}
	return f.s.forkInfoLocked(f.f, shareCounts(f.s.mu.tree)), nil
}

// Info describes the snapshot. It costs O(forks × path).
func (n *Snapshot) Info() (SnapshotInfo, error) {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	if err := n.goneLocked(); err != nil {
		return SnapshotInfo{}, err
	}
	return n.s.snapshotInfoLocked(n.n, shareCounts(n.s.mu.tree)), nil
}

// shareCounts counts for each table how many forks and snapshots reach it.
func shareCounts(t *forktree.Tree) map[*forktree.Table]int {
	entered := map[*forktree.Node]int{}
	for _, f := range t.Forks() {
		entered[f.Top]++
	}
	for _, n := range t.Snapshots() {
		entered[n.Node]++
	}
	nodes := t.Nodes()
	tables := map[*forktree.Table]int{}
	for i := len(nodes) - 1; i >= 0; i-- { // children before what they lie on
		n := nodes[i]
		if n.Older != nil {
			entered[n.Older] += entered[n]
		}
		if n.Run != nil {
			for _, tb := range n.Run.Tables {
				tables[tb] += entered[n]
			}
		}
	}
	return tables
}

func pathBytes(top *forktree.Node, shares map[*forktree.Table]int) (depth int, referenced, exclusive uint64) {
	for n := range forktree.Path(top) {
		depth++
		if n.Run == nil {
			continue
		}
		for _, tb := range n.Run.Tables {
			referenced += tb.Meta.Length
			if shares[tb] == 1 {
				exclusive += tb.Meta.Length
			}
		}
	}
	return depth, referenced, exclusive
}

func (s *Store) forkName(id ids.ForkID) string {
	if f := s.mu.tree.ForkByID(id); f != nil {
		return f.Name
	}
	return ""
}

func (s *Store) forkInfoLocked(f *forktree.Fork, shares map[*forktree.Table]int) ForkInfo {
	info := ForkInfo{
		ID: uint64(f.ID), Name: f.Name, ParentID: uint64(f.Parent), Parent: s.forkName(f.Parent),
		Created: time.Unix(0, f.CreatedUnixNano),
	}
	if f.Mem != nil {
		info.MemtableBytes = f.Mem.Bytes()
	}
	info.Depth, info.ReferencedBytes, info.ExclusiveBytes = pathBytes(f.Top, shares)
	return info
}

func (s *Store) snapshotInfoLocked(n *forktree.Snapshot, shares map[*forktree.Table]int) SnapshotInfo {
	info := SnapshotInfo{
		ID: uint64(n.ID), Name: n.Name, ForkID: uint64(n.Fork), Fork: s.forkName(n.Fork),
		Created: time.Unix(0, n.CreatedUnixNano),
	}
	info.Depth, info.ReferencedBytes, info.ExclusiveBytes = pathBytes(n.Node, shares)
	return info
}

// DrawTree writes the tree of nodes as text, with the forks and snapshots that
// enter at each.
func (s *Store) DrawTree(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.Draw(w)
}
