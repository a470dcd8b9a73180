package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Each of many nested forks has rows of its own in memory, and as all are alive, what
// is merged for a path comes on top of what it was merged of. A turn stops that where
// writers would have to wait for memory, and flushes.
func TestMemoryThatIsMergedForManyPathsIsBounded(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	for i := range 1000 {
		next, err := f.Fork(fmt.Sprint("step-", i), NoSync)
		require.NoError(t, err)
		for j := range 20 {
			require.NoError(t, next.Set(fmt.Appendf(nil, "%06d", i*20+j), []byte("value"), NoSync))
		}
		f = next
	}
	s.mu.Lock()
	s.back.memory.watch = s.mu.tree.Watch()
	s.mu.Unlock()
	raw := s.nodeBytes()
	s.opts.MemtableBytes = raw * 3 / 4
	require.NoError(t, s.tendMemory())
	merged := s.counter.consolidations.Load()
	require.NotZero(t, merged, "there was room for some")
	flushed := int64(s.counter.memoryFlushed.Load())
	require.Greater(t, flushed, raw)
	require.Less(t, flushed, 2*raw, "what is there, and half as much until the bound is met")
	require.Zero(t, s.nodeBytes())
	require.NoError(t, s.Verify())
}
