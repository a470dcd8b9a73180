package engine

import (
	"errors"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/wal"
)

// A range delete writes a tombstone over each row of the fork's own memtable in its
// range, under the store's lock. Where there are many rows, the memtable is frozen
// first: then they are in an older layer, which the range hides as a whole. That is
// a matter of cost alone, so what others write between the look and the batch does
// no harm.

// rangeDeleteRows is how many rows of a memtable a range delete may have to write
// tombstones over.
const rangeDeleteRows = 1024

// freezeForRanges freezes the memtables that hold much of what the parts' range
// deletes delete.
func (s *Store) freezeForRanges(parts []batchPart) error {
	for i := range parts {
		p := &parts[i]
		if p.ranges == 0 || !s.deletesMany(p) {
			continue
		}
		if err := s.freezeFork(p.fork.f); err != nil && !errors.Is(err, errNothing) {
			return err
		}
	}
	return nil
}

// deletesMany looks without the store's lock: a memtable may be read while others
// write to it, and after it was frozen.
func (s *Store) deletesMany(p *batchPart) bool {
	s.mu.Lock()
	m, _ := p.fork.f.Mem.(*memtable.Memtable)
	s.mu.Unlock()
	if m == nil || m.Len() <= rangeDeleteRows {
		return false
	}
	ops := wal.NewOpReader(p.ops)
	for {
		kind, key, value, ok := ops.Next()
		if !ok {
			return false
		}
		if kind == iterator.RangeDelete && m.RowsIn(key, rangeEnd(value), rangeDeleteRows+1) > rangeDeleteRows {
			return true
		}
	}
}

// freezeFork logs a freeze record for the fork, if it has unfrozen rows; if not,
// errNothing. The record is written with the next one.
func (s *Store) freezeFork(f *forktree.Fork) error {
	size := payloadBytes(wal.Freeze{})
	if err := s.log.Reserve(size, false); err != nil {
		return s.writeError("freeze", err)
	}
	s.opts.Schedule.Reach(schedule.RecordReserved)
	crowded := false
	_, err := s.place(size, func(lsn ids.LSN) (wal.Kind, []byte, error) {
		if f.Dropped() || f.Mem == nil {
			return 0, nil, errNothing
		}
		fz := s.freezeLocked(f, lsn)
		crowded = memoryStretch(f.Top) > compaction.DefaultPolicy().MaxMemory
		return wal.KindFreeze, fz.AppendTo(nil), nil
	})
	if err != nil {
		s.log.Unreserve(size)
		return err
	}
	s.opts.Schedule.Reach(schedule.FreezePlaced)
	if crowded {
		s.wake()
	}
	return nil
}

// applyOps puts a batch's operations into a memtable, in their order. Commit and
// replay both do it here, so that a memtable is the same after a crash.
func applyOps(m *memtable.Memtable, lsn ids.LSN, ops []byte) error {
	r := wal.NewOpReader(ops)
	for {
		kind, key, value, ok := r.Next()
		if !ok {
			return r.Err()
		}
		if kind == iterator.RangeDelete {
			m.AddRange(lsn, key, rangeEnd(value))
		} else {
			m.Add(lsn, key, kind, value)
		}
	}
}

// rangeEnd is the end of a range delete from the operation's value, where an empty
// one is open.
func rangeEnd(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	return value
}
