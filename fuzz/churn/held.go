package churn

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// maxHeld is how many iterators are held at a time.
const maxHeld = 6

// held is an iterator that stays open over drops, resets, flushes and merges, and
// the rows it must show: those of the moment at which it was opened.
type held struct {
	it     *engine.Iterator
	want   model.Contents
	of     *fork // nil: of a snapshot
	resets int   // of the fork, when it was opened
	swaps  int   // flushes and merges since
	at     int   // the row it is on; -1: on none
}

// useHeld opens an iterator, or moves those that are open, or closes one.
func (r *run) useHeld() error {
	switch draw := r.rng.IntN(16); {
	case draw == 0 && len(r.held) < maxHeld:
		return r.hold()
	case draw == 1 && len(r.held) > 0:
		return r.letGo(r.rng.IntN(len(r.held)))
	case draw < 6 && len(r.held) > 0:
		h := r.held[r.rng.IntN(len(r.held))]
		return h.step(1 + r.rng.IntN(8))
	}
	return nil
}

func (r *run) hold() error {
	h := &held{at: -1}
	var err error
	if len(r.snapshots) > 0 && r.rng.IntN(5) == 0 {
		s := r.snapshots[r.rng.IntN(len(r.snapshots))]
		h.want = s.contents
		h.it, err = s.handle.NewIter(engine.Range{})
	} else {
		h.of = r.live[r.rng.IntN(len(r.live))]
		h.want, h.resets = h.of.contents, h.of.resets
		h.it, err = h.of.handle.NewIter(engine.Range{})
	}
	if err != nil {
		return err
	}
	r.held = append(r.held, h)
	return nil
}

// step moves forward, and begins anew behind the last row.
func (h *held) step(rows int) error {
	for range rows {
		ok := false
		if h.at < 0 {
			ok = h.it.First()
			h.at = 0
		} else {
			ok = h.it.Next()
			h.at++
		}
		if err := h.row(ok, h.at); err != nil {
			return err
		}
		if h.at >= h.want.Len() {
			h.at = -1
		}
	}
	return nil
}

// row demands that the iterator is on the i-th row, or behind the last.
func (h *held) row(ok bool, i int) error {
	if err := h.it.Error(); err != nil {
		return fmt.Errorf("held iterator: %w", err)
	}
	return compareRow(ok, h.it, i, h.want)
}

// letGo reads a held iterator through, forward and back, and closes it.
func (r *run) letGo(i int) error {
	h := r.held[i]
	r.held = append(r.held[:i], r.held[i+1:]...)
	if h.of != nil && h.of.dropped {
		r.counts.Add("iterators over a dropped fork", 1)
	}
	if h.of != nil && h.of.resets > h.resets {
		r.counts.Add("iterators over a reset fork", 1)
	}
	if h.swaps > 0 {
		r.counts.Add("iterators over a flush or merge", 1)
	}
	ok := h.it.First()
	for at := range h.want.Len() {
		if err := h.row(ok, at); err != nil {
			return err
		}
		ok = h.it.Next()
	}
	if err := h.row(ok, h.want.Len()); err != nil {
		return err
	}
	ok = h.it.Last()
	for at := h.want.Len() - 1; at >= 0; at-- {
		if err := h.row(ok, at); err != nil {
			return err
		}
		ok = h.it.Prev()
	}
	if ok {
		return fmt.Errorf("held iterator: row %q before the first", h.it.Key())
	}
	return h.it.Close()
}

func (r *run) letAllGo() error {
	for len(r.held) > 0 {
		if err := r.letGo(0); err != nil {
			return err
		}
	}
	return nil
}

// afterClose demands that the iterators of a closed store say so.
func (r *run) afterClose() error {
	for _, h := range r.held {
		if h.it.First() || h.it.Valid() {
			return errors.New("an iterator of a closed store moved")
		}
		if err := h.it.Close(); !errors.Is(err, engine.ErrClosed) {
			return fmt.Errorf("an iterator of a closed store has the error %v", err)
		}
	}
	r.held = nil
	return nil
}
