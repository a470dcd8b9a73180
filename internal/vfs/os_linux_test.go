package vfs_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
)

func TestOSPreallocateReservesBlocks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := vfs.OS.Create(name)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Preallocate(1<<20))
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, info.Size())
	stat := info.Sys().(*syscall.Stat_t)
	require.GreaterOrEqual(t, int64(stat.Blocks)*512, int64(1<<20), "the file is a hole")
}
