package engine

import (
	"fmt"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A drop of thousands of forks frees more nodes, tables and vectors than the manifest
// holds space ready for. On a full disk that must not keep their files from going: they
// are the space.
func TestADropOfManyForksFreesAFullDisk(t *testing.T) {
	const forks, atOnce = 4 * 1024, 1024
	disk := crashfs.New()
	s, err := Open("/db", &Options{FS: disk, Manual: true, SegmentBytes: 2 << 20, TableBytes: 64 << 10})
	require.NoError(t, err)
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "ca", "cb"} {
		require.NoError(t, main.Set([]byte(key), []byte("v"), NoSync))
	}
	require.NoError(t, s.Flush())
	var all []*Fork
	for first := 0; first < forks; first += atOnce {
		var names []string
		for i := range atOnce {
			names = append(names, fmt.Sprintf("f%05d", first+i))
		}
		some, err := main.ForkMany(names, NoSync)
		require.NoError(t, err)
		all = append(all, some...)
	}
	for _, key := range []string{"a", "b"} {
		b := s.NewBatch()
		for _, f := range all {
			b.Set(f, []byte("own-"+key), []byte("v"))
			b.Delete(f, []byte(key))
			b.Delete(f, []byte("c"+key))
		}
		require.NoError(t, b.Commit(NoSync))
		require.NoError(t, s.Flush())
	}
	require.Greater(t, s.Stats().Nodes, 2*forks)

	// The disk gets full when half of the space is left that the manifest holds ready.
	manifestBytes := func() int64 {
		n, err := disk.Size(path.Join("/db", ids.ManifestName(s.man.FileNum())))
		require.NoError(t, err)
		return n
	}
	writes := 0 // from one growth of the file to the next
	for growths, bytes := 0, manifestBytes(); growths < 2; writes++ {
		require.NoError(t, s.man.Sync(s.reserve().at))
		if now := manifestBytes(); now != bytes {
			growths, bytes, writes = growths+1, now, writes*growths
		}
	}
	for range writes * 15 / 16 {
		require.NoError(t, s.man.Sync(s.reserve().at))
	}
	used := int64(0)
	for _, name := range disk.Names() {
		n, err := disk.Size("/" + name)
		require.NoError(t, err)
		used += n
	}
	disk.SetCapacity(used)
	files := s.Stats().Files
	n, err := s.DropPrefix("f")
	require.NoError(t, err)
	require.Equal(t, forks, n)
	require.NoError(t, s.Compact())
	require.Less(t, s.Stats().Files, files)
	require.Equal(t, 1, s.Stats().Nodes)
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}
