package tree

import (
	"bytes"
)

// stored is what the store holds under one path at the start of an import.
type stored struct {
	found   bool // there is a header that this package wrote
	entry   Entry
	content []byte // of an inline entry; aliases the iterator's value
	key     bool   // there is a value at the path's own key, whatever it is
	chunks  []uint32
}

// whole tells whether the entry can be trusted to have all its bytes.
func (s *stored) whole() bool {
	if !s.found || uint64(len(s.chunks)) != uint64(s.entry.Chunks) {
		return false
	}
	for i, n := range s.chunks {
		if n != uint32(i) {
			return false
		}
	}
	return true
}

// lookup reads what is stored at key and in its chunks. It costs one seek, and a
// read of the chunks if there are any. The content is valid until the iterator
// moves, which is why inline entries stop before moving on only if they may.
func lookup(it Rows, key []byte) (stored, error) {
	var s stored
	it.SeekGE(key)
	if it.Valid() && bytes.Equal(it.Key(), key) {
		s.key = true
		if e, content, err := Parse(it.Value()); err == nil {
			s.found, s.entry = true, e
			// A link's target is compared as it is; it is short, so it is copied.
			if e.Kind == Symlink {
				s.content = bytes.Clone(content)
			}
		}
		it.Next()
	}
	for ; it.Valid() && bytes.HasPrefix(it.Key(), key); it.Next() {
		_, n, isChunk, ok := splitChunk(it.Key()[len(key):])
		if !isChunk || !ok || len(it.Key()) != len(key)+chunkSuffixLen {
			break
		}
		s.chunks = append(s.chunks, n)
	}
	return s, it.Error()
}
