package crashfs

import "fmt"

// CheckInodes tells which invariant of the inodes does not hold.
func (f *FS) CheckInodes() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range []tree{f.now, f.durable} {
		for name, n := range t.files {
			if err := n.check(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (n *inode) check() error {
	if n.durSize > n.size {
		return fmt.Errorf("durable size %d > size %d", n.durSize, n.size)
	}
	var zeros page
	whole := func(p *page) *page {
		if p == nil {
			return &zeros
		}
		return p
	}
	for i := range n.slots {
		s := &n.slots[i]
		cur, dur := whole(s.cur), whole(s.dur)
		if s.own && s.cur == s.dur {
			return fmt.Errorf("page %d is durable and may be written in place", i)
		}
		if *cur != *dur && len(s.dirty) == 0 && !s.stale {
			return fmt.Errorf("page %d is clean and not what is on disk", i)
		}
		if len(s.dirty) > 0 && (i < n.dirtyLo || i >= n.dirtyHi) {
			return fmt.Errorf("page %d is dirty outside [%d, %d)", i, n.dirtyLo, n.dirtyHi)
		}
		for at := range zeros {
			off := int64(i)*pageBytes + int64(at)
			if off >= n.size && cur[at] != 0 || off >= n.durSize && dur[at] != 0 {
				return fmt.Errorf("byte %d behind the end is not zero", off)
			}
		}
	}
	return nil
}
