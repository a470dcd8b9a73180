package engine

import (
	"sync"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/wal"
)

// rows is a memtable, or what fills one.
type rows interface {
	Add(lsn ids.LSN, key []byte, kind iterator.Kind, value []byte)
	AddRows(lsn ids.LSN, rows []iterator.Row)
	AddRange(lsn ids.LSN, lo, hi []byte)
}

// rowGroup is rows on their way from a batch into a memtable.
type rowGroup [memtable.GroupRows]iterator.Row

// rowGroups are groups between two uses; they are empty.
var rowGroups = sync.Pool{New: func() any { return new(rowGroup) }}

// applyOps puts a batch's operations into a memtable, in their order. Commit and
// replay both do it here, so that a memtable holds the same after a crash.
func applyOps(m rows, lsn ids.LSN, ops []byte) error {
	r := wal.NewOpReader(ops)
	kind, key, value, ok := r.Next()
	if ok && !r.More() && kind != iterator.RangeDelete { // alone, as most are
		m.Add(lsn, key, kind, value)
		return nil
	}
	group := rowGroups.Get().(*rowGroup)
	n := 0
	for ; ok; kind, key, value, ok = r.Next() {
		if kind != iterator.RangeDelete {
			group[n] = iterator.Row{Key: key, Kind: kind, Value: value}
			n++
		}
		if kind == iterator.RangeDelete || n == len(group) || !r.More() {
			m.AddRows(lsn, group[:n])
			clear(group[:n])
			n = 0
		}
		if kind == iterator.RangeDelete {
			m.AddRange(lsn, key, rangeEnd(value))
		}
	}
	clear(group[:n]) // bad bytes ended it early
	rowGroups.Put(group)
	return r.Err()
}
