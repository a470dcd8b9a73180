package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A reader that had asked where a table lies before it was moved may open the old file
// once more, between its descriptor being closed and its name going. That must not keep
// the space of a file that has no name for as long as the descriptor is not needed
// for another.
func TestAReaderThatIsLateKeepsNoUnlinkedFile(t *testing.T) {
	disk := crashfs.New()
	var late func()
	s, err := Open("/db", &Options{
		FS: disk, Manual: true, SegmentBytes: 16 << 10, TableBytes: 8 << 10, CacheBytes: 1,
		Schedule: schedule.New(0, func(p schedule.Point) {
			if p == schedule.ReclaimUnlinking && late != nil {
				late()
			}
		}),
	})
	require.NoError(t, err)
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	for i := range 5 {
		f, err := main.Fork(fmt.Sprint("f", i))
		require.NoError(t, err)
		require.NoError(t, f.Set([]byte("b"), make([]byte, 100)))
	}
	require.NoError(t, s.Flush())
	require.Equal(t, 1, s.Stats().Files)
	s.mu.Lock()
	place := &s.mu.tree.ForkByName(MainFork).Top.Run.Tables[0].Place
	s.mu.Unlock()
	old := *place.Meta()
	for i := range 5 {
		f, err := s.Fork(fmt.Sprint("f", i))
		require.NoError(t, err)
		require.NoError(t, f.Drop())
	}
	read := 0
	late = func() {
		_, err := s.tables.Reader(&old)
		require.NoError(t, err)
		read++
	}
	require.NoError(t, s.Compact())
	require.Equal(t, 1, read)
	require.NotEqual(t, old.File, place.Meta().File)
	require.Equal(t, 1, s.Stats().Files)
	open := disk.OpenFiles()
	s.tables.ForgetFile(old.File)
	require.Equal(t, open, disk.OpenFiles(), "the old file is open and has no name")
	require.NoError(t, s.Close())
}
