package engine

import (
	"io"
	"sync/atomic"
)

// counters are what the store counts as it goes.
type counters struct {
	forks, flushes, merges, sharedMerges, joins, consolidations atomic.Uint64
	bytesFlushed, bytesMerged, tombstonesDropped                atomic.Uint64
	tombstonesResolved, rowsMarked, vectorsStaged, deadRewrites atomic.Uint64
	shadowRewrites                                              atomic.Uint64
	filesRemoved, discarded, stalls                             atomic.Uint64
	tablesRelocated, bytesRelocated                             atomic.Uint64
	installs                                                    atomic.Uint64 // of any kind, and files removed
	flats, sieves, weaves                                       atomic.Uint64 // built
	memoryFlushed                                               atomic.Uint64 // bytes of memory, not of tables
	pathsSeen, nodesSeen                                        atomic.Uint64 // by passes of background work
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
	ShadowRewrites         uint64 // merges at rest because of rows that newer ones shadow
	Sieves                 uint64 // filters that were made of several small runs
	SieveBytes             int64  // memory of those in use
	Weaves                 uint64 // orders of rows in several runs that were written down
	WeaveBytes             int64  // memory of those in use
	TablesRelocated        uint64 // tables copied as they are, to give back the space in their files
	BytesRelocated         uint64
	FilesRemoved           uint64
	WriteStalls            uint64 // writes that waited for memory
	BackgroundFailures     uint64 // of flushes, merges and reclaiming; each is logged, and tried again
	CacheHits, CacheMisses uint64
	CacheBytes             int64
	OpenTables             int    // of which index and filter are in memory
	TableCacheBytes        int64  // that these take
	TablesEvicted          uint64 // let go of to stay within Options.TableCacheBytes
}

// tablesAtOnce is how many tables are looked at under one hold of the lock.
const tablesAtOnce = 256

// Stats gives the present figures. It costs little, and where rows are marked dead
// O(tables + vectors): these are counted while writers go on.
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
		ShadowRewrites: c.shadowRewrites.Load(), Sieves: c.sieves.Load(), SieveBytes: s.mu.sieveBytes,
		Weaves: c.weaves.Load(), WeaveBytes: s.mu.weaveBytes,
		Vectors: t.MarkCount(), VectorBytes: t.MarkBytes(), VectorsTranslated: t.Translated(), VectorsStaged: c.vectorsStaged.Load(),
		TablesRelocated: c.tablesRelocated.Load(), BytesRelocated: c.bytesRelocated.Load(),
		FilesRemoved: c.filesRemoved.Load(), WriteStalls: c.stalls.Load(),
		CacheHits: uint64(cache.Hits), CacheMisses: uint64(cache.Misses), CacheBytes: cache.Bytes,
		OpenTables: readers.Readers, TableCacheBytes: readers.Bytes, TablesEvicted: readers.Evicted,
	}
	s.back.mu.Lock()
	out.BackgroundFailures = uint64(s.back.failures)
	s.back.mu.Unlock()
	if s.log != nil {
		out.WALBytes = uint64(s.log.Bytes())
	}
	if out.Vectors == 0 {
		return out
	}
	for i, tb := range t.Tables() {
		if i%tablesAtOnce == tablesAtOnce-1 {
			s.mu.rest()
		}
		if marked := tb.Marked(); len(marked) > 0 {
			out.MarkedTables++
			for _, m := range marked {
				out.MarkedRows += m.Vector.Dead()
				out.VectorBytes += readBytes(m)
			}
		}
	}
	return out
}

// DrawTree writes the tree of nodes as text, with the forks and snapshots that
// enter at each.
func (s *Store) DrawTree(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.Draw(w)
}
