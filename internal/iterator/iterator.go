// Package iterator is the one shape that every ordered walk in the store has:
// block, table, run, memtable, merge and fork alike.
package iterator

// Kind tells what a row says about its key.
type Kind uint8

// The kinds of row. The values are part of the table and log formats.
const (
	Set       Kind = 1 // the key has the row's value
	Tombstone Kind = 2 // the key is deleted; the value is empty

	// RangeDelete stands in a batch: all keys from the operation's key up to its
	// value, which is not included, are deleted. It is never a row's kind.
	RangeDelete Kind = 3
)

// Row is one row. The value of a Tombstone is empty.
type Row struct {
	Key   []byte
	Kind  Kind
	Value []byte
}

// Iterator walks rows in bytewise key order, each key at most once. A new one
// is not positioned. The positioning calls return Valid(). Key and Value alias
// memory that is good until the next positioning call or Close. Errors are
// sticky: after one, Valid is false and every call keeps returning false until
// Close. Next or Prev on an invalid iterator stays invalid. An Iterator is used
// by one goroutine at a time.
//
// A row that comes up through several iterators would cost four calls in each of
// them. So whoever reads many rows says once, by Into, where they are to be left,
// and pays for one call: all iterators below share the place, and those that only
// choose among rows pass the calls on.
type Iterator interface {
	First() bool
	Last() bool
	// SeekGE moves to the first row whose key is >= key.
	SeekGE(key []byte) bool
	// SeekLT moves to the last row whose key is < key.
	SeekLT(key []byte) bool
	Next() bool
	Prev() bool
	Valid() bool
	// Into makes every later move that ends on a row leave it in *row, where it is
	// good until the next one; a move that ends on none may leave anything. Whoever
	// takes an iterator over calls it before the first move. The iterator keeps row.
	Into(row *Row)
	Key() []byte
	Kind() Kind
	Value() []byte
	Error() error
	// Close frees what the iterator holds and returns the sticky error, if any.
	// It may be called more than once.
	Close() error
}
