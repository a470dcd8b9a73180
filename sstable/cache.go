package sstable

import (
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

const (
	maxCacheShards = 16
	// minShardBytes is the least capacity of a shard if there are several: a
	// block larger than its shard is never cached.
	minShardBytes = 8 << 20
	// entryOverheadBytes is what a cached block costs beside its bytes.
	entryOverheadBytes = 160
)

// Cache holds data blocks of all tables of a store, up to a number of bytes. It
// is safe for concurrent use. Blocks are ordinary garbage-collected memory: one
// that is thrown out stays good for whoever still reads it.
//
// A block is known by table id and offset inside the table, or, which is the
// same, by its number in the table. Each table has an array of pointers to its
// cached blocks, so a hit takes no lock and hashes nothing. What is thrown out
// is decided by CLOCK: a ring of blocks and a hand that spares each block used
// since it came by last. A block enters unused and behind the hand, so a scan
// that uses each block once displaces little but what the scan itself brought.
type Cache struct {
	shards []cacheShard
}

// cacheShard is a ring of its own with a share of the capacity; a block belongs
// to one shard for ever. Lock order: none is held while another is taken.
type cacheShard struct {
	hits   atomic.Uint64
	misses atomic.Uint64

	mu            sync.Mutex
	hand          *cacheEntry // the next to be looked at; nil if the ring is empty
	usedBytes     int64
	blocks        int
	capacityBytes int64

	_ [64]byte // keeps the counters of two shards off one cache line
}

// cacheEntry is a block in memory. Everything but referenced is immutable or
// guarded by the shard's lock.
type cacheEntry struct {
	block
	referenced atomic.Bool
	owner      *tableBlocks
	number     int

	next, previous *cacheEntry // in the ring; nil when not in it
}

func (e *cacheEntry) memoryBytes() int64 {
	return int64(cap(e.data)) + entryOverheadBytes
}

// CacheStats counts since the cache was made; Bytes and Blocks are what it holds.
type CacheStats struct {
	Hits, Misses  uint64
	Bytes         int64
	Blocks        int
	CapacityBytes int64
}

// NewCache makes a cache of about capacityBytes. With less than a block's size
// it holds nothing and everything still works.
func NewCache(capacityBytes int64) *Cache {
	shards := min(max(capacityBytes/minShardBytes, 1), maxCacheShards)
	c := &Cache{shards: make([]cacheShard, shards)}
	for i := range c.shards {
		c.shards[i].capacityBytes = max(capacityBytes, 0) / shards
	}
	return c
}

// Stats adds up the shards, one after the other.
func (c *Cache) Stats() CacheStats {
	var s CacheStats
	for i := range c.shards {
		shard := &c.shards[i]
		s.Hits += shard.hits.Load()
		s.Misses += shard.misses.Load()
		s.CapacityBytes += shard.capacityBytes
		shard.mu.Lock()
		s.Bytes += shard.usedBytes
		s.Blocks += shard.blocks
		shard.mu.Unlock()
	}
	return s
}

// tableBlocks is the cached part of one table, shared by all readers of the
// table id wherever its bytes lie. slots[i] holds block i while it is cached.
type tableBlocks struct {
	cache *Cache
	id    ids.TableID
	slots []atomic.Pointer[cacheEntry]
	dead  atomic.Bool // dropped: take nothing in any more
}

// newTableBlocks makes the array for a table that has that many blocks.
func (c *Cache) newTableBlocks(id ids.TableID, blocks int) *tableBlocks {
	return &tableBlocks{cache: c, id: id, slots: make([]atomic.Pointer[cacheEntry], blocks)}
}

func (t *tableBlocks) shard(number int) *cacheShard {
	h := (uint64(t.id)<<20 + uint64(number)) * 0x9e3779b97f4a7c15
	return &t.cache.shards[(h>>32)*uint64(len(t.cache.shards))>>32]
}

// get gives a block if it is cached, else nil. It takes no lock.
func (t *tableBlocks) get(number int) *cacheEntry {
	e := t.slots[number].Load()
	if e == nil {
		t.shard(number).misses.Add(1)
		return nil
	}
	t.shard(number).hits.Add(1)
	// Most hits find the mark set; reading it first keeps its cache line shared.
	if !e.referenced.Load() {
		e.referenced.Store(true)
	}
	return e
}

// put offers a block that was read and gives the one to use: the same, or the
// one that another reader put there meanwhile.
func (t *tableBlocks) put(number int, e *cacheEntry) *cacheEntry {
	s := t.shard(number)
	size := e.memoryBytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := t.slots[number].Load(); other != nil {
		return other
	}
	if t.dead.Load() || size > s.capacityBytes {
		return e
	}
	for s.usedBytes+size > s.capacityBytes {
		s.evictLocked()
	}
	e.owner, e.number = t, number
	s.insertLocked(e, size)
	t.slots[number].Store(e)
	return e
}

// drop takes the table's blocks out of the cache and lets no more in.
func (t *tableBlocks) drop() {
	t.dead.Store(true)
	// Whoever saw dead unset holds a shard's lock; once each lock has been held
	// here, no more blocks come.
	for i := range t.cache.shards {
		t.cache.shards[i].mu.Lock()
		//lint:ignore SA2001 the empty section is the barrier
		t.cache.shards[i].mu.Unlock()
	}
	for i := range t.slots {
		if t.slots[i].Load() == nil {
			continue
		}
		t.dropBlock(i)
	}
}

func (t *tableBlocks) dropBlock(i int) {
	s := t.shard(i)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := t.slots[i].Load(); e != nil {
		s.removeLocked(e)
	}
}

// evictLocked throws out the first block that was not used since the hand last
// passed it. The ring must not be empty.
func (s *cacheShard) evictLocked() {
	invariant.Check(s.hand != nil, "block cache: %d bytes used by no block", s.usedBytes)
	// Readers may mark blocks as fast as the hand clears them; two rounds are
	// enough to be fair.
	for range 2 * s.blocks {
		if !s.hand.referenced.Swap(false) {
			break
		}
		s.hand = s.hand.next
	}
	s.removeLocked(s.hand)
}

func (s *cacheShard) insertLocked(e *cacheEntry, size int64) {
	if s.hand == nil {
		e.next, e.previous = e, e
		s.hand = e
	} else {
		e.next, e.previous = s.hand, s.hand.previous
		e.previous.next, e.next.previous = e, e
	}
	s.usedBytes += size
	s.blocks++
}

func (s *cacheShard) removeLocked(e *cacheEntry) {
	e.owner.slots[e.number].Store(nil)
	if s.hand == e {
		s.hand = e.next
	}
	if s.hand == e {
		s.hand = nil
	}
	e.previous.next, e.next.previous = e.next, e.previous
	e.next, e.previous = nil, nil
	s.usedBytes -= e.memoryBytes()
	s.blocks--
	invariant.Check(s.usedBytes >= 0 && s.blocks >= 0, "block cache: %d bytes in %d blocks", s.usedBytes, s.blocks)
}
