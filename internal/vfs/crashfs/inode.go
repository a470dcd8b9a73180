package crashfs

// pageBytes is the unit of copying. It is a multiple of sectorBytes.
const pageBytes = 4096

// sectorBytes is the unit in which a disk loses or keeps what was not synced.
const sectorBytes = 512

type page [pageBytes]byte

// inode is a file's content, now and after a power loss. It is guarded by its
// FS's lock.
//
// Invariants: durSize ≤ size; bytes of cur behind size and bytes of dur behind
// durSize are zero; a slot in which cur and dur differ has dirty extents or is
// stale; slots that have dirty extents stand in [dirtyLo, dirtyHi).
type inode struct {
	slots            []slot // may be shorter than the file: the rest is zeros
	size, durSize    int64
	grown            bool // size was raised since the last sync
	named            bool
	dirtyLo, dirtyHi int
}

// slot is one page of a file. A nil page is all zeros. Pages are shared between
// cur and dur, and between the images of file systems, so a page may be written
// in place only while own is set.
type slot struct {
	cur, dur *page
	dirty    []extent // written since the last sync, in order
	own      bool     // nothing else refers to cur
	stale    bool     // after a failed sync: dur may lag behind cur outside dirty, and nobody knows whether it does
}

// extent is a range [lo, hi) of bytes in a page.
type extent struct{ lo, hi uint16 }

// read copies from off on and tells how many bytes the file had there.
func (n *inode) read(p []byte, off int64) int {
	if off >= n.size {
		return 0
	}
	p = p[:min(int64(len(p)), n.size-off)]
	for done := 0; done < len(p); {
		i, at := int((off+int64(done))/pageBytes), int((off+int64(done))%pageBytes)
		step := min(len(p)-done, pageBytes-at)
		if i < len(n.slots) && n.slots[i].cur != nil {
			copy(p[done:done+step], n.slots[i].cur[at:])
		} else {
			clear(p[done : done+step])
		}
		done += step
	}
	return len(p)
}

// write puts bytes at off, volatile until sync.
func (n *inode) write(p []byte, off int64) {
	for done := 0; done < len(p); {
		i, at := int((off+int64(done))/pageBytes), int((off+int64(done))%pageBytes)
		step := min(len(p)-done, pageBytes-at)
		for len(n.slots) <= i {
			n.slots = append(n.slots, slot{})
		}
		s := &n.slots[i]
		copy(s.writable()[at:], p[done:done+step])
		e := extent{uint16(at), uint16(at + step)}
		if len(s.dirty) == 0 || s.dirty[len(s.dirty)-1] != e {
			s.dirty = append(s.dirty, e)
		}
		if n.dirtyLo == n.dirtyHi {
			n.dirtyLo, n.dirtyHi = i, i+1
		}
		n.dirtyLo, n.dirtyHi = min(n.dirtyLo, i), max(n.dirtyHi, i+1)
		done += step
	}
	if len(p) > 0 {
		n.grow(off + int64(len(p)))
	}
}

// grow raises the length; the new bytes are zeros.
func (n *inode) grow(size int64) {
	if size > n.size {
		n.size, n.grown = size, true
	}
}

// writable gives the page as one that may be written in place.
func (s *slot) writable() *page {
	if !s.own {
		fresh := new(page)
		if s.cur != nil {
			*fresh = *s.cur
		}
		s.cur, s.own = fresh, true
	}
	return s.cur
}

// sync makes what was written since the last sync durable, and nothing else:
// bytes that a failed sync left behind stay as they are on disk.
func (n *inode) sync() {
	for i := n.dirtyLo; i < n.dirtyHi; i++ {
		s := &n.slots[i]
		if len(s.dirty) == 0 {
			continue
		}
		for _, e := range s.dirty {
			// A length that a failed sync lost comes back with data behind it.
			n.durSize = max(n.durSize, int64(i)*pageBytes+int64(e.hi))
		}
		if s.stale {
			merged := new(page)
			if s.dur != nil {
				*merged = *s.dur
			}
			for _, e := range s.dirty {
				copy(merged[e.lo:e.hi], s.cur[e.lo:e.hi])
			}
			s.dur = merged
			s.stale = *merged != *s.cur
		} else {
			s.dur, s.own = s.cur, false
		}
		s.dirty = nil // not truncated: an image may share the array
	}
	n.dirtyLo, n.dirtyHi = 0, 0
	if n.grown {
		n.durSize, n.grown = n.size, false
	}
}

// failSync forgets that anything is to be written, as a kernel does after a
// failed writeback: processes go on seeing the new bytes, the next sync has nothing
// to do, and which of the bytes reached the disk is known to nobody.
func (n *inode) failSync() {
	for i := n.dirtyLo; i < n.dirtyHi; i++ {
		if s := &n.slots[i]; len(s.dirty) > 0 {
			s.dirty, s.stale = nil, true
		}
	}
	n.dirtyLo, n.dirtyHi = 0, 0
	n.grown = false
}

// replace puts other content in place, durable at once.
func (n *inode) replace(data []byte) {
	*n = inode{named: n.named}
	n.write(data, 0)
	n.sync()
}

// copy makes an independent inode in the same state, in time linear in the
// number of pages: no page is copied.
func (n *inode) copy() *inode {
	c := *n
	for i := range n.slots {
		s := &n.slots[i]
		s.own = false
		s.dirty = s.dirty[:len(s.dirty):len(s.dirty)] // an append by either side must not show in the other
	}
	c.slots = append([]slot(nil), n.slots...)
	return &c
}
