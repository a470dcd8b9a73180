package sstable

import (
	"encoding/binary"

	"github.com/tinedb/tine/internal/iterator"
)

// Iter walks the rows of one table, tombstones included, and steps over the rows
// that are dead for it. It is an iterator.Iterator; moving it allocates nothing
// while blocks are cached, and a block of dead rows only is not read. One
// goroutine may use it at a time. It holds no descriptor and no lock, so one
// that is never closed costs only its memory.
//
// Invariants: while it is valid, row is alive, and so are the rows from start to
// stop of block, row among them. There may be more on both sides if some rows
// are dead: how far it is to the next dead one is looked up by the move that
// needs it.
type Iter struct {
	r     *Reader
	dead  *Dead // nil: no row
	keep  bool  // offer the blocks that it reads to the cache
	valid bool
	done  bool // closed
	err   error

	block       *block // where the iterator stands or stood; nil at first
	number      int    // of block
	row         int    // in block
	start, stop int    // in block
	key         []byte
	prefix      int // bytes of key that are block's prefix

	into *iterator.Row // where it leaves its rows
	own  iterator.Row
	room [shortKeyBytes]byte // for key, unless it is longer
}

// shortKeyBytes is how long keys may be without an allocation for them.
const shortKeyBytes = 64

var _ iterator.Iterator = (*Iter)(nil)

// NewIter makes an iterator, not yet positioned, for which the rows of dead are
// not there. dead may be nil; else it is of the same table.
func (r *Reader) NewIter(dead *Dead) *Iter { return r.newIter(dead, true) }

// NewUncachedIter makes an iterator that uses cached blocks but does not put
// those that it reads into the cache: for a pass over a whole table that nobody
// will repeat soon.
func (r *Reader) NewUncachedIter(dead *Dead) *Iter { return r.newIter(dead, false) }

func (r *Reader) newIter(dead *Dead, keep bool) *Iter {
	it := &Iter{}
	it.reset(r, dead, keep)
	return it
}

// Reset makes it what r.NewIter(dead) gives. It must be closed, or never have been used.
func (it *Iter) Reset(r *Reader, dead *Dead) { it.reset(r, dead, true) }

func (it *Iter) reset(r *Reader, dead *Dead, keep bool) {
	r.checkDead(dead)
	*it = Iter{r: r, dead: dead, keep: keep}
	it.into, it.key = &it.own, it.room[:0]
}

// First moves to the first row.
func (it *Iter) First() bool { return it.ahead(0, 0) }

// Last moves to the last row.
func (it *Iter) Last() bool { return it.back(len(it.r.index.entries) - 1) }

// SeekGE moves to the first row whose key is ≥ key.
func (it *Iter) SeekGE(key []byte) bool {
	number := it.r.index.seekGE(key)
	if it.wholeBlockDead(number) {
		return it.ahead(number+1, 0)
	}
	if !it.enter(number) {
		return false
	}
	if row, _ := it.block.seekGE(key); row < it.block.rows {
		return it.ahead(number, row)
	}
	// key lies between the block's last row and its separator.
	return it.ahead(number+1, 0)
}

// SeekLT moves to the last row whose key is < key.
func (it *Iter) SeekLT(key []byte) bool {
	number := it.r.index.seekGE(key)
	if number == len(it.r.index.entries) {
		return it.Last()
	}
	if it.wholeBlockDead(number) {
		return it.back(number - 1)
	}
	if !it.enter(number) {
		return false
	}
	if row, _ := it.block.seekGE(key); row > 0 {
		return it.backTo(number, row-1)
	}
	return it.back(number - 1)
}

// SeekOrdinal moves to the row of that number, or if it is dead to the next one
// that is not. It reads no block but that row's.
func (it *Iter) SeekOrdinal(ordinal uint64) bool {
	if ordinal >= it.r.meta.Rows {
		it.valid = false
		return false
	}
	number := it.r.index.seekOrdinal(ordinal)
	return it.ahead(number, int(ordinal-it.r.index.entries[number].ordinal))
}

// Next moves to the next row.
func (it *Iter) Next() bool {
	if !it.valid {
		return false
	}
	if it.row+1 < it.stop {
		it.row++
		it.show()
		return true
	}
	if it.dead != nil {
		return it.nextLive()
	}
	return it.enter(it.number+1) && it.stand(0)
}

// Prev moves to the row before.
func (it *Iter) Prev() bool {
	if !it.valid {
		return false
	}
	if it.row > it.start {
		it.row--
		it.show()
		return true
	}
	if it.dead != nil {
		return it.previousLive()
	}
	return it.back(it.number - 1)
}

// nextLive is Next where the next row is in another block or perhaps dead.
func (it *Iter) nextLive() bool {
	base := it.r.index.entries[it.number].ordinal
	live := it.dead.NextLive(base + uint64(it.row) + 1)
	if live >= base+uint64(it.block.rows) {
		return it.standOn(live)
	}
	it.row = int(live - base)
	it.start, it.stop = it.row, int(it.dead.nextDead(live+1, base+uint64(it.block.rows))-base)
	it.show()
	return true
}

// previousLive is Prev where the row before is in another block or perhaps dead.
func (it *Iter) previousLive() bool {
	base := it.r.index.entries[it.number].ordinal
	if it.row == 0 {
		return it.back(it.number - 1)
	}
	live, ok := it.dead.PrevLive(base + uint64(it.row) - 1)
	if !ok || live < base {
		return it.back(it.number - 1)
	}
	it.row = int(live - base)
	it.start, it.stop = int(it.dead.liveFrom(live, base)-base), it.row+1
	it.show()
	return true
}

// wholeBlockDead tells whether no row of block number is alive. There may be no
// such block.
func (it *Iter) wholeBlockDead(number int) bool {
	if it.dead == nil || number >= len(it.r.index.entries) {
		return false
	}
	first := it.r.index.entries[number].ordinal
	return it.dead.NextLive(first) >= first+it.r.index.rowsOf(number, it.r.meta.Rows)
}

// ahead moves to row of block number, or the first live one behind it.
func (it *Iter) ahead(number, row int) bool {
	if it.dead != nil && number < len(it.r.index.entries) {
		ordinal := it.r.index.entries[number].ordinal + uint64(row)
		if live := it.dead.NextLive(ordinal); live != ordinal {
			return it.standOn(live)
		}
	}
	return it.enter(number) && it.stand(row)
}

// back moves to the last live row of block number, or the last one before it.
func (it *Iter) back(number int) bool {
	if it.dead != nil && number >= 0 {
		return it.backTo(number, int(it.r.index.rowsOf(number, it.r.meta.Rows))-1)
	}
	return it.enter(number) && it.stand(it.block.rows-1)
}

// backTo moves to row of block number, or the last live one before it.
func (it *Iter) backTo(number, row int) bool {
	if it.dead != nil {
		ordinal := it.r.index.entries[number].ordinal + uint64(row)
		live, ok := it.dead.PrevLive(ordinal)
		if !ok {
			it.valid = false
			return false
		}
		if live != ordinal {
			return it.standOn(live)
		}
	}
	return it.enter(number) && it.stand(row)
}

// standOn moves to the row of that number, which is alive if it is there.
func (it *Iter) standOn(ordinal uint64) bool {
	if ordinal >= it.r.meta.Rows {
		it.valid = false
		return false
	}
	number := it.r.index.seekOrdinal(ordinal)
	return it.enter(number) && it.stand(int(ordinal-it.r.index.entries[number].ordinal))
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
	it.row, it.valid = row, true
	it.show()
	if it.dead == nil {
		it.start, it.stop = 0, it.block.rows
	} else {
		it.start, it.stop = row, row+1
	}
	return true
}

// show leaves the current row where it is expected. It is appendSuffix, kind and
// value in one, which looks at each slot once.
func (it *Iter) show() {
	b, row := it.block, it.into
	at := b.slotsAt + it.row*slotBytes
	slot := b.data[at : at+slotBytes]
	word := binary.LittleEndian.Uint32(slot[slotWordAt:])
	tailEnd, valueEnd := b.valuesAt, len(b.data)
	if it.row+1 < b.rows {
		next := b.data[at+slotBytes : at+2*slotBytes]
		tailEnd = b.tailsAt + int(binary.LittleEndian.Uint32(next[slotWordAt:])&maxTailBytes)
		valueEnd = b.valuesAt + int(binary.LittleEndian.Uint32(next[slotValueAt:]))
	}
	key := append(it.key[:it.prefix], slot[:headBytes]...)
	if length := int(word >> tailOffsetBits & (1<<headLengthBits - 1)); length < headBytes {
		key = key[:it.prefix+length]
	} else if tailAt := b.tailsAt + int(word&maxTailBytes); tailAt < tailEnd {
		key = append(key, b.data[tailAt:tailEnd]...)
	}
	it.key = key
	row.Key, row.Kind = key, iterator.Kind(word>>(tailOffsetBits+headLengthBits))
	row.Value = b.data[b.valuesAt+int(binary.LittleEndian.Uint32(slot[slotValueAt:])) : valueEnd : valueEnd]
}

// Into makes moves leave the row in *row.
func (it *Iter) Into(row *iterator.Row) { it.into = row }

// Valid tells whether the iterator stands on a row.
func (it *Iter) Valid() bool { return it.valid }

// Key gives the current row's key. It is good until the next positioning call.
func (it *Iter) Key() []byte { return it.into.Key }

// Kind gives the current row's kind.
func (it *Iter) Kind() iterator.Kind { return it.into.Kind }

// Value gives the current row's value, which must not be changed.
func (it *Iter) Value() []byte { return it.into.Value }

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
	it.block, it.key, it.own = nil, nil, iterator.Row{}
	return it.err
}
