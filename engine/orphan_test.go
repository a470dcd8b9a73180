package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// An open removes its own temporary of CURRENT, and what merely looks like one is
// somebody else's.
func TestAnOpenLeavesACopyOfCurrentAlone(t *testing.T) {
	disk := crashfs.New()
	require.NoError(t, open(t, "/db", small(disk)).Close())
	dir := filepath.Dir(names(disk, "CURRENT")[0])
	require.NoError(t, disk.WriteFile(dir+"/CURRENT.bak", []byte("mine")))
	require.NoError(t, disk.WriteFile(dir+"/CURRENT.tmp", []byte("begun")))
	require.NoError(t, open(t, "/db", small(disk)).Close())
	require.Contains(t, disk.Names(), dir+"/CURRENT.bak")
	require.NotContains(t, disk.Names(), dir+"/CURRENT.tmp")
}
