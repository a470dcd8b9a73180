package memtable

import (
	"bytes"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// Who loads much loads it in order: each row belongs behind all that are there, which is
// the end of the last leaf. One comparison tells, and no search is needed. Where several
// such rows come at once, they also share the memtable's lock, and do not wait for the
// filter's memory one after the other.

// GroupRows is how many rows enter under one hold of the lock at most, so that readers
// wait for a microsecond only.
const GroupRows = 32

// AddRows is Add of one row after the other, all with that lsn; of rows with the same key
// the last counts. It costs least where keys rise, above all that are there. Readers may
// see some of the rows before others, as with Add.
func (m *Memtable) AddRows(lsn ids.LSN, rows []iterator.Row) {
	for len(rows) > 0 {
		n := m.rising(rows)
		if n == 0 {
			m.Add(lsn, rows[0].Key, rows[0].Kind, rows[0].Value)
			n = 1
		} else {
			m.addRising(lsn, rows[:n])
		}
		rows = rows[n:]
	}
}

// rising is how many of the first rows have keys that rise, above all keys that are
// there. It is 0 in the flat form, which is short.
func (m *Memtable) rising(rows []iterator.Row) int {
	if m.tree == nil || !m.tree.isAbove(m.arena.chunks, rows[0].Key) {
		return 0
	}
	n := 1
	for n < min(len(rows), GroupRows) && bytes.Compare(rows[n-1].Key, rows[n].Key) < 0 {
		n++
	}
	return n
}

// addRising puts rows behind all others: at most GroupRows, for which rising holds.
func (m *Memtable) addRising(lsn ids.LSN, rows []iterator.Row) {
	var hashes [GroupRows]uint64
	var refs [GroupRows]ref
	for i := range rows {
		row := &rows[i]
		m.checkAdd(lsn, row.Key, row.Kind, row.Value)
		hashes[i] = hashOf(row.Key)
		refs[i] = m.write(entry{lsn: lsn, prev: noRef, kind: row.Kind, key: row.Key, value: row.Value})
	}
	m.last = lsn
	m.noteAll(hashes[:len(rows)])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.publish()
	for i := range rows {
		m.tree.append(m.published, rows[i].Key, refs[i])
	}
	m.keys += len(rows)
	m.countBytes()
	if invariant.Expensive {
		invariant.Check(!m.tree.isAbove(m.published, rows[len(rows)-1].Key), "memtable: a row that was added last is not the last")
	}
}
