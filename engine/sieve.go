package engine

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/keyfilter"
	"github.com/tinedb/tine/sstable"
)

// Most lookups end in the base, or nowhere, and on their way ask the filter of each
// small run above it in vain. Where many come by, one filter of the keys of all those
// runs is made, a sieve, and one access to memory takes their place.

// sieve is a filter of the keys in the newest layers from a flat down. It lasts as
// long as the flat: immutable, as that is.
//
// None of those layers has range deletes, which hide keys that no row of the layer has.
type sieve struct {
	keys *keyfilter.Filter
	next *flat // where a lookup of a key that is not in keys goes on: at its layer number at. nil: it has ended
	at   int
}

const (
	// askEvery says which lookups are counted: one in so many, so that counting costs
	// the others nothing.
	askEvery = 64
	// minSieveLayers is how many layers a sieve must stand for, beyond those that an
	// older flat's sieve stands for already.
	minSieveLayers = 3
	// maxSieveRows bounds what a sieve is made of: what lies below is not small.
	maxSieveRows = 1 << 17
	// fewSieveTables bounds the tables of a run that is looked at.
	fewSieveTables = 8
	// sievesATurn bounds the sieves that a turn of the worker makes: flushes come first.
	sievesATurn = 16
	// sieveShare is the part of Options.TableCacheBytes, one in so many, that all
	// sieves may take.
	sieveShare = 8
)

// into gives the layers that a lookup asks when it comes to a flat, and the flat that
// is next.
func (v *view) into(f *flat, key []byte, hash uint64) (layers []layer, below *flat) {
	sv := f.sieve.Load()
	switch {
	case sv == nil:
		if hash>>40%askEvery == 0 {
			v.s.askForSieve(f)
		}
	case !sv.keys.MayHave(hash):
		if invariant.Expensive {
			v.checkDenied(f, sv, key, hash)
		}
		if sv.next == nil {
			return nil, nil
		}
		return sv.next.layers[sv.at:], sv.next.below
	}
	return f.layers, f.below
}

// checkDenied asserts that what a sieve denies is in no layer that it stands for.
func (v *view) checkDenied(f *flat, sv *sieve, key []byte, hash uint64) {
	for ; f != nil; f = f.below {
		for i := range f.layers {
			if f == sv.next && i == sv.at {
				return
			}
			_, _, found, err := v.getIn(&f.layers[i], nil, key, hash)
			invariant.Check(!found || err != nil, "the sieve above node %d denies a key that is there", f.node.ID)
		}
	}
	invariant.Check(sv.next == nil, "the sieve ends at a layer that is not below it")
}

// sieveScope gives the layers that a sieve of f would stand for, and where they end. It
// is false if it is not worth it.
func (f *flat) sieveScope() (layers []layer, rows int, next *flat, at int, ok bool) {
	fresh := 0                                            // layers that no sieve stands for yet
	known := false                                        // the rest has one
	for next, at = f, 0; next != nil; next = next.below { // at is 0 again, or the walk ends
		known = known || next != f && next.sieve.Load() != nil
		for at = range next.layers {
			l := next.layers[at]
			n, small := l.rowsIfSmall()
			if !small || rows+n > maxSieveRows {
				return layers, rows, next, at, fresh >= minSieveLayers
			}
			rows += n
			layers = append(layers, l)
			if !known {
				fresh++
			}
		}
		at = 0
	}
	return layers, rows, nil, 0, fresh >= minSieveLayers
}

// rowsIfSmall counts the rows of a layer that may be part of a sieve.
func (l layer) rowsIfSmall() (n int, small bool) {
	if l.mem != nil {
		return l.mem.Len(), !l.mem.HasRanges()
	}
	if len(l.run.Tables) > fewSieveTables {
		return 0, false
	}
	rows := l.run.Rows()
	return int(min(rows, maxSieveRows+1)), rows <= maxSieveRows
}

// askForSieve counts a lookup, for all that were not counted, and when as many have come
// by as there are rows, it has the memory worker make a sieve: so making it costs each
// of them about as much as a row takes to be read. The caller's view keeps the flat.
func (s *Store) askForSieve(f *flat) {
	if !s.earns() || f.asked.Load() < 0 {
		return
	}
	asked := f.asked.Add(askEvery)
	if _, rows, _, _, ok := f.sieveScope(); !ok || asked < s.enough(int64(rows)) {
		return
	}
	f.asked.Store(sieveAsked)
	s.mu.Lock()
	if !askLocked(&s.mu.sievesAsked, f) {
		f.asked.Store(0)
	}
	s.mu.Unlock()
	if s.opts.Manual {
		s.makeSieves()
	}
	s.wake()
}

// maxAsked is how many flats may be asked for at a time. As long as nothing is made, because
// something keeps the log long say, no more are kept.
const maxAsked = 16

// askLocked adds a flat to those that are asked for. It is false, and the flat must be asked for again,
// if there are too many already that are still in use.
func askLocked(asked *[]*flat, f *flat) bool {
	if len(*asked) >= maxAsked {
		*asked = slices.DeleteFunc(*asked, func(f *flat) bool { return f.refs == 0 })
	}
	if len(*asked) >= maxAsked {
		return false
	}
	*asked = append(*asked, f)
	return true
}

// sieveAsked, as the count of a flat, says that its sieve was asked for once. Whatever
// came of it, nobody asks again: the next flat of the node may.
const sieveAsked = -1 << 40

// makeSieves makes the sieves that lookups have asked for, if they are still wanted. One
// that cannot be made, because a table cannot be read or there is no room for it, is
// left out: it is not needed for anything.
func (s *Store) makeSieves() {
	for range sievesATurn {
		if s.workerNeeded() {
			return // flushes come first
		}
		v := s.nextAsked(&s.mu.sievesAsked)
		if v == nil {
			return
		}
		if err := s.makeSieve(v); err != nil {
			s.opts.Logger.Debug("a filter of small runs is left out", "error", err)
		}
		v.release()
	}
	s.wake()
}

// nextAsked takes the next flat that something was asked for, and gives a view of it, to
// keep it; nil if there is none that is still in use.
func (s *Store) nextAsked(asked *[]*flat) *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(*asked) > 0 {
		f := (*asked)[0]
		(*asked)[0] = nil
		*asked = (*asked)[1:]
		if f.refs > 0 {
			return s.viewOfFlatLocked(f)
		}
	}
	*asked = nil
	return nil
}

func (s *Store) viewOfFlatLocked(f *flat) *view {
	f.refs++
	v := &view{s: s, top: f.node, flat: f, dead: f.dead, swaps: f.swaps}
	v.refs.Store(1)
	s.mu.views[v] = struct{}{}
	return v
}

// makeSieve makes the sieve of a view's flat. It reads all rows of small runs, and
// leaves the cache as it is.
func (s *Store) makeSieve(v *view) error {
	f := v.flat
	layers, rows, next, at, ok := f.sieveScope()
	if !ok || f.sieve.Load() != nil {
		return nil
	}
	sv := &sieve{keys: keyfilter.New(rows), next: next, at: at}
	for _, l := range layers {
		if err := s.sift(sv.keys, l); err != nil {
			return fmt.Errorf("filter of node %d: %w", f.node.ID, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.sieve.Load() != nil || s.mu.sieveBytes+sv.keys.Bytes() > s.opts.TableCacheBytes/sieveShare {
		return nil
	}
	s.mu.sieveBytes += sv.keys.Bytes()
	f.sieve.Store(sv)
	s.counter.sieves.Add(1)
	return nil
}

// sift adds the keys of all rows of a layer, whatever kind they are and whoever marks
// them as dead.
func (s *Store) sift(keys *keyfilter.Filter, l layer) error {
	add := func(it iterator.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			keys.Add(sstable.KeyHash(it.Key()))
		}
		return it.Close()
	}
	if l.mem != nil {
		return add(l.mem.NewIter(memtable.MaxLSN))
	}
	for _, t := range l.run.Tables {
		if err := s.stopped(); err != nil {
			return err
		}
		r, err := s.tables.ReaderAt(&t.Place)
		if err != nil {
			return err
		}
		if err := add(r.NewUncachedIter(nil)); err != nil {
			return err
		}
	}
	return nil
}

// dropSieveLocked gives the room of a flat's sieve back when the flat goes.
func (s *Store) dropSieveLocked(f *flat) {
	if sv := f.sieve.Load(); sv != nil {
		s.mu.sieveBytes -= sv.keys.Bytes()
		invariant.Check(s.mu.sieveBytes >= 0, "sieves take %d bytes", s.mu.sieveBytes)
	}
}
