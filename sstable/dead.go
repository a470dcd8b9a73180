package sstable

import (
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Dead says which rows of one table are dead for a reader: the union of vectors
// in a flat form that is quick to step through. It is immutable and may be used
// concurrently. A nil *Dead stands for no dead rows where a method says so.
//
// Few stretches of dead rows are kept as runs; where these would take more room
// than one bit a row, it is one bit a row.
//
// What many readers have in common is kept once: a Dead may lie over another one,
// and holds then only the rows that are not dead below. Each of such levels is much
// smaller than the one below it, so that there are few.
type Dead struct {
	rows  uint64
	count uint64    // of all levels
	runs  []deadRun // ascending, with live rows between them; nil if there are bits
	bits  []uint64  // a set bit is a dead row; those behind the last row are not set
	full  []uint64  // a set bit is a word of bits that is all ones
	below *Dead     // has none of these rows; nil at the bottom
}

// deadRun is the rows from ≤ row < to.
type deadRun struct{ from, to uint32 }

const (
	deadRunBytes    = 8
	deadHeaderBytes = 96
)

// NewDead makes the union of vectors of one table: one at least. It costs time
// linear in their stored form and in the result.
func NewDead(vs ...*Vector) *Dead { return NewDeadOver(nil, vs...) }

func (d *Dead) setWhole() { d.count, d.runs = d.rows, []deadRun{{0, uint32(d.rows)}} }

// setRuns takes the rows of b as runs; it gives up where bits are smaller.
func (d *Dead) setRuns(b *roaring.Bitmap) bool {
	most := max(d.rows/(8*deadRunBytes), 4)
	for from, to := range b.Ranges() {
		if uint64(len(d.runs)) == most {
			return false
		}
		d.runs = append(d.runs, deadRun{from, uint32(to)})
	}
	d.runs = slices.Clip(d.runs)
	return true
}

func (d *Dead) setBits(b *roaring.Bitmap) {
	d.bits = make([]uint64, (d.rows+63)/64)
	b.WriteDenseTo(d.bits)
	d.full = make([]uint64, (len(d.bits)+63)/64)
	for i, word := range d.bits {
		if word == ^uint64(0) {
			d.full[i>>6] |= 1 << (i & 63)
		}
	}
}

// Rows is the number of rows of the table, dead or alive.
func (d *Dead) Rows() uint64 { return d.rows }

// Count is the number of dead rows, 0 for nil.
func (d *Dead) Count() uint64 {
	if d == nil {
		return 0
	}
	return d.count
}

// Whole tells whether every row is dead; never for nil.
func (d *Dead) Whole() bool { return d != nil && d.count == d.rows }

// Bytes is the memory held, 0 for nil. What lies below is not counted: it is shared.
func (d *Dead) Bytes() int64 {
	if d == nil {
		return 0
	}
	return deadHeaderBytes + deadRunBytes*int64(cap(d.runs)) + 8*int64(len(d.bits)+len(d.full))
}

// Contains tells whether a row is dead; for nil none is.
func (d *Dead) Contains(ordinal uint64) bool {
	for ; d != nil; d = d.below {
		if d.contains(ordinal) {
			return true
		}
	}
	return false
}

// contains, nextLive, prevLive, nextDeadHere and liveFromHere answer for one level.
func (d *Dead) contains(ordinal uint64) bool {
	if ordinal >= d.rows {
		return false
	}
	if d.bits != nil {
		return d.bits[ordinal>>6]>>(ordinal&63)&1 != 0
	}
	i := d.runEndingAfter(ordinal)
	return i < len(d.runs) && uint64(d.runs[i].from) <= ordinal
}

// runEndingAfter gives the first run that does not end before or at ordinal.
func (d *Dead) runEndingAfter(ordinal uint64) int {
	lo, hi := 0, len(d.runs)
	for lo < hi {
		middle := int(uint(lo+hi) >> 1)
		if uint64(d.runs[middle].to) <= ordinal {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo
}

// NextLive gives the first live row at or behind ordinal; Rows if there is none.
func (d *Dead) NextLive(ordinal uint64) uint64 {
	live := d.nextLive(ordinal)
	for d.below != nil { // until a row is alive on all levels
		before := live
		for level := d.below; level != nil; level = level.below {
			live = level.nextLive(live)
		}
		if live == before {
			break
		}
		if live = d.nextLive(live); live >= d.rows {
			break
		}
	}
	return live
}

func (d *Dead) nextLive(ordinal uint64) uint64 {
	if ordinal >= d.rows {
		return d.rows
	}
	if d.bits == nil {
		if i := d.runEndingAfter(ordinal); i < len(d.runs) && uint64(d.runs[i].from) <= ordinal {
			return uint64(d.runs[i].to)
		}
		return ordinal
	}
	// Bits behind the last row are zeros, so that in the last word a search ends
	// at Rows by itself.
	word := ordinal >> 6
	if live := ^d.bits[word] >> (ordinal & 63); live != 0 {
		return ordinal + uint64(bits.TrailingZeros64(live))
	}
	// The next word that is not all ones, then its first zero.
	if word = nextZero(d.full, word+1); word >= uint64(len(d.bits)) {
		return d.rows
	}
	return word<<6 + uint64(bits.TrailingZeros64(^d.bits[word]))
}

// nextZero gives the first bit at or behind i that is not set; the bits behind
// the slice are not.
func nextZero(words []uint64, i uint64) uint64 {
	word := i >> 6
	if word >= uint64(len(words)) {
		return i
	}
	if zeros := ^words[word] >> (i & 63); zeros != 0 {
		return i + uint64(bits.TrailingZeros64(zeros))
	}
	for word++; word < uint64(len(words)); word++ {
		if zeros := ^words[word]; zeros != 0 {
			return word<<6 + uint64(bits.TrailingZeros64(zeros))
		}
	}
	return word << 6
}

// PrevLive gives the last live row at or before ordinal, and whether there is
// one. An ordinal behind the last row stands for the last row.
func (d *Dead) PrevLive(ordinal uint64) (uint64, bool) {
	live, ok := d.prevLive(min(ordinal, d.rows-1))
	for ok && d.below != nil {
		before := live
		for level := d.below; ok && level != nil; level = level.below {
			live, ok = level.prevLive(live)
		}
		if !ok || live == before {
			break
		}
		live, ok = d.prevLive(live)
	}
	return live, ok
}

func (d *Dead) prevLive(ordinal uint64) (uint64, bool) {
	if d.bits == nil {
		if i := d.runEndingAfter(ordinal); i < len(d.runs) && uint64(d.runs[i].from) <= ordinal {
			from := uint64(d.runs[i].from)
			return from - min(from, 1), from > 0
		}
		return ordinal, true
	}
	word := ordinal >> 6
	if live := ^d.bits[word] << (63 - ordinal&63); live != 0 {
		return ordinal - uint64(bits.LeadingZeros64(live)), true
	}
	if word == 0 {
		return 0, false
	}
	word, ok := previousZero(d.full, word-1)
	if !ok {
		return 0, false
	}
	return word<<6 + 63 - uint64(bits.LeadingZeros64(^d.bits[word])), true
}

// previousZero gives the last bit at or before i that is not set, and whether
// there is one. i lies inside the slice.
func previousZero(words []uint64, i uint64) (uint64, bool) {
	word := i >> 6
	if zeros := ^words[word] << (63 - i&63); zeros != 0 {
		return i - uint64(bits.LeadingZeros64(zeros)), true
	}
	for word > 0 {
		word--
		if zeros := ^words[word]; zeros != 0 {
			return word<<6 + 63 - uint64(bits.LeadingZeros64(zeros)), true
		}
	}
	return 0, false
}

// nextDead gives the first dead row at or behind ordinal and before limit; limit
// if there is none. limit is at most Rows.
func (d *Dead) nextDead(ordinal, limit uint64) uint64 {
	for ; d != nil; d = d.below {
		limit = d.nextDeadHere(ordinal, limit)
	}
	return limit
}

func (d *Dead) nextDeadHere(ordinal, limit uint64) uint64 {
	if ordinal >= limit {
		return limit
	}
	if d.bits == nil {
		if i := d.runEndingAfter(ordinal); i < len(d.runs) {
			return min(max(uint64(d.runs[i].from), ordinal), limit)
		}
		return limit
	}
	word := ordinal >> 6
	if dead := d.bits[word] >> (ordinal & 63); dead != 0 {
		return min(ordinal+uint64(bits.TrailingZeros64(dead)), limit)
	}
	for word++; word<<6 < limit; word++ {
		if dead := d.bits[word]; dead != 0 {
			return min(word<<6+uint64(bits.TrailingZeros64(dead)), limit)
		}
	}
	return limit
}

// liveFrom gives the first row, limit or later, from which on all rows up to
// ordinal are alive, which is itself one of these.
func (d *Dead) liveFrom(ordinal, limit uint64) uint64 {
	for ; d != nil; d = d.below {
		limit = d.liveFromHere(ordinal, limit)
	}
	return limit
}

func (d *Dead) liveFromHere(ordinal, limit uint64) uint64 {
	if d.bits == nil {
		if i := d.runEndingAfter(ordinal); i > 0 {
			return max(uint64(d.runs[i-1].to), limit)
		}
		return limit
	}
	word := ordinal >> 6
	if dead := d.bits[word] << (63 - ordinal&63); dead != 0 {
		return max(ordinal-uint64(bits.LeadingZeros64(dead))+1, limit)
	}
	for word > limit>>6 {
		word--
		if dead := d.bits[word]; dead != 0 {
			return max(word<<6+64-uint64(bits.LeadingZeros64(dead)), limit)
		}
	}
	return limit
}
