package main

// peer is a store as the suites that compare see it: one keyspace in byte order, of
// which one old state can be kept. There are this project's store (tine.go), Pebble
// (pebble.go) and, if asked for, others (badger.go, bbolt.go). A peer is used by one
// goroutine, but for the clients it gives. Loops over rows live behind the interface,
// so that a call through it is never part of the cost of a row.
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

	// compact merges all tables into as few layers as the store can, and waits for it.
	compact() error

	// client gives a goroutine its own way in. walker gives one that keeps its iterator
	// open, and so sees the state of its first use.
	client() client
	walker() (walker, error)

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

// walker reads rows in order.
type walker interface {
	// walk goes to the first row at or after key and looks at so many rows from there.
	walk(key []byte, rows int, t *tally) error
	close() error
}

// client is one goroutine's way into a peer; many work at once. Its walk opens an
// iterator and closes it.
type client interface {
	walker
	// get appends the value of key to dst.
	get(dst, key []byte) (value []byte, found bool, err error)
	// put writes one row, durably or not.
	put(key, value []byte, sync bool) error
}
