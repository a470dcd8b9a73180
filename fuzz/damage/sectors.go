package damage

import (
	"fmt"
	"iter"
	"slices"
)

// EverySector damages what a disk writes at once: sectors are zeroed, filled
// with noise, and exchanged within a file and between files of one kind; and
// ranges of any place and length are zeroed.
func (s *Specimen) EverySector() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, name := range s.names() {
			if !s.sectorsOf(name, yield) || !s.rangesOf(name, yield) || !s.exchanged(name, yield) {
				return
			}
		}
	}
}

func (s *Specimen) sectorsOf(name string, yield func(Case) bool) bool {
	before := s.files[name]
	for at := 0; at < len(before); at += sectorBytes {
		end := min(at+sectorBytes, len(before))
		where := fmt.Sprintf("sector %d of %s", at/sectorBytes, name)
		zero, noise := slices.Clone(before), slices.Clone(before)
		clear(zero[at:end])
		for i := at; i < end; i++ {
			noise[i] = byte(i*37 + i>>5)
		}
		if !yield(one("sector zeroed", where, name, zero)) || !yield(one("sector is noise", where, name, noise)) {
			return false
		}
	}
	return true
}

func (s *Specimen) rangesOf(name string, yield func(Case) bool) bool {
	before := s.files[name]
	for _, length := range []int{2, 8, 24, 64, 300, 1000} {
		for at := 0; at < len(before); at += length/2 + 1 {
			after := slices.Clone(before)
			clear(after[at:min(at+length, len(after))])
			if !yield(one("range zeroed", fmt.Sprintf("%d bytes at %d of %s", length, at, name), name, after)) {
				return false
			}
		}
	}
	return true
}

// exchanged exchanges each sector with each other one of the same file and of
// the later files of the same kind.
func (s *Specimen) exchanged(name string, yield func(Case) bool) bool {
	sectors := func(b []byte) int { return len(b) / sectorBytes }
	a := s.files[name]
	for _, other := range s.names() {
		if kindOf(other) != kindOf(name) || other < name {
			continue
		}
		b := s.files[other]
		for i := range sectors(a) {
			for j := range sectors(b) {
				if other == name && j <= i {
					continue
				}
				c := Case{Damage: "sectors exchanged", Target: name, Where: fmt.Sprintf("sector %d of %s and %d of %s", i, name, j, other)}
				x, y := slices.Clone(a), slices.Clone(b)
				if other == name {
					y = x
				}
				copy(x[i*sectorBytes:(i+1)*sectorBytes], b[j*sectorBytes:(j+1)*sectorBytes])
				copy(y[j*sectorBytes:(j+1)*sectorBytes], a[i*sectorBytes:(i+1)*sectorBytes])
				c.Files = map[string][]byte{name: x, other: y}
				if c.changes(s.files) && !yield(c) {
					return false
				}
			}
		}
	}
	return true
}
