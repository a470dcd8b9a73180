package engine

import (
	"bytes"
	"fmt"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// newStuck gives a store with a fork whose node stays in memory, because its range delete
// ends in a block that cannot be read.
func newStuck(t *testing.T, o Options) (s *Store, main, bad *Fork) {
	disk := o.FS.(*crashfs.FS)
	o.CacheBytes, o.BlockBytes = 1, 256
	s, err := Open("/db", &o)
	require.NoError(t, err)
	main, err = s.Fork(MainFork)
	require.NoError(t, err)
	bad, err = main.Fork("bad")
	require.NoError(t, err)
	for i := range 200 {
		require.NoError(t, bad.Set(fmt.Appendf(nil, "k%03d", i), bytes.Repeat([]byte{byte(i)}, 50), NoSync))
	}
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	for _, name := range disk.Names() {
		if kind, _ := ids.ParseFileName(path.Base(name)); kind == ids.FileTable {
			data, err := disk.ReadFile(name)
			require.NoError(t, err)
			for i := range len(data) / 2 {
				data[i] ^= 1
			}
			require.NoError(t, disk.WriteFile(name, data))
		}
	}
	s, err = Open("/db", &o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	main, err = s.Fork(MainFork)
	require.NoError(t, err)
	bad, err = s.Fork("bad")
	require.NoError(t, err)
	require.NoError(t, bad.DeleteRange([]byte("k010"), []byte("k020")))
	require.ErrorIs(t, s.Flush(), errRanges)
	return s, main, bad
}

// A node that stays in memory takes a little of the memory there is for all forks. The
// others write on.
func TestAStuckNodeDoesNotKeepOtherForksFromWriting(t *testing.T) {
	s, main, bad := newStuck(t, Options{FS: crashfs.New(), MemtableBytes: 64 << 10})
	for i := range 4000 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "k%04d", i), make([]byte, 200), NoSync), "write %d", i)
	}
	require.ErrorIs(t, s.Flush(), errRanges)
	require.Less(t, s.Stats().MemoryNodes, 3)
	require.NoError(t, bad.Drop())
	require.NoError(t, s.Flush())
}

// Such a node keeps all of the log that is written after it. That has a bound, too, at
// which writers are told what to do.
func TestAStuckNodeKeepsTheLogNoLongerThanTwiceItsBound(t *testing.T) {
	disk := crashfs.New()
	o := Options{FS: disk, MemtableBytes: 64 << 10, SegmentBytes: 16 << 10, MaxLogBytes: 10 * 16 << 10}
	s, main, bad := newStuck(t, o)
	var failed error
	written := 0
	for ; failed == nil && written < 20_000; written++ {
		failed = main.Set(fmt.Appendf(nil, "k%06d", written), make([]byte, 200), NoSync)
	}
	require.ErrorIs(t, failed, errRanges)
	require.ErrorContains(t, failed, "2 times its bound")
	length := func() (total int64) {
		for _, name := range disk.Names() {
			if kind, _ := ids.ParseFileName(path.Base(name)); kind == ids.FileSegment {
				size, err := disk.Size(name)
				require.NoError(t, err)
				total += size
			}
		}
		return total
	}
	require.Greater(t, length(), o.MaxLogBytes, "one node does not stop the others at the bound")
	require.LessOrEqual(t, length(), 2*o.MaxLogBytes+3*o.SegmentBytes)
	_, err := main.Fork("more", NoSync)
	require.ErrorIs(t, err, errRanges)
	_, err = main.Get([]byte("k000000"))
	require.NoError(t, err)

	require.NoError(t, bad.Drop(NoSync), "what frees the log is not refused")
	require.Eventually(t, func() bool { return s.Settle() == nil }, 30*time.Second, time.Millisecond, "a flush may be at the node still")
	require.LessOrEqual(t, length(), o.MaxLogBytes)
	require.NoError(t, main.Set([]byte("k"), []byte("again")))
	for i := range written - 1 {
		_, err := main.Get(fmt.Appendf(nil, "k%06d", i))
		require.NoError(t, err, "it was acknowledged")
	}
}
