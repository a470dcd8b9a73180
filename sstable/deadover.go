package sstable

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/internal/invariant"
)

// levelRatio is how many times larger than a level the one below it is, at least.
// Otherwise the two become one.
const levelRatio = 4

// fewRows is up to how many rows are looked up one by one in what lies below.
const fewRows = 1024

// NewDeadOver makes the union of below, which may be nil, and vectors of the same
// table: one at least. Its memory, and if the vectors are small its time, are of the
// order of the vectors, whatever lies below.
func NewDeadOver(below *Dead, vs ...*Vector) *Dead {
	invariant.Check(len(vs) > 0, "dead rows of no vector")
	d := &Dead{rows: vs[0].Rows()}
	whole := false
	if below != nil {
		invariant.Check(below.rows == d.rows, "vectors for a table of %d rows are laid over those for one of %d", d.rows, below.rows)
		whole = below.Whole()
	}
	for _, v := range vs {
		invariant.Check(v.Rows() == d.rows, "vectors for tables of %d and %d rows are read as one", d.rows, v.Rows())
		whole = whole || v.Whole()
	}
	if whole {
		d.setWhole()
		return d
	}
	rows := vs[0].Bitmap()
	for _, v := range vs[1:] {
		rows.Or(v.Bitmap())
	}
	if below != nil {
		below.takeOut(rows)
		d.count = below.count
	}
	d.count += rows.GetCardinality()
	if d.count == d.rows {
		d.setWhole()
		return d
	}
	for {
		d.set(rows)
		if below == nil || d.Bytes()*levelRatio < below.Bytes() {
			break
		}
		rows.Or(below.bitmap())
		below = below.below
	}
	d.below = below
	return d
}

// set takes rows as those of the level.
func (d *Dead) set(rows *roaring.Bitmap) {
	d.runs, d.bits, d.full = nil, nil, nil
	if !d.setRuns(rows) {
		d.runs = nil
		d.setBits(rows)
	}
}

// takeOut removes from rows what is dead on some level.
func (d *Dead) takeOut(rows *roaring.Bitmap) {
	if rows.GetCardinality() > fewRows {
		for ; d != nil; d = d.below {
			rows.AndNot(d.bitmap())
		}
		return
	}
	for _, row := range rows.ToArray() {
		if d.Contains(uint64(row)) {
			rows.Remove(row)
		}
	}
}

// bitmap gives the rows of the level.
func (d *Dead) bitmap() *roaring.Bitmap {
	if d.bits != nil {
		return roaring.FromDense(d.bits, true)
	}
	b := roaring.New()
	for _, r := range d.runs {
		b.AddRange(uint64(r.from), uint64(r.to))
	}
	return b
}
