package sstable

import (
	"math/bits"
	"sort"
	"unsafe"
)

// rankedSet is a set of numbers that answers how many members are less than a
// number, and which is the nth. It is immutable and may be used concurrently.
//
// The numbers are cut into chunks of 65536. A chunk without gaps is two numbers,
// one with few members lists them, any other has one bit for each number: at most
// about one bit for each number that the chunks span, and 16 for each member.
type rankedSet struct {
	chunks []rankedChunk // by rising high, none empty
}

const (
	chunkBits       = 16
	chunkWords      = 1 << chunkBits / 64
	groupWords      = 64
	rankedChunkSize = int64(unsafe.Sizeof(rankedChunk{}))
)

// rankedChunk holds the members that have their upper bits in common.
type rankedChunk struct {
	high   uint32 // these bits: a member is high<<16 | low
	before uint32 // members in the chunks before this one
	count  uint32
	first  uint16   // lowest low; with neither few nor words the others follow it without a gap
	few    []uint16 // every low, rising
	words  []uint64 // a bit for every low
	groups []uint16 // for every 64 of the words: the members in the words before it
}

// rankedBuilder makes a rankedSet of numbers that come in rising order. It costs
// one bit set per number; a chunk gets its form when the next one begins.
type rankedBuilder struct {
	set   rankedSet
	high  uint32
	words []uint64 // bits of the chunk being built, up to its last member
}

// add takes the next number in.
func (b *rankedBuilder) add(n uint64) {
	word := int(n>>6) & (chunkWords - 1)
	if uint32(n>>chunkBits) != b.high || word >= len(b.words) {
		b.extend(uint32(n>>chunkBits), word)
	}
	b.words[word] |= 1 << (n & 63)
}

// extend makes room for a word of a chunk, which may be a new one.
func (b *rankedBuilder) extend(high uint32, word int) {
	if high != b.high {
		b.seal()
		b.high = high
	}
	for len(b.words) <= word {
		b.words = append(b.words, 0)
	}
}

// seal gives the chunk being built its form and empties the builder's words.
func (b *rankedBuilder) seal() {
	if len(b.words) == 0 {
		return
	}
	c := rankedChunk{high: b.high}
	if n := len(b.set.chunks); n > 0 {
		c.before = b.set.chunks[n-1].before + b.set.chunks[n-1].count
	}
	for _, word := range b.words {
		c.count += uint32(bits.OnesCount64(word))
	}
	end := len(b.words)*64 - bits.LeadingZeros64(b.words[len(b.words)-1])
	for i, word := range b.words {
		if word != 0 {
			c.first = uint16(i*64 + bits.TrailingZeros64(word))
			break
		}
	}
	switch {
	case end-int(c.first) == int(c.count):
	case 2*int(c.count) <= 8*len(b.words):
		c.few = make([]uint16, 0, c.count)
		for i, word := range b.words {
			for ; word != 0; word &= word - 1 {
				c.few = append(c.few, uint16(i*64+bits.TrailingZeros64(word)))
			}
		}
	default:
		c.words = make([]uint64, len(b.words))
		copy(c.words, b.words)
		c.groups = make([]uint16, 0, (len(b.words)+groupWords-1)/groupWords)
		n := 0
		for i, word := range c.words {
			if i%groupWords == 0 {
				c.groups = append(c.groups, uint16(n))
			}
			n += bits.OnesCount64(word)
		}
	}
	b.set.chunks = append(b.set.chunks, c)
	b.words = b.words[:0]
}

// finish gives the set. The builder is not to be used again.
func (b *rankedBuilder) finish() rankedSet {
	b.seal()
	b.words = nil
	return b.set
}

// len gives the number of members.
func (s *rankedSet) len() uint32 {
	if len(s.chunks) == 0 {
		return 0
	}
	last := &s.chunks[len(s.chunks)-1]
	return last.before + last.count
}

// rank gives the number of members that are less than n.
func (s *rankedSet) rank(n uint64) uint32 {
	high := n >> chunkBits
	i := sort.Search(len(s.chunks), func(i int) bool { return uint64(s.chunks[i].high) >= high })
	if i == len(s.chunks) {
		return s.len()
	}
	c := &s.chunks[i]
	if uint64(c.high) != high {
		return c.before
	}
	return c.before + c.rank(uint32(n)&(1<<chunkBits-1))
}

// rank gives the number of members whose low bits are less than low.
func (c *rankedChunk) rank(low uint32) uint32 {
	switch {
	case low <= uint32(c.first):
		return 0
	case c.few != nil:
		return uint32(sort.Search(len(c.few), func(i int) bool { return uint32(c.few[i]) >= low }))
	case c.words == nil:
		return min(low-uint32(c.first), c.count)
	}
	word := int(low >> 6)
	if word >= len(c.words) {
		return c.count
	}
	group := word / groupWords
	n := uint32(c.groups[group])
	for _, w := range c.words[group*groupWords : word] {
		n += uint32(bits.OnesCount64(w))
	}
	return n + uint32(bits.OnesCount64(c.words[word]&(1<<(low&63)-1)))
}

// member gives the member that has rank others before it; rank is less than len.
func (s *rankedSet) member(rank uint32) uint64 {
	c := &s.chunks[s.chunkOf(rank)]
	return uint64(c.high)<<chunkBits | uint64(c.member(rank-c.before))
}

// chunkOf gives the chunk that holds the member with rank others before it.
func (s *rankedSet) chunkOf(rank uint32) int {
	return sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].before > rank }) - 1
}

// member gives the low bits of the member with that many others of the chunk
// before it.
func (c *rankedChunk) member(rank uint32) uint32 {
	switch {
	case c.few != nil:
		return uint32(c.few[rank])
	case c.words == nil:
		return uint32(c.first) + rank
	}
	group := sort.Search(len(c.groups), func(i int) bool { return uint32(c.groups[i]) > rank }) - 1
	left := int(rank) - int(c.groups[group])
	for i := group * groupWords; ; i++ {
		word := c.words[i]
		if n := bits.OnesCount64(word); left >= n {
			left -= n
			continue
		}
		for ; left > 0; left-- {
			word &= word - 1
		}
		return uint32(i*64 + bits.TrailingZeros64(word))
	}
}

// stretches calls yield with the members of rank from ≤ rank < to, in order, as
// stretches first ≤ member < end without a gap; neighbouring ones may touch. It
// costs time linear in what it gives, and two searches.
func (s *rankedSet) stretches(from, to uint32, yield func(first, end uint64)) {
	for from < to {
		c := &s.chunks[s.chunkOf(from)]
		until := min(to, c.before+c.count)
		c.stretches(from-c.before, until-c.before, uint64(c.high)<<chunkBits, yield)
		from = until
	}
}

func (c *rankedChunk) stretches(from, to uint32, base uint64, yield func(first, end uint64)) {
	switch {
	case c.few != nil:
		for _, low := range c.few[from:to] {
			yield(base+uint64(low), base+uint64(low)+1)
		}
		return
	case c.words == nil:
		yield(base+uint64(c.first)+uint64(from), base+uint64(c.first)+uint64(to))
		return
	}
	low := int(c.member(from))
	word := c.words[low>>6] &^ (1<<(low&63) - 1)
	for i, left := low>>6, int(to-from); left > 0; {
		if word == 0 {
			i++
			word = c.words[i]
			continue
		}
		at := bits.TrailingZeros64(word)
		n := min(bits.TrailingZeros64(^(word >> at)), left)
		yield(base+uint64(i*64+at), base+uint64(i*64+at+n))
		left -= n
		word = word >> (at + n) << (at + n) // shifts by 64 give 0
	}
}

// memoryBytes is the memory that the set holds.
func (s *rankedSet) memoryBytes() int64 {
	n := int64(cap(s.chunks)) * rankedChunkSize
	for i := range s.chunks {
		c := &s.chunks[i]
		n += int64(2*cap(c.few) + 8*cap(c.words) + 2*cap(c.groups))
	}
	return n
}
