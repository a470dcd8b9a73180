package churn

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// What one fork may leave on disk and in memory when all others are gone: what a new
// store takes, and beside it what is not worth a merge or a copy. A quarter of a table's
// rows may be dead, a twentieth of a run's rows shadowed, a fifth of a file no longer
// needed; that is rare, and all three together are not met. The slack is for tables more
// than a new store has, each with an index, a filter and a footer.
const (
	spaceFactor  = 1.75
	spaceSlack   = 4 << 10
	maxPathNodes = 33
	heapSlack    = 2 << 20
	heapOfTimers = 4 << 20 // they hold a store with background work for some seconds after its Close
	heapPerTable = 1 << 10 // of the most tables that there were: maps do not shrink
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
	need, err := r.needed(contents)
	if err != nil {
		return err
	}
	disk, err := r.footprint()
	if err != nil {
		return err
	}
	st := r.store.Stats()
	limit := int64(spaceFactor*float64(need)) + spaceSlack
	if disk.tableBytes*20 <= need*21 {
		r.counts.Add("runs that end with hardly more than a new store takes", 1)
	}
	if disk.tableBytes > limit {
		return fmt.Errorf("one fork is left, of which a new store makes tables of %d bytes, and there are %d in %d table files; at most %d are allowed",
			need, disk.tableBytes, disk.tables, limit)
	}
	if limit := 4 * r.options.SegmentBytes; disk.segmentBytes > limit {
		return fmt.Errorf("nothing is in memory, and the log has %d bytes in %d segments; at most %d are allowed", disk.segmentBytes, disk.segments, limit)
	}
	if st.Nodes > maxPathNodes || st.MemoryNodes > 0 {
		return fmt.Errorf("one fork is left, and %d nodes, %d in memory", st.Nodes, st.MemoryNodes)
	}
	return nil
}

// needed is how many bytes the files of tables take in a new store that holds some rows.
func (r *run) needed(contents model.Contents) (n int64, err error) {
	options := r.config.Options
	options.FS, options.Manual = crashfs.New(), true
	s, err := engine.Open("new", &options)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f, err := s.Fork(engine.MainFork)
	if err != nil {
		return 0, err
	}
	b := s.NewBatch()
	for key, value := range contents.All() {
		b.Set(f, []byte(key), []byte(value))
	}
	if err := errors.Join(b.Commit(engine.NoSync), s.Flush()); err != nil {
		return 0, err
	}
	usage, err := s.DiskUsage()
	return usage.TableBytes, err
}
