package manifest

import (
	"iter"
	"slices"
)

// order is a sequence of slots of records, sorted by whatever its user compares: the
// leaves of a B+tree, with a list of them in place of the inner nodes. It holds four
// bytes a record, in pages without pointers. A page is full where records come in
// order, and at least a third full, with its neighbour, elsewhere.
type order struct {
	pages   []*page
	changes uint64 // how often positions have changed
}

const pageSlots = 254

type page struct {
	n     int
	slots [pageSlots]uint32
}

// position is a place in an order, good until the next change.
type position struct{ page, at int }

// find gives the position of the first slot of which before says no. It must say yes
// of a beginning of the order, and no of the rest.
func (o *order) find(before func(slot uint32) bool) position {
	lo, hi := 0, len(o.pages) // the first page that does not begin with a yes
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if before(o.pages[mid].slots[0]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return position{}
	}
	p := o.pages[lo-1]
	from, to := 1, p.n
	for from < to {
		mid := int(uint(from+to) >> 1)
		if before(p.slots[mid]) {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return position{lo - 1, from}
}

// get gives the slot there. A position behind the last slot of a page is that of the
// next page's first.
func (o *order) get(at position) (slot uint32, ok bool) {
	if at.page < len(o.pages) && at.at == o.pages[at.page].n {
		at = position{at.page + 1, 0}
	}
	if at.page >= len(o.pages) {
		return 0, false
	}
	return o.pages[at.page].slots[at.at], true
}

// last gives the slot at the end, and the position behind it.
func (o *order) last() (slot uint32, behind position, ok bool) {
	if len(o.pages) == 0 {
		return 0, position{}, false
	}
	at := len(o.pages) - 1
	p := o.pages[at]
	return p.slots[p.n-1], position{at, p.n}, true
}

// settled gives the same place as one that holds a slot.
func (o *order) settled(at position) position {
	if at.at == o.pages[at.page].n {
		return position{at.page + 1, 0}
	}
	return at
}

func (o *order) set(at position, slot uint32) {
	at = o.settled(at)
	o.pages[at.page].slots[at.at] = slot
}

// insert puts a slot in front of what is at the position.
func (o *order) insert(at position, slot uint32) {
	o.changes++
	if len(o.pages) == 0 {
		o.pages = append(o.pages, new(page))
	}
	p := o.pages[at.page]
	if p.n == pageSlots {
		left, right := at.page, new(page)
		if cut := pageSlots / 2; at.page == len(o.pages)-1 && at.at == pageSlots {
			at = position{at.page + 1, 0} // records that come in order fill their pages
		} else {
			right.n = copy(right.slots[:], p.slots[cut:])
			p.n = cut
			if at.at > cut {
				at = position{at.page + 1, at.at - cut}
			}
		}
		o.pages = slices.Insert(o.pages, left+1, right)
		p = o.pages[at.page]
	}
	copy(p.slots[at.at+1:p.n+1], p.slots[at.at:p.n])
	p.slots[at.at] = slot
	p.n++
}

// remove takes the slot at the position out, and joins its page with a neighbour if
// both are rather empty.
func (o *order) remove(at position) {
	o.changes++
	at = o.settled(at)
	p := o.pages[at.page]
	copy(p.slots[at.at:p.n-1], p.slots[at.at+1:p.n])
	p.n--
	if p.n == 0 {
		o.pages = slices.Delete(o.pages, at.page, at.page+1)
		return
	}
	for _, left := range []int{at.page - 1, at.page} {
		if left < 0 || left+1 >= len(o.pages) {
			continue
		}
		a, b := o.pages[left], o.pages[left+1]
		if a.n+b.n <= pageSlots*2/3 {
			copy(a.slots[a.n:], b.slots[:b.n])
			a.n += b.n
			o.pages = slices.Delete(o.pages, left+1, left+2)
			return
		}
	}
}

// from gives the slots from the position on. The order must not change meanwhile.
func (o *order) from(at position) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for ; at.page < len(o.pages); at = (position{at.page + 1, 0}) {
			p := o.pages[at.page]
			for _, slot := range p.slots[at.at:p.n] {
				if !yield(slot) {
					return
				}
			}
		}
	}
}

func (o *order) clone() order {
	c := order{pages: make([]*page, len(o.pages))}
	for i, p := range o.pages {
		copied := *p
		c.pages[i] = &copied
	}
	return c
}
