package sstable

import (
	"github.com/tinedb/tine/internal/iterator"
)

// Iter walks the rows of one table, tombstones included. It is an
// iterator.Iterator; moving it allocates nothing while blocks are cached. One
// goroutine may use it at a time. It holds no descriptor and no lock, so one
// that is never closed costs only its memory.
type Iter struct {
	r     *Reader
	keep  bool // offer the blocks that it reads to the cache
	valid bool
	done  bool // closed
	err   error

	block  *block // where the iterator stands or stood; nil at first
	number int    // of block
	row    int    // in block
	key    []byte
	prefix int // bytes of key that are block's prefix
}

var _ iterator.Iterator = (*Iter)(nil)

// NewIter makes an iterator, not yet positioned.
func (r *Reader) NewIter() *Iter { return &Iter{r: r, keep: true} }

// NewUncachedIter makes an iterator that uses cached blocks but does not put
// those that it reads into the cache: for a pass over a whole table that nobody
// will repeat soon.
func (r *Reader) NewUncachedIter() *Iter { return &Iter{r: r} }

// First moves to the first row.
func (it *Iter) First() bool {
	return it.enter(0) && it.stand(0)
}

// Last moves to the last row.
func (it *Iter) Last() bool {
	return it.enter(len(it.r.index.entries)-1) && it.stand(it.block.rows-1)
}

// SeekGE moves to the first row whose key is ≥ key.
func (it *Iter) SeekGE(key []byte) bool {
	number := it.r.index.seekGE(key)
	if !it.enter(number) {
		return false
	}
	if row, _ := it.block.seekGE(key); row < it.block.rows {
		return it.stand(row)
	}
	// key lies between the block's last row and its separator.
	return it.enter(number+1) && it.stand(0)
}

// SeekLT moves to the last row whose key is < key.
func (it *Iter) SeekLT(key []byte) bool {
	number := it.r.index.seekGE(key)
	if number == len(it.r.index.entries) {
		return it.Last()
	}
	if !it.enter(number) {
		return false
	}
	if row, _ := it.block.seekGE(key); row > 0 {
		return it.stand(row - 1)
	}
	return it.enter(number-1) && it.stand(it.block.rows-1)
}

// SeekOrdinal moves to the row of that number. It reads no block but that row's,
// so runs of dead rows can be stepped over unread.
func (it *Iter) SeekOrdinal(ordinal uint64) bool {
	if ordinal >= it.r.meta.Rows {
		it.valid = false
		return false
	}
	number := it.r.index.seekOrdinal(ordinal)
	return it.enter(number) && it.stand(int(ordinal-it.r.index.entries[number].ordinal))
}

// Next moves to the next row.
func (it *Iter) Next() bool {
	if !it.valid {
		return false
	}
	if it.row+1 < it.block.rows {
		it.row++
		it.key = it.block.appendSuffix(it.key[:it.prefix], it.row)
		return true
	}
	return it.enter(it.number+1) && it.stand(0)
}

// Prev moves to the row before.
func (it *Iter) Prev() bool {
	if !it.valid {
		return false
	}
	if it.row > 0 {
		it.row--
		it.key = it.block.appendSuffix(it.key[:it.prefix], it.row)
		return true
	}
	return it.enter(it.number-1) && it.stand(it.block.rows-1)
}

// enter makes block number the current one. It leaves the iterator invalid, and
// says false if there is no such block or it cannot be read.
func (it *Iter) enter(number int) bool {
	it.valid = false
	if it.err != nil || it.done || number < 0 || number >= len(it.r.index.entries) {
		return false
	}
	if it.block != nil && it.number == number {
		return true
	}
	b, err := it.r.load(number, it.keep)
	if err != nil {
		it.err = err
		return false
	}
	it.block, it.number = b, number
	return true
}

// stand makes row of the current block the current row.
func (it *Iter) stand(row int) bool {
	it.key = append(it.key[:0], it.block.prefix()...)
	it.prefix = len(it.key)
	it.key = it.block.appendSuffix(it.key, row)
	it.row, it.valid = row, true
	return true
}

// Valid tells whether the iterator stands on a row.
func (it *Iter) Valid() bool { return it.valid }

// Key gives the current row's key. It is good until the next positioning call.
func (it *Iter) Key() []byte { return it.key }

// Kind gives the current row's kind.
func (it *Iter) Kind() iterator.Kind { return it.block.kind(it.row) }

// Value gives the current row's value, which must not be changed.
func (it *Iter) Value() []byte { return it.block.value(it.row) }

// Ordinal gives the number of the current row in its table, from 0. It costs
// nothing: the index knows the ordinal of each block's first row.
func (it *Iter) Ordinal() uint64 {
	return it.r.index.entries[it.number].ordinal + uint64(it.row)
}

// Error gives the sticky error.
func (it *Iter) Error() error { return it.err }

// Close lets go of the iterator's memory and gives the sticky error.
func (it *Iter) Close() error {
	it.done, it.valid = true, false
	it.block, it.key = nil, nil
	return it.err
}
