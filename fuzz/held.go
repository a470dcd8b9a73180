package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// held is an iterator that stays open while the store changes, and what it must
// show: the fork as it was when it was opened.
type held struct {
	it     *engine.Iterator
	forkID int
	want   model.Contents // within the bounds
	at     int            // the row it is on; -1: on none
	swaps  int            // flushes and compactions since it was opened
	seen   *transcript

	deletes int // ranges with rows that it shows, deleted since
	buried  int // flushes and compactions since the first of them
}

func openHeld(r reader, forkID int, within model.Range, all model.Contents, seen *transcript) (*held, error) {
	it, err := r.NewIter(engineRange(within))
	if err != nil {
		return nil, err
	}
	return &held{it: it, forkID: forkID, want: all.Within(within), at: -1, seen: seen}, nil
}

// walk makes moves drawn from seed.
func (h *held) walk(steps int, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range steps {
		if err := h.move(rng); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) move(rng *rand.Rand) error {
	switch rng.IntN(10) {
	case 0:
		return h.moved("First", h.it.First(), 0)
	case 1:
		return h.moved("Last", h.it.Last(), h.want.Len()-1)
	case 2, 3:
		return h.seekGE(h.target(rng))
	case 4, 5:
		return h.seekLT(h.target(rng))
	case 6, 7:
		return h.next()
	}
	return h.prev()
}

func (h *held) seekGE(key string) error {
	return h.moved(fmt.Sprintf("SeekGE(%q)", key), h.it.SeekGE([]byte(key)), h.want.Rank(key))
}

func (h *held) seekLT(key string) error {
	return h.moved(fmt.Sprintf("SeekLT(%q)", key), h.it.SeekLT([]byte(key)), h.want.Rank(key)-1)
}

func (h *held) next() error {
	at := h.at
	if at >= 0 {
		at++
	}
	return h.moved("Next", h.it.Next(), at)
}

func (h *held) prev() error { return h.moved("Prev", h.it.Prev(), max(h.at-1, -1)) }

// moved demands that the iterator, whose last move told ok, is on the row at, or
// on none.
func (h *held) moved(move string, ok bool, at int) error {
	n := h.want.Len()
	if h.at = at; at >= n {
		h.at = -1
	}
	if err := h.it.Error(); err != nil {
		return fmt.Errorf("iterator: %s: %w", move, err)
	}
	if ok != h.it.Valid() {
		return fmt.Errorf("iterator: %s tells %v and Valid tells %v", move, ok, h.it.Valid())
	}
	if ok {
		h.seen.saw(h.it.Key())
		h.seen.saw(h.it.Value())
	}
	if ok != (h.at >= 0) {
		return fmt.Errorf("iterator: %s tells %v, want %v (%d rows)", move, ok, h.at >= 0, n)
	}
	if ok {
		if err := compareRow(string(h.it.Key()), string(h.it.Value()), h.at, h.want); err != nil {
			return fmt.Errorf("iterator: %s: %w", move, err)
		}
	}
	return nil
}

// target draws a key to seek: one that is there, one beside it, or either end.
func (h *held) target(rng *rand.Rand) string {
	if h.want.Len() == 0 || rng.IntN(8) == 0 {
		return []string{"", "\x00", "k", "\xff\xff\xff\xff"}[rng.IntN(4)]
	}
	key, _ := h.want.At(rng.IntN(h.want.Len()))
	switch rng.IntN(4) {
	case 0:
		return key + "\x00"
	case 1:
		return key[:len(key)-1]
	}
	return key
}

// afterClose demands that the iterator of a closed store says so.
func (h *held) afterClose() error {
	if h.it.First() || h.it.Valid() {
		return errors.New("an iterator of a closed store moved")
	}
	if err := h.it.Error(); !errors.Is(err, engine.ErrClosed) {
		return fmt.Errorf("an iterator of a closed store has the error %v", err)
	}
	h.it.Close()
	return nil
}
