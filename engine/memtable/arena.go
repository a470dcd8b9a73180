package memtable

import "slices"

const (
	minChunkBytes = 64
	maxChunkBytes = 1 << 20
)

// arena hands out room for entries. It belongs to the writer; readers see its
// chunks only through the copy of the slice that the memtable publishes.
//
// The first few entries get chunks that just fit, later ones share chunks as
// large as all before together, up to 1 MiB: so a memtable holds at most about
// twice what was put in, however small it is, and the garbage collector has a
// few large objects without pointers to look at.
type arena struct {
	chunks chunks
	tail   uint32 // number of the chunk that is being filled
	used   uint32 // bytes of it
	bytes  int64  // of all chunks and of the slice that lists them
}

// alloc returns n bytes to be filled, and their place. An entry that would take
// more than a quarter of the next shared chunk gets a chunk of its own, which
// bounds what is lost at a chunk's end.
func (a *arena) alloc(n int) (ref, []byte) {
	if len(a.chunks) > 0 {
		if tail := a.chunks[a.tail]; len(tail)-int(a.used) >= n {
			at := a.used
			a.used += uint32(n)
			return ref(a.tail)<<32 | ref(at), tail[at : int(at)+n]
		}
	}
	chunkBytes := int(min(max(a.bytes, minChunkBytes), maxChunkBytes))
	if n > chunkBytes/4 {
		chunkBytes = n
	}
	i, chunk := a.grow(chunkBytes)
	if len(a.chunks) == 1 || len(chunk)-n > len(a.chunks[a.tail])-int(a.used) {
		a.tail, a.used = i, uint32(n)
	}
	return ref(i) << 32, chunk[:n]
}

// reserve makes one chunk for n bytes of entries to come, or a first one of
// many.
func (a *arena) reserve(n int64) {
	if n > 0 {
		a.tail, _ = a.grow(int(min(n, maxChunkBytes)))
	}
}

// grow adds a chunk of at least n bytes: what the runtime's size classes leave
// over is used too.
func (a *arena) grow(n int) (i uint32, chunk []byte) {
	chunk = slices.Grow([]byte(nil), n)
	chunk = chunk[:cap(chunk)]
	before := cap(a.chunks)
	if before < 4 {
		a.chunks = append(make(chunks, 0, len(a.chunks)+1), a.chunks...)
	}
	a.chunks = append(a.chunks, chunk)
	a.bytes += int64(cap(chunk)) + int64(cap(a.chunks)-before)*sliceBytes
	return uint32(len(a.chunks) - 1), chunk
}
