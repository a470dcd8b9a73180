package iterator

import (
	"bytes"
	"sort"
)

// Slice iterates over rows that lie sorted in memory. It never fails. The rows
// belong to the caller, who must not change them while a Slice is in use; any
// number of Slices may share them.
type Slice struct {
	rows []Row
	at   int  // valid iff 0 <= at < len(rows)
	into *Row // nil if nobody asked for it
}

// NewSlice iterates over rows, which must be in strictly rising key order. It
// keeps the slice and copies nothing.
func NewSlice(rows []Row) *Slice { return &Slice{rows: rows, at: -1} }

// First moves to the first row.
func (s *Slice) First() bool { return s.move(0) }

// Last moves to the last row.
func (s *Slice) Last() bool { return s.move(len(s.rows) - 1) }

// SeekGE moves to the first row at or after key, in O(log rows).
func (s *Slice) SeekGE(key []byte) bool { return s.move(s.firstGE(key)) }

// SeekLT moves to the last row before key, in O(log rows).
func (s *Slice) SeekLT(key []byte) bool { return s.move(s.firstGE(key) - 1) }

// Next moves one row on.
func (s *Slice) Next() bool { return s.Valid() && s.move(s.at+1) }

// Prev moves one row back.
func (s *Slice) Prev() bool { return s.Valid() && s.move(s.at-1) }

// Valid tells whether the iterator stands on a row.
func (s *Slice) Valid() bool { return s.at >= 0 && s.at < len(s.rows) }

// Into makes moves leave the row in *row.
func (s *Slice) Into(row *Row) { s.into = row }

// Key is the key of the row. It aliases the caller's rows.
func (s *Slice) Key() []byte { return s.rows[s.at].Key }

// Kind is the kind of the row.
func (s *Slice) Kind() Kind { return s.rows[s.at].Kind }

// Value is the value of the row. It aliases the caller's rows.
func (s *Slice) Value() []byte { return s.rows[s.at].Value }

// Error is always nil.
func (s *Slice) Error() error { return nil }

// Close forgets the rows.
func (s *Slice) Close() error {
	s.rows = nil
	return nil
}

func (s *Slice) move(at int) bool {
	s.at = at
	if !s.Valid() {
		return false
	}
	if s.into != nil {
		*s.into = s.rows[at]
	}
	return true
}

func (s *Slice) firstGE(key []byte) int {
	return sort.Search(len(s.rows), func(i int) bool { return bytes.Compare(s.rows[i].Key, key) >= 0 })
}
