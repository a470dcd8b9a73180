package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/iterator"
)

const (
	// minWeaveLayers is how many layers a weave must stand for, beyond those that an
	// older flat's weave stands for already; where there is none, two are enough.
	minWeaveLayers = 3
	// weaveBytesARow bounds what a weave is made of, as it is made in one piece: by this, which is some times what
	// a row takes, the rows of one must fit into the room for all.
	weaveBytesARow = 8
	// maxWovenDead bounds the dead rows among those of a weave: a walk through it looks at each,
	// where an iterator of a table would leap over them.
	maxWovenDead = 1 << 10
	// weaveShare is the part of Options.TableCacheBytes, one in so many, that all
	// weaves may take.
	weaveShare = 4
	// seekWorth is how many steps a seek over many layers costs about.
	seekWorth = 32
)

var errNoWeaveNow = errors.New("there is more urgent work")

// weaveAsked, as the count of a flat, says that its weave was asked for, or is not worth it.
const weaveAsked = -1 << 40

// weaveScope gives the tables of each run that a weave of f would stand for, how many
// rows they have, and where the runs end: at the first layer in memory, or with which there
// would be more rows than room allows. It is false if it is not worth it.
func (f *flat) weaveScope(room int64) (runs [][]*forktree.Table, rows int, next *flat, at int, ok bool) {
	fresh := 0 // runs that no weave stands for yet
	known := false
	worth := func() bool { return fresh >= minWeaveLayers || !known && fresh >= 2 }
	for next = f; next != nil; next = next.below {
		known = known || next != f && next.weave.Load() != nil
		for at = range next.layers {
			l := next.layers[at]
			if l.run == nil || len(runs) == maxStrands {
				return runs, rows, next, at, worth()
			}
			tables := f.dead.aliveIn(l.run)
			n := uint64(0)
			for _, t := range tables {
				n += t.Meta.Rows
			}
			if int64(rows)+int64(n) > room/weaveBytesARow {
				return runs, rows, next, at, worth()
			}
			rows += int(n)
			runs = append(runs, tables)
			if !known {
				fresh++
			}
		}
	}
	return runs, rows, nil, 0, worth()
}

// worthOfWeave is how many steps a weave of f must save: making it costs about as much as
// reading the rows. O(layers).
func (f *flat) worthOfWeave(room int64) int64 {
	_, rows, _, _, ok := f.weaveScope(room)
	if !ok {
		return math.MaxInt64
	}
	return int64(max(rows, 1))
}

// fits tells whether few of the weave's rows are dead in the view. O(tables), once a view.
func (v *view) fits(w *weave) bool {
	if known := v.woven.Load(); known != nil && known.w == w {
		return known.fits
	}
	dead := uint64(0)
	for _, s := range w.strands {
		dead += v.dead.deadIn(s.tables)
	}
	fits := dead <= maxWovenDead
	v.woven.Store(&wovenFit{w, fits})
	return fits
}

// wovenFit is what a view has found out about a weave.
type wovenFit struct {
	w    *weave
	fits bool
}

// deadIn bounds the dead rows of tables.
func (t *deadTables) deadIn(tables []*forktree.Table) (n uint64) {
	if t == nil {
		return 0
	}
	for _, tb := range tables {
		if d := t.of(tb); d != nil {
			n += d.bound
		}
	}
	return n
}

// noteSteps counts what an iterator over the view has cost, and when it comes to as much as
// reading all rows of a weave, it has the memory worker make one. The caller's view keeps the flat.
func (v *view) noteSteps(steps int) {
	f := v.flat
	if f == nil || !v.s.earns() || f.steps.Load() < 0 {
		return
	}
	asked, enough := f.steps.Add(int64(steps)), f.enough.Load()
	if enough == 0 {
		enough = v.s.enough(f.worthOfWeave(v.s.roomForWeaves()))
		f.enough.Store(enough)
	}
	if asked < enough {
		return
	}
	f.steps.Store(weaveAsked)
	v.s.mu.Lock()
	if !askLocked(&v.s.mu.weavesAsked, f) {
		f.steps.Store(0)
	}
	v.s.mu.Unlock()
	if v.s.opts.Manual {
		v.s.makeWeaves()
	}
	v.s.wake()
}

// makeWeaves makes the weaves that iterators have asked for, if they are still wanted. One
// that cannot be made, because a table cannot be read or there is no room for it, is
// left out: it is not needed for anything.
func (s *Store) makeWeaves() {
	for s.noWeaveNow() == nil {
		v := s.nextAsked(&s.mu.weavesAsked)
		if v == nil {
			return
		}
		err := s.makeWeave(v)
		if errors.Is(err, errNoWeaveNow) {
			v.flat.steps.Store(0) // it is asked for again
		}
		if err != nil {
			s.opts.Logger.Debug("the order of rows in many runs is left out", "error", err)
		}
		v.releaseQuietly()
	}
}

// makeWeave makes the weave of a view's flat. It reads all rows of its runs, and leaves
// the cache as it is.
func (s *Store) makeWeave(v *view) error {
	f := v.flat
	runs, rows, next, at, ok := f.weaveScope(s.roomForWeaves())
	if !ok || rows == 0 || f.weave.Load() != nil {
		return nil
	}
	for _, tables := range runs {
		if f.dead.deadIn(tables) > maxWovenDead {
			return nil
		}
	}
	if !s.mayTakeForWeaves(int64(rows)) {
		return nil
	}
	w := newWeave(runs)
	w.next, w.at = next, at
	its := make([]iterator.Iterator, len(runs))
	for i, tables := range runs {
		its[i] = s.allRows(tables)
	}
	rest := s.pace()
	err := w.fill(its, func() error {
		err := s.noWeaveNow()
		if err == nil {
			rest()
		}
		return err
	})
	for _, it := range its {
		err = errors.Join(err, it.Close())
	}
	if errors.Is(err, errLongKeys) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("weave of node %d: %w", f.node.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.weave.Load() != nil || s.mu.weaveBytes+w.bytes() > s.roomForWeaves() {
		return nil
	}
	s.mu.weaveBytes += w.bytes()
	f.weave.Store(w)
	s.counter.weaves.Add(1)
	return nil
}

// roomForWeaves is what all weaves together may take.
func (s *Store) roomForWeaves() int64 { return s.opts.TableCacheBytes / weaveShare }

func (s *Store) mayTakeForWeaves(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.weaveBytes+n <= s.roomForWeaves()
}

// noWeaveNow ends the making of a weave when the memory worker is needed elsewhere, or
// somebody waits for it.
func (s *Store) noWeaveNow() error {
	if err := s.stopped(); err != nil {
		return err
	}
	if s.workerNeeded() || s.back.isUrgent() {
		return errNoWeaveNow
	}
	return nil
}

// wakeForWeaves has those made that were put off while somebody waited.
func (s *Store) wakeForWeaves() {
	s.mu.Lock()
	asked := len(s.mu.weavesAsked) > 0
	s.mu.Unlock()
	if asked {
		s.wake()
	}
}

// allRows walks the rows of sorted tables, dead or alive, past the cache.
func (s *Store) allRows(tables []*forktree.Table) iterator.Iterator {
	bounds := func(i int) (smallest, largest []byte) { return tables[i].Meta.Smallest, tables[i].Meta.Largest }
	return iterator.NewConcat(len(tables), bounds, func(i int) (iterator.Iterator, error) {
		r, err := s.tables.ReaderAt(&tables[i].Place)
		if err != nil {
			return nil, err
		}
		return r.NewUncachedIter(nil), nil
	})
}

// dropWeaveLocked gives the room of a flat's weave back when the flat goes.
func (s *Store) dropWeaveLocked(f *flat) {
	if w := f.weave.Load(); w != nil {
		s.mu.weaveBytes -= w.bytes()
	}
}
