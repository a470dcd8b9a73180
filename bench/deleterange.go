package main

import "bytes"

// The range that deleteByRange deletes: 90 % of the keys, with rows left on either
// side. Keys are spread evenly.
var (
	rangeLo = []byte("0ccccccccccccccc") // 5 %
	rangeHi = []byte("f333333333333333") // 95 %
)

// deleteByRange deletes 90 % of the rows by one call, and then seeks where they began
// and scans, before anything is flushed and again when both stores are at rest. An
// old state with all rows is alive.
func deleteByRange(p peer, r *result, n deleteSizes) error {
	if err := warm(p); err != nil {
		return err
	}
	if err := p.keepOld(); err != nil {
		return err
	}
	left, after := outsideRange(n.rows)

	c := startClock()
	if err := p.delRange(rangeLo, rangeHi); err != nil {
		return err
	}
	r.cost("delete", "us", c.lap()*1e6)
	if err := measureSeek(p, r, "first-seek-at-once", rangeLo, after); err != nil {
		return err
	}
	if err := measureScans(p, r, "at-once-", left); err != nil {
		return err
	}
	if err := measureRest(p, r); err != nil {
		return err
	}
	if err := measureSeek(p, r, "first-seek", rangeLo, after); err != nil {
		return err
	}
	r.show("marks-or-tombstones", "rows", float64(p.hiding()))
	if err := r.answer(p, "what is left", false, left); err != nil {
		return err
	}
	if err := measureScans(p, r, "", left); err != nil {
		return err
	}
	return r.answer(p, "the old state", true, n.rows)
}

// outsideRange counts the rows outside of the range and gives the first key behind it.
func outsideRange(rows int) (left int, after []byte) {
	var k []byte
	for i := range rows {
		k = key(k, i)
		switch {
		case bytes.Compare(k, rangeLo) < 0:
			left++
		case bytes.Compare(k, rangeHi) >= 0:
			left++
			if after == nil || bytes.Compare(k, after) < 0 {
				after = append(after[:0], k...)
			}
		}
	}
	return left, after
}
