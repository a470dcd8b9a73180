package memtable

import (
	"bytes"
	"encoding/binary"
)

// fanout is the number of slots of a tree node. With it a leaf and the 8 bytes
// that Go's allocator puts before an object with pointers just fit into 1 KiB,
// one of its size classes; 64 would take 1152 bytes.
const fanout = 61

// headsInFirstLine is how many heads there are before the first multiple of 64,
// the length of a cache line: 8 bytes of the allocator's, 32 of other fields.
const headsInFirstLine = 3

// slots is the sorted array of keys that leaves and inner nodes have in common.
// A key is a ref to an entry plus a head: the 8 bytes that follow the prefix
// all keys of the node share, big-endian, so that most comparisons are between
// two numbers and touch no entry. A short key is padded with zeros; equal heads
// say nothing, and then the entries decide.
//
// Invariants: keys rise strictly; prefixBytes is at most the length of the
// common prefix of all keys, and may be less; prefixTail and heads fit it.
type slots struct {
	count       int32
	prefixBytes int32
	prefixTail  uint64 // the last 8 bytes of the prefix, or all of it
	heads       [fanout]uint64
	refs        [fanout]ref
}

// head is the 8 bytes of key from byte skip on.
func head(key []byte, skip int) uint64 {
	if len(key) >= skip+8 {
		return binary.BigEndian.Uint64(key[skip:])
	}
	var b [8]byte
	if skip < len(key) {
		copy(b[:], key[skip:])
	}
	return binary.BigEndian.Uint64(b[:])
}

// sharedBytes is the length of the common prefix of a and b.
func sharedBytes(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if binary.LittleEndian.Uint64(a[i:]) != binary.LittleEndian.Uint64(b[i:]) {
			break
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// tail is the last 8 bytes of key[:end], or all of it if that is less.
func tail(key []byte, end int) uint64 {
	if end >= 8 {
		return binary.BigEndian.Uint64(key[end-8:])
	}
	return head(key, 0) >> (64 - 8*uint(end))
}

// firstHead is the number of slots whose head is below h. A binary search would
// wait for one cache line after the other. Here the first loop asks for one
// head of each line, all at once, and the second looks through a single line;
// neither has a branch that depends on a head.
func (s *slots) firstHead(h uint64) int {
	n := int(s.count)
	lo, hi := 0, headsInFirstLine
	for i := headsInFirstLine; i < n; i += 8 {
		if s.heads[i] < h {
			lo, hi = i, i+8
		}
	}
	at := lo
	for _, other := range s.heads[lo:min(hi, n)] {
		if other < h {
			at++
		}
	}
	return at
}

// find is the slot of key, or -1. It reads entries only if heads are equal, and
// need not look at the prefix: a key without it equals none.
func (s *slots) find(c chunks, key []byte) int {
	h := head(key, int(s.prefixBytes))
	at := s.firstHead(h)
	if at >= int(s.count) || s.heads[at] != h {
		return -1
	}
	if bytes.Equal(c.key(s.refs[at]), key) {
		return at
	}
	at, found := s.among(c, key, h, at)
	if !found {
		return -1
	}
	return at
}

// search is the number of keys below key, and whether the next one equals it.
// The caller knows that key and all keys of the node share their first known
// bytes.
func (s *slots) search(c chunks, key []byte, known int) (at int, found bool) {
	n := int(s.count)
	if n == 0 {
		return 0, false
	}
	skip := int(s.prefixBytes)
	h := head(key, skip)
	at = s.firstHead(h)
	if skip > known && !(skip <= known+8 && skip <= len(key) && tail(key, skip) == s.prefixTail) {
		// The heads are right only for a key with the prefix, and what the node
		// has of it is too little or differs. Any entry shows all of it.
		near := c.key(s.refs[min(at, n-1)])
		if len(key) < skip || string(key[:skip]) != string(near[:skip]) {
			if bytes.Compare(key, near) < 0 {
				return 0, false
			}
			return n, false
		}
	}
	if at == n || s.heads[at] != h {
		return at, false
	}
	return s.among(c, key, h, at)
}

// among searches the slots from lo on that have the head h, for a key with the
// node's prefix.
func (s *slots) among(c chunks, key []byte, h uint64, lo int) (at int, found bool) {
	hi := lo + 1
	for hi < int(s.count) && s.heads[hi] == h {
		hi++
	}
	for lo < hi {
		mid := (lo + hi) / 2
		switch cmp := bytes.Compare(c.key(s.refs[mid]), key); {
		case cmp == 0:
			return mid, true
		case cmp < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// insert puts key at slot at, where search found that it belongs. There must be
// a free slot.
func (s *slots) insert(c chunks, at int, key []byte, r ref) {
	n := int(s.count)
	switch {
	case n == 0:
		s.prefixBytes, s.prefixTail = int32(len(key)), tail(key, len(key))
	case at == 0 || at == n: // only a key at an end can lack the prefix
		near := c.key(s.refs[0])
		if shared := sharedBytes(near, key); shared < int(s.prefixBytes) {
			s.loosen(near, shared)
		}
	}
	copy(s.heads[at+1:n+1], s.heads[at:n])
	copy(s.refs[at+1:n+1], s.refs[at:n])
	s.heads[at] = head(key, int(s.prefixBytes))
	s.refs[at] = r
	s.count++
}

// loosen shortens the prefix to skip bytes. The bytes that the heads gain are
// the same for all keys, so any one of them is enough.
func (s *slots) loosen(key []byte, skip int) {
	gain := int(s.prefixBytes) - skip
	for i := range s.heads[:s.count] {
		if gain >= 8 {
			s.heads[i] = head(key, skip)
			continue
		}
		keep := uint(gain) * 8
		s.heads[i] = head(key, skip)>>(64-keep)<<(64-keep) | s.heads[i]>>keep
	}
	s.prefixBytes, s.prefixTail = int32(skip), tail(key, skip)
}

// tighten lengthens the prefix if that makes the heads tell much more. It reads
// every entry, so a gain of a few bytes is left for a later split.
func (s *slots) tighten(c chunks) {
	n := int(s.count)
	if n == 0 {
		return
	}
	shared := sharedBytes(c.key(s.refs[0]), c.key(s.refs[n-1]))
	if shared < int(s.prefixBytes)+4 {
		return
	}
	s.setPrefix(c, shared)
}

// setPrefix makes the first skip bytes, which all keys share, the prefix.
func (s *slots) setPrefix(c chunks, skip int) {
	for i, r := range s.refs[:s.count] {
		s.heads[i] = head(c.key(r), skip)
	}
	s.prefixBytes, s.prefixTail = int32(skip), tail(c.key(s.refs[0]), skip)
}

// moveTail moves the slots from at on to to, which is empty.
func (s *slots) moveTail(at int, to *slots) {
	to.count = int32(copy(to.refs[:], s.refs[at:s.count]))
	copy(to.heads[:], s.heads[at:s.count])
	to.prefixBytes, to.prefixTail = s.prefixBytes, s.prefixTail
	s.count = int32(at)
}
