package server

import (
	"context"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// Stats gives the engine's figures.
func (s *Server) Stats(context.Context, *tinepb.StatsRequest) (*tinepb.StatsResponse, error) {
	x := s.store.Stats()
	return &tinepb.StatsResponse{
		Forks: int64(x.Forks), Snapshots: int64(x.Snapshots), Nodes: int64(x.Nodes), MemoryNodes: int64(x.MemoryNodes),
		Tables: int64(x.Tables), Files: int64(x.Files), OpenIterators: int64(x.OpenIterators),
		MemtableBytes: x.MemtableBytes, TableBytes: x.TableBytes, WalBytes: x.WALBytes, LastLsn: x.LastLSN,
		ForksMade: x.ForksMade, Flushes: x.Flushes, Merges: x.Merges, SharedMerges: x.SharedMerges, Joins: x.Joins,
		Consolidations: x.Consolidations, Discarded: x.Discarded, BytesFlushed: x.BytesFlushed, BytesMerged: x.BytesMerged,
		TombstonesDropped: x.TombstonesDropped, TombstonesResolved: x.TombstonesResolved,
		Vectors: int64(x.Vectors), VectorBytes: x.VectorBytes, VectorsTranslated: x.VectorsTranslated, VectorsStaged: x.VectorsStaged,
		MarkedTables: int64(x.MarkedTables), MarkedRows: x.MarkedRows, RowsMarked: x.RowsMarked, DeadRewrites: x.DeadRewrites,
		ShadowRewrites: x.ShadowRewrites, Sieves: x.Sieves, SieveBytes: x.SieveBytes, Weaves: x.Weaves, WeaveBytes: x.WeaveBytes,
		TablesRelocated: x.TablesRelocated, BytesRelocated: x.BytesRelocated, FilesRemoved: x.FilesRemoved,
		WriteStalls: x.WriteStalls, BackgroundFailures: x.BackgroundFailures,
		CacheHits: x.CacheHits, CacheMisses: x.CacheMisses, CacheBytes: x.CacheBytes,
		OpenTables: int64(x.OpenTables), TableCacheBytes: x.TableCacheBytes, TablesEvicted: x.TablesEvicted,
	}, nil
}
