package main

// peer is a store as the suites that compare see it: one keyspace in byte order, of
// which one old state can be kept. There are two: this project's store (tine.go) and
// Pebble (pebble.go). A peer is used by one goroutine. Loops over rows live behind
// the interface, so that a call through it is never part of the cost of a row.
type peer interface {
	// set and del collect one batch; commit applies it, atomically and unsynced.
	set(key, value []byte)
	del(key []byte)
	commit() error
	// delRange deletes all keys in [lo, hi), unsynced.
	delRange(lo, hi []byte) error

	// keepOld keeps the present state readable until close, whatever is written
	// later: by a fork here, by a snapshot there.
	keepOld() error

	// flush writes what is in memory to tables and returns when that is done.
	flush() error
	// settle waits until compactions are at rest, and gives the time from the call
	// to the end of the last piece of work, without the time it took to be sure.
	settle() (seconds float64, err error)

	// get appends the value of key to dst.
	get(dst, key []byte) (value []byte, found bool, err error)
	// seek opens an iterator, goes to the first row at or after key (nil: the first
	// of all), copies the row's key to dst and closes the iterator.
	seek(dst, key []byte) ([]byte, error)
	// scan walks all rows in key order, or against it, and looks at each key and
	// value.
	scan(reverse bool) (tally, error)
	// digest hashes all rows in order, of the present state or of the one kept.
	digest(old bool) (digest, error)

	// wrote gives the bytes that flushes and compactions have written to tables, as
	// the store counts them itself since it was opened.
	wrote() (flushed, compacted uint64)
	// hiding counts what hides rows that are still in tables: marks here (a row that
	// the old state alone sees has one), tombstones there, by its own estimate.
	hiding() uint64
	close() error
}
