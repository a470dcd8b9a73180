package engine

import (
	"bytes"
	"sync/atomic"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/wal"
)

// A queue deletes at its head and seeks to its head: every seek walks over the
// tombstones of all that was deleted since the last flush. So a fork remembers one
// stretch of its keys that a walk has found to be bare of rows, and later walks jump
// over it. A write into the stretch cuts it off there.

// stretch is the keys of [lo, hi), in which the fork has no row: it had none at at,
// and none was written since. It is immutable once readers can see it.
type stretch struct {
	lo, hi   []byte
	at       ids.LSN
	backward bool // found by a backward walk: the upper end is the one to keep
}

func (b *stretch) holds(key []byte) bool {
	return bytes.Compare(key, b.lo) >= 0 && bytes.Compare(key, b.hi) < 0
}

// without gives what is left of the stretch when key gets a row, nil if nothing is.
func (b *stretch) without(key []byte) *stretch {
	if !b.holds(key) {
		return b
	}
	cut := *b
	if b.backward {
		cut.lo = after(key)
	} else {
		cut.hi = bytes.Clone(key)
	}
	if bytes.Compare(cut.lo, cut.hi) >= 0 {
		return nil
	}
	return &cut
}

// after is the first key behind key.
func after(key []byte) []byte { return append(bytes.Clone(key), 0) }

// pastAll lies behind every key.
var pastAll = bytes.Repeat([]byte{0xff}, MaxKeyBytes+1)

// bareness is what a fork or snapshot knows about its bare stretch. All but known is
// under Store.mu.
type bareness struct {
	known   atomic.Pointer[stretch]
	watched *stretch // from where a walk is, to where it may come
	written ids.LSN  // of the last write
}

// writtenLocked cuts off what a batch gives rows to, before readers see its LSN.
func (b *bareness) writtenLocked(lsn ids.LSN, ops []byte) {
	b.written = lsn
	known := b.known.Load()
	if known == nil && b.watched == nil {
		return
	}
	cut := known
	for r := wal.NewOpReader(ops); ; {
		kind, key, _, ok := r.Next()
		if !ok {
			break
		}
		if kind != iterator.Set {
			continue
		}
		if cut != nil {
			cut = cut.without(key)
		}
		if b.watched != nil {
			b.watched = b.watched.cutWatched(key)
		}
	}
	if cut != known {
		b.known.Store(cut)
	}
}

// cutWatched is without for a stretch that is only watched: it stays the same one.
func (b *stretch) cutWatched(key []byte) *stretch {
	cut := b.without(key)
	if cut == nil {
		return nil
	}
	*b = *cut
	return b
}

// resetLocked forgets everything: the fork holds something else from lsn on.
func (b *bareness) resetLocked(lsn ids.LSN) {
	b.known.Store(nil)
	b.watched, b.written = nil, lsn
}

// skipper is what one iterator knows of bare stretches.
//
// It keeps quiet once its view is no longer the present one: then it may lack writes
// at or before at, which went into a memtable that the view does not have, and what
// it sees is not what the fork held at at.
type skipper struct {
	r  *viewer
	v  *view
	at ids.LSN

	bounds Range
	jumped *stretch // over which the present walk has jumped
	watch  *stretch // that the present walk would like to make known
	tried  bool
}

// present tells whether the view was the fork's at the moment of at: it is as long
// as nothing has replaced it.
func (s *skipper) present() bool {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return s.r.view == s.v
}

// Skip implements iterator.Skipper. The second time that a walk asks, it begins to
// watch: so many tombstones are worth to be remembered.
func (s *skipper) Skip(key []byte, backward bool) (to []byte, ok bool) {
	if b := s.r.bare.known.Load(); b != nil && b != s.jumped && b.at <= s.at && b.holds(key) && s.present() {
		s.jumped = b
		if backward {
			return b.lo, true
		}
		return b.hi, true
	}
	if !s.tried {
		s.tried = true
		s.begin(key, backward)
	}
	return nil, false
}

// begin watches what the walk comes to. It is too late for that if there were writes
// that the walk does not see.
func (s *skipper) begin(key []byte, backward bool) {
	w := &stretch{lo: bytes.Clone(key), hi: pastAll, at: s.at, backward: backward}
	if backward {
		w.lo, w.hi = nil, after(key)
	}
	if s.jumped != nil && !backward {
		w.lo = s.jumped.lo
	} else if s.jumped != nil {
		w.hi = s.jumped.hi
	}
	store := s.r.s
	store.mu.Lock()
	defer store.mu.Unlock()
	if s.r.bare.written <= s.at && s.present() {
		s.r.bare.watched, s.watch = w, w
	}
}

// Skipped implements iterator.Skipper: the walk is over, and what it has walked over
// is bare.
func (s *skipper) Skipped(end []byte) {
	w := s.watch
	s.watch, s.jumped, s.tried = nil, nil, false
	if w == nil {
		return
	}
	store := s.r.s
	store.mu.Lock()
	defer store.mu.Unlock()
	b := &s.r.bare
	if b.watched != w {
		return // it was cut off altogether, or another walk is watched now
	}
	b.watched = nil
	found := *w
	switch {
	case w.backward && end != nil:
		found.lo = maxKey(found.lo, after(end))
	case w.backward:
		found.lo = maxKey(found.lo, bytes.Clone(s.bounds.Lower))
	case end != nil:
		found.hi = minKey(found.hi, bytes.Clone(end))
	case s.bounds.Upper != nil:
		found.hi = minKey(found.hi, bytes.Clone(s.bounds.Upper))
	}
	if bytes.Compare(found.lo, found.hi) < 0 {
		b.known.Store(&found)
	}
}

func minKey(a, b []byte) []byte {
	if bytes.Compare(a, b) <= 0 {
		return a
	}
	return b
}

func maxKey(a, b []byte) []byte {
	if bytes.Compare(a, b) >= 0 {
		return a
	}
	return b
}
