package manifest

import (
	"encoding/binary"
	"slices"
)

// nameSlabs keep the names of forks without a pointer to each: a slab for each class
// of lengths, eight bytes apart. Names lie densely in their slab, the last one takes
// the place of one that goes; so each says whose it is.
type nameSlabs [maxSlabName/8 + 2]nameSlab

// maxSlabName is the longest name that a slab takes. What Check allows is less.
const maxSlabName = 255

func (s *nameSlabs) slab(nameBytes uint8) *nameSlab {
	class := (int(nameBytes) + 7) / 8
	slab := &s[class]
	slab.entryBytes = slotBytes + 8*class
	return slab
}

func (s *nameSlabs) clone() (out nameSlabs) {
	for i := range s {
		out[i] = s[i]
		out[i].chunks = make([][]byte, len(s[i].chunks))
		for j, chunk := range s[i].chunks {
			out[i].chunks[j] = slices.Clone(chunk)
		}
	}
	return out
}

// nameSlab holds names of about one length. An entry is the slot of the record that
// it belongs to, and the name's bytes.
type nameSlab struct {
	chunks     [][]byte
	n          int
	entryBytes int
}

const (
	namesPerChunk = 64
	slotBytes     = 4
)

func (s *nameSlab) entry(i uint32) []byte {
	at := int(i%namesPerChunk) * s.entryBytes
	return s.chunks[i/namesPerChunk][at : at+s.entryBytes]
}

func (s *nameSlab) get(i uint32) []byte         { return s.entry(i)[slotBytes:] }
func (s *nameSlab) slot(i uint32) uint32        { return binary.LittleEndian.Uint32(s.entry(i)) }
func (s *nameSlab) setSlot(i uint32, to uint32) { binary.LittleEndian.PutUint32(s.entry(i), to) }

// add keeps a name of the record in slot, and gives the name's place.
func (s *nameSlab) add(slot uint32, name string) uint32 {
	if s.n == len(s.chunks)*namesPerChunk {
		s.chunks = append(s.chunks, make([]byte, namesPerChunk*s.entryBytes))
	}
	i := uint32(s.n)
	s.n++
	s.setSlot(i, slot)
	copy(s.get(i), name)
	return i
}

// remove takes a name away. If another moves into its place, it says whose.
func (s *nameSlab) remove(i uint32) (moved uint32, ok bool) {
	s.n--
	last := uint32(s.n)
	if i != last {
		copy(s.entry(i), s.entry(last))
		moved, ok = s.slot(i), true
	}
	if keep := s.n/namesPerChunk + 2; len(s.chunks) > keep {
		s.chunks[len(s.chunks)-1] = nil
		s.chunks = s.chunks[:keep]
	}
	return moved, ok
}
