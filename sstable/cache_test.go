package sstable

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeBlock is a cache entry of the given size.
func fakeBlock(bytes int) *cacheEntry {
	return &cacheEntry{block: block{data: make([]byte, bytes-entryOverheadBytes)}}
}

func TestCacheKeepsWithinItsCapacity(t *testing.T) {
	c := NewCache(10_000)
	table := c.newTableBlocks(1, 100)
	for i := range 100 {
		require.Nil(t, table.get(i))
		e := fakeBlock(1000)
		require.Same(t, e, table.put(i, e))
		require.Same(t, e, table.get(i))
		require.LessOrEqual(t, c.Stats().Bytes, int64(10_000))
	}
	require.Equal(t, CacheStats{Hits: 100, Misses: 100, Bytes: 10_000, Blocks: 10, CapacityBytes: 10_000}, c.Stats())
	huge := fakeBlock(10_001)
	require.Same(t, huge, table.put(0, huge), "a block larger than the cache is handed back")
	require.Nil(t, table.get(0))
	require.Equal(t, 10, c.Stats().Blocks, "and throws nothing out")
}

func TestCacheOfOneByteHoldsNothing(t *testing.T) {
	for _, capacity := range []int64{1, 0, -5} {
		c := NewCache(capacity)
		table := c.newTableBlocks(1, 1)
		table.put(0, fakeBlock(200))
		require.Nil(t, table.get(0))
		require.Zero(t, c.Stats().Bytes)
	}
}

func TestCacheSparesWhatWasUsed(t *testing.T) {
	c := NewCache(10_000)
	table := c.newTableBlocks(1, 1000)
	for i := range 10 {
		table.put(i, fakeBlock(1000))
	}
	for i := 10; i < 1000; i++ { // a scan: each block is put and never used again
		require.NotNil(t, table.get(3))
		table.put(i, fakeBlock(1000))
	}
	require.NotNil(t, table.get(3), "a block that is used survives a scan")
	require.Nil(t, table.get(4))
	require.NotNil(t, table.get(999))
}

func TestCacheGivesTheBlockThatWasThereFirst(t *testing.T) {
	table := NewCache(10_000).newTableBlocks(1, 1)
	first := table.put(0, fakeBlock(1000))
	require.Same(t, first, table.put(0, fakeBlock(1000)))
}

func TestCacheForgetsATable(t *testing.T) {
	c := NewCache(1 << 30) // several shards
	require.Len(t, c.shards, maxCacheShards)
	a, b := c.newTableBlocks(1, 500), c.newTableBlocks(2, 500)
	for i := range 500 {
		a.put(i, fakeBlock(1000))
		b.put(i, fakeBlock(1000))
	}
	used := 0
	for i := range c.shards {
		if c.shards[i].blocks > 20 {
			used++
		}
	}
	require.Greater(t, used, maxCacheShards/2, "blocks are spread over the shards")
	a.drop()
	require.Equal(t, 500, c.Stats().Blocks)
	require.Equal(t, int64(500_000), c.Stats().Bytes)
	for i := range 500 {
		require.Nil(t, a.get(i))
		require.NotNil(t, b.get(i))
	}
	a.put(7, fakeBlock(1000))
	require.Nil(t, a.get(7), "a dropped table takes nothing in")
	b.drop()
	require.Zero(t, c.Stats().Bytes)
}

// Many goroutines on a cache that is too small, tables dropped under them: in the
// end nothing is left over.
func TestCacheUnderConcurrentUse(t *testing.T) {
	c := NewCache(20_000)
	tables := make([]*tableBlocks, 8)
	for i := range tables {
		tables[i] = c.newTableBlocks(1, 50)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 4000 {
				table, number := tables[(i*7+g)%len(tables)], (i*13+g*5)%50
				if table.get(number) == nil {
					table.put(number, fakeBlock(500+number))
				}
				if i == 2000 {
					tables[g].drop()
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, c.Stats().Bytes, int64(20_000))
	for i, table := range tables {
		held := 0
		for j := range table.slots {
			if table.slots[j].Load() != nil {
				held++
			}
		}
		if i < 4 {
			require.Zero(t, held, "a dropped table holds nothing")
		}
		table.drop()
	}
	require.Zero(t, c.Stats().Bytes)
	require.Zero(t, c.Stats().Blocks)
}
