package damage

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// place is a range of bytes of a table file that is read at once: a block, or
// what a table has besides blocks.
type place struct {
	name string
	extent
}

// EveryPart puts each part of a table in the place of each other one that is as
// long: whole, with its checksum, but of another row or of another fork.
func (s *Specimen) EveryPart() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		places := s.places()
		for _, from := range places {
			for _, to := range places {
				if from == to || from.hi-from.lo != to.hi-to.lo {
					continue
				}
				after := slices.Clone(s.files[to.name])
				copy(after[to.lo:to.hi], s.files[from.name][from.lo:from.hi])
				where := fmt.Sprintf("%d bytes at %d of %s written to %d of %s", from.hi-from.lo, from.lo, from.name, to.lo, to.name)
				c := one("part in another's place", where, to.name, after)
				if c.changes(s.files) && !yield(c) {
					return
				}
			}
		}
	}
}

// places gives all that is read of tables, in order.
func (s *Specimen) places() []place {
	var out []place
	for _, p := range s.prints {
		for name, extents := range p {
			for _, e := range extents {
				if !slices.Contains(out, place{name, e}) {
					out = append(out, place{name, e})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.lo, b.lo), cmp.Compare(a.hi, b.hi))
	})
	return out
}
