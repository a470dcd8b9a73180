package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// The last reader of files that are garbage wakes whoever removes them. Timers, which
// would come by in the end, are put off.
func TestFilesGoWithTheIteratorThatKeptThem(t *testing.T) {
	disk := crashfs.New()
	s, err := Open("/db", &Options{FS: disk})
	require.NoError(t, err)
	defer s.Close()
	s.back.mu.Lock()
	s.back.idle.after, s.back.resting.after = time.Hour, time.Hour
	s.back.mu.Unlock()
	tables := func() (n int) {
		names, err := disk.List("/db")
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, ".sst") {
				n++
			}
		}
		return n
	}
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	child, err := main.Fork("child")
	require.NoError(t, err)
	require.NoError(t, child.Set([]byte("a"), []byte("1")))
	require.NoError(t, s.Flush())
	it, err := child.NewIter(Range{})
	require.NoError(t, err)
	require.True(t, it.First())
	require.NoError(t, child.Drop())
	require.NoError(t, s.Settle())
	time.Sleep(50 * time.Millisecond) // a turn that began late would do what nobody woke it for
	require.Equal(t, 1, tables())
	require.True(t, it.Valid())
	require.NoError(t, it.Close())
	require.Eventually(t, func() bool { return tables() == 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, s.Verify())
}
