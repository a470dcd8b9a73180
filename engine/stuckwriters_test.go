package engine

import (
	"bytes"
	"fmt"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A node that stays in memory, because its range delete ends in a block that cannot
// be read, takes a little of the memory there is for all forks. The others write on.
func TestAStuckNodeDoesNotKeepOtherForksFromWriting(t *testing.T) {
	disk := crashfs.New()
	o := &Options{FS: disk, MemtableBytes: 64 << 10, CacheBytes: 1, BlockBytes: 256}
	s, err := Open("/db", o)
	require.NoError(t, err)
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	bad, err := main.Fork("bad")
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
	s, err = Open("/db", o)
	require.NoError(t, err)
	defer s.Close()
	main, err = s.Fork(MainFork)
	require.NoError(t, err)
	bad, err = s.Fork("bad")
	require.NoError(t, err)
	require.NoError(t, bad.DeleteRange([]byte("k010"), []byte("k020")))
	require.ErrorIs(t, s.Flush(), errRanges)
	for i := range 4000 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "k%04d", i), make([]byte, 200), NoSync), "write %d", i)
	}
	require.ErrorIs(t, s.Flush(), errRanges)
	require.Less(t, s.Stats().MemoryNodes, 3)
	require.NoError(t, bad.Drop())
	require.NoError(t, s.Flush())
}
