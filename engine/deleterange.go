package engine

import (
	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/iterator"
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
		if p.ranges == 0 {
			continue
		}
		x := s.activeFork(p.fork)
		if x == nil || !s.deletesMany(p, x) {
			continue
		}
		if err := s.freeze(x, false); err != nil {
			return err
		}
	}
	return nil
}

// activeFork gives the tree's Fork if the fork is active.
func (s *Store) activeFork(f *Fork) *forktree.Fork {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.tree.ActiveFork(f.id)
}

// deletesMany looks without the store's lock: a memtable may be read while others
// write to it, and after it was frozen.
func (s *Store) deletesMany(p *batchPart, f *forktree.Fork) bool {
	s.mu.Lock()
	m, _ := f.Mem.(*memtable.Memtable)
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

// rangeEnd is the end of a range delete from the operation's value, where an empty
// one is open.
func rangeEnd(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	return value
}
