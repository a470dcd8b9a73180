package damage

import (
	"fmt"
	"iter"
	"slices"
)

// EveryByte damages every byte of every file: one bit of each, and in turn all of
// its bits, or it is set to zero.
func (s *Specimen) EveryByte() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, name := range s.names() {
			before := s.files[name]
			for at := range before {
				where := fmt.Sprintf("byte %d of %s", at, name)
				for _, c := range bytesFor(before[at], at) {
					if c.to == before[at] {
						continue
					}
					after := slices.Clone(before)
					after[at] = c.to
					if !yield(one(c.damage, where, name, after)) {
						return
					}
				}
			}
		}
	}
}

// change is what becomes of one byte.
type change struct {
	damage string
	to     byte
}

// bytesFor chooses how a byte is damaged: bits take turns.
func bytesFor(b byte, at int) []change {
	changes := []change{{"one bit flipped", b ^ 1<<((at*5+at/8)%8)}}
	if at%4 == 1 {
		changes = append(changes, change{"all bits flipped", b ^ 0xff})
	}
	if at%2 == 1 {
		changes = append(changes, change{"set to zero", 0})
	}
	return changes
}

// EveryLength cuts every file to every shorter length, and makes it longer.
func (s *Specimen) EveryLength() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, name := range s.names() {
			before := s.files[name]
			for length := range before {
				if !yield(one("cut off", fmt.Sprintf("%s after %d bytes", name, length), name, before[:length:length])) {
					return
				}
			}
			for _, more := range []int{1, 7, 8, 40, 511, 512, 513, 4096} {
				where := fmt.Sprintf("%d bytes after %s", more, name)
				zeros := append(slices.Clone(before), make([]byte, more)...)
				noise := slices.Clone(zeros)
				for i := len(before); i < len(noise); i++ {
					noise[i] = byte(i*131 + i>>8 + 77)
				}
				if !yield(one("zeros appended", where, name, zeros)) || !yield(one("noise appended", where, name, noise)) ||
					!yield(one("itself appended", where, name, append(slices.Clone(before), before[:min(more, len(before))]...))) {
					return
				}
			}
		}
	}
}
