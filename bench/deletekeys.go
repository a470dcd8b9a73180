package main

import (
	"bytes"
	"math/rand/v2"
)

// deleteByKey deletes 90 % of the rows one by one in random order, and then seeks the
// first row left and scans, before anything is flushed and again when both stores are
// at rest. An old state with all rows is alive.
func deleteByKey(p peer, r *result, n deleteSizes) error {
	if err := warm(p); err != nil {
		return err
	}
	if err := p.keepOld(); err != nil {
		return err
	}
	order := rand.New(rand.NewPCG(11, 12)).Perm(n.rows)
	gone, left := order[:n.rows/10*9], order[n.rows/10*9:]
	first := firstKey(left)

	c := startClock()
	var k []byte
	err := inBatches(p, len(gone), func(i int) {
		k = key(k, gone[i])
		p.del(k)
	})
	if err != nil {
		return err
	}
	r.cost("delete", "ns/delete", c.lap()*1e9/float64(len(gone)))
	if err := measureSeek(p, r, "first-seek-at-once", nil, first); err != nil {
		return err
	}
	if err := measureScans(p, r, "at-once-", len(left)); err != nil {
		return err
	}
	if err := measureRest(p, r); err != nil {
		return err
	}
	if err := measureSeek(p, r, "first-seek", nil, first); err != nil {
		return err
	}
	r.show("marks-or-tombstones", "rows", float64(p.hiding()))
	if err := r.answer(p, "what is left", false, len(left)); err != nil {
		return err
	}
	if err := measureScans(p, r, "", len(left)); err != nil {
		return err
	}
	return r.answer(p, "the old state", true, n.rows)
}

// firstKey gives the smallest key of some rows.
func firstKey(rows []int) []byte {
	var first, k []byte
	for _, i := range rows {
		if k = key(k, i); first == nil || bytes.Compare(k, first) < 0 {
			first = append(first[:0], k...)
		}
	}
	return first
}
