package churn

import (
	"fmt"

	"github.com/tinedb/tine/fuzz/model"
)

// What one fork may leave on disk and in memory when all others are gone. Runs
// above the base are smaller than it by a ratio, and each table has an index, a
// filter and a footer; both are counted generously.
const (
	spaceFactor   = 2
	rowOverhead   = 64
	tableOverhead = 1 << 10
	maxPathNodes  = 33
	heapSlack     = 2 << 20
	heapOfTimers  = 4 << 20 // they hold a store with background work for some seconds after its Close
	heapPerTable  = 1 << 10 // of the most tables that there were: maps do not shrink
)

// end drops everything but one fork and demands that what the others held is
// gone: tables, log, nodes, memory, and at last descriptors.
func (r *run) end(heapBefore uint64) error {
	if err := r.exact(); err != nil {
		return err
	}
	if err := r.letAllGo(); err != nil {
		return err
	}
	for _, s := range r.snapshots {
		if err := s.handle.Drop(r.sync()...); err != nil {
			return err
		}
	}
	r.snapshots = nil
	last := r.live[r.rng.IntN(len(r.live))]
	for len(r.live) > 1 {
		victim := r.live[r.rng.IntN(len(r.live))]
		if victim == last {
			continue
		}
		if err := r.drop(victim); err != nil {
			return err
		}
	}
	last.parent = nil
	if err := r.store.Flush(); err != nil {
		return err
	}
	if _, err := r.rest(); err != nil {
		return err
	}
	if err := r.exact(); err != nil {
		return err
	}
	if err := r.compareSpace(last.contents); err != nil {
		return err
	}
	disk, err := r.footprint()
	if err != nil {
		return err
	}
	inMemory := uint64(0)
	if r.disk != nil { // it keeps what is durable, and what is not
		if err := r.disk.SyncDir(r.dir); err != nil {
			return err
		}
		inMemory = 2 * uint64(disk.tableBytes+disk.segmentBytes+disk.manifestBytes)
	}
	if !r.options.Manual {
		inMemory += heapOfTimers
	}
	if heap := heapBytes(); heap > heapBefore+inMemory+heapSlack+heapPerTable*uint64(r.mostTables) {
		return fmt.Errorf("%d bytes of memory are in use, before the first cycle it were %d", heap, heapBefore)
	}
	if err := r.close(); err != nil {
		return err
	}
	r.store = nil
	r.counts.Add("runs that ended with one fork", 1)
	return nil
}

func (r *run) compareSpace(contents model.Contents) error {
	var rowBytes, tables int64
	for key, value := range contents.All() {
		rowBytes += int64(len(key)+len(value)) + rowOverhead
	}
	tables = 1 + rowBytes/min(r.options.TableBytes, rowBytes+1)
	limit := spaceFactor * (rowBytes + tables*tableOverhead)
	disk, err := r.footprint()
	if err != nil {
		return err
	}
	st := r.store.Stats()
	if disk.tableBytes > limit/2 {
		r.counts.Add("runs that end with more than half of the bytes that are allowed", 1)
	}
	if disk.tableBytes > limit {
		return fmt.Errorf("one fork of %d bytes in rows is left, and %d bytes in %d table files; at most %d are allowed",
			rowBytes, disk.tableBytes, disk.tables, limit)
	}
	if limit := 4 * r.options.SegmentBytes; disk.segmentBytes > limit {
		return fmt.Errorf("nothing is in memory, and the log has %d bytes in %d segments; at most %d are allowed", disk.segmentBytes, disk.segments, limit)
	}
	if st.Nodes > maxPathNodes || st.MemoryNodes > 0 {
		return fmt.Errorf("one fork is left, and %d nodes, %d in memory", st.Nodes, st.MemoryNodes)
	}
	return nil
}
