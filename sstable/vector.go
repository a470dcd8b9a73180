package sstable

import (
	"bytes"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/internal/invariant"
)

// Vector is the set of rows of one table that are dead for somebody: a deletion
// vector. It does not know for whom, nor which table it is. It is immutable and
// may be used concurrently.
//
// Invariants: at least one row is dead; all of them are rows of the table; a
// vector of all rows has no bitmap.
//
// What is held is the bitmap as it is stored, because most vectors are small,
// many, and seldom looked at: a single dead row costs 60 bytes. Those who read
// rows make a Dead of it.
type Vector struct {
	rows, dead uint32
	bitmap     []byte // roaring, portable format; nil: every row
}

// vectorHeaderBytes is the memory of a Vector without its bitmap.
const vectorHeaderBytes = 32

// NewVector makes the vector of a table of that many rows in which the rows of
// dead are dead: one at least, each less than rows. It keeps nothing of dead.
func NewVector(rows uint64, dead *roaring.Bitmap) *Vector {
	invariant.Check(rows <= MaxRows, "vector for a table of %d rows", rows)
	count := dead.GetCardinality()
	invariant.Check(count > 0, "vector without dead rows")
	invariant.Check(uint64(dead.Maximum()) < rows, "row %d is dead in a table of %d", dead.Maximum(), rows)
	if count == rows {
		return WholeVector(rows)
	}
	return &Vector{rows: uint32(rows), dead: uint32(count), bitmap: packBitmap(rows, dead)}
}

// WholeVector makes the vector of a table of that many rows which are all dead.
func WholeVector(rows uint64) *Vector {
	invariant.Check(rows > 0 && rows <= MaxRows, "vector for a table of %d rows", rows)
	return &Vector{rows: uint32(rows), dead: uint32(rows)}
}

// packBitmap gives b, which is over rows rows, in its stored form.
func packBitmap(rows uint64, b *roaring.Bitmap) []byte {
	containers := (rows + 1<<16 - 1) >> 16
	if fewRuns(b, maxRunsPerContainer*containers) {
		b = b.Clone()
		b.RunOptimize()
	} else {
		b = roaring.FromDense(b.ToDense(), false)
	}
	packed, err := b.ToBytes()
	invariant.Check(err == nil, "bitmap cannot be written to memory: %v", err)
	return bytes.Clone(packed) // without the room that a buffer leaves behind
}

// maxRunsPerContainer is how many stretches of dead rows there may be, for every
// 65536 rows, for runs to be used where they are smaller. Checking runs when they
// come back from disk takes time quadratic in their number: with 2047 of them,
// the most that can be smaller, 6 ms for 8 KiB.
const maxRunsPerContainer = 256

func fewRuns(b *roaring.Bitmap, most uint64) bool {
	runs := uint64(0)
	for range b.Ranges() {
		if runs++; runs > most {
			return false
		}
	}
	return true
}

// Rows is the number of rows of the table, dead or alive.
func (v *Vector) Rows() uint64 { return uint64(v.rows) }

// Dead is the number of dead rows.
func (v *Vector) Dead() uint64 { return uint64(v.dead) }

// Whole tells whether every row is dead.
func (v *Vector) Whole() bool { return v.dead == v.rows }

// Bytes is the memory that the vector holds.
func (v *Vector) Bytes() int64 { return vectorHeaderBytes + int64(cap(v.bitmap)) }

// Bitmap gives the dead rows as a bitmap of the caller's own. It costs time
// linear in the stored form.
func (v *Vector) Bitmap() *roaring.Bitmap {
	b := roaring.New()
	if v.bitmap == nil {
		b.AddRange(0, uint64(v.rows))
		return b
	}
	// These bytes are our own or were checked when they came from disk.
	_, err := b.ReadFrom(bytes.NewReader(v.bitmap))
	invariant.Check(err == nil, "vector in memory does not decode: %v", err)
	return b
}

// Equal tells whether both say the same of tables of the same size. It compares
// contents where the stored forms differ.
func (v *Vector) Equal(other *Vector) bool {
	if v.rows != other.rows || v.dead != other.dead {
		return false
	}
	return bytes.Equal(v.bitmap, other.bitmap) || v.Bitmap().Equals(other.Bitmap())
}

// UnionVectors gives the rows that a or b has. Both are of the same table. It
// gives a or b itself where that is the answer.
func UnionVectors(a, b *Vector) *Vector {
	invariant.Check(a.rows == b.rows, "vectors for tables of %d and %d rows are united", a.rows, b.rows)
	if a.Whole() {
		return a
	}
	if b.Whole() {
		return b
	}
	both := a.Bitmap()
	both.Or(b.Bitmap())
	switch count := both.GetCardinality(); count {
	case a.Dead():
		return a
	case b.Dead():
		return b
	}
	return NewVector(a.Rows(), both)
}
