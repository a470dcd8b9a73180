package sstable

import (
	"errors"

	"github.com/tinedb/tine/internal/iterator"
)

// ErrBudget says that a block had to be read and the budget did not allow it.
// Nothing is known then.
var ErrBudget = errors.New("the budget for reading blocks is used up")

// Finder finds the numbers of rows for one pass over many keys: it remembers the
// last block, so that keys in order read each block once, and it leaves the
// cache as it is. One goroutine may use it at a time.
type Finder struct {
	r      *Reader
	block  *block // the last one, nil at first
	number int    // of block
}

// NewFinder makes a finder for the table.
func (r *Reader) NewFinder() *Finder { return &Finder{r: r} }

// Find gives number and kind of key's row, if the table has one. Bounds and
// filter are asked first, for nothing. A block that is neither the last one nor
// cached is read only if budget, in bytes, is above zero; what the block takes on
// disk is taken off, so budget may fall below zero. Otherwise the error is
// ErrBudget.
func (f *Finder) Find(key []byte, budget *int64) (ordinal uint64, kind iterator.Kind, found bool, err error) {
	if !f.r.MayContain(key) {
		return 0, 0, false, nil
	}
	number := f.r.index.seekGE(key)
	if f.block == nil || f.number != number {
		if err := f.enter(number, budget); err != nil {
			return 0, 0, false, err
		}
	}
	row, equal := f.block.seekGE(key)
	if !equal {
		return 0, 0, false, nil
	}
	return f.r.index.entries[number].ordinal + uint64(row), f.block.kind(row), true, nil
}

// enter makes block number the last one.
func (f *Finder) enter(number int, budget *int64) error {
	// Not as a reader asks: this is no use of the block that shall keep it.
	if e := f.r.blocks.slots[number].Load(); e != nil {
		f.block, f.number = &e.block, number
		return nil
	}
	if *budget <= 0 {
		return ErrBudget
	}
	*budget -= int64(f.r.index.entries[number].storedBytes)
	b, err := f.r.readBlock(number, passing)
	if err != nil {
		return err
	}
	f.block, f.number = &b, number
	return nil
}
