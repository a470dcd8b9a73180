package fuzz

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A process died between the making of the store's directory and the sync of the
// directory above. The next one finds it there.
func TestADirectoryThatADeadProcessMadeIsMadeDurable(t *testing.T) {
	disk := crashfs.New()
	require.NoError(t, disk.MkdirAll(storeDir))
	left := disk.AfterKill()
	s, err := engine.Open(storeDir, &engine.Options{FS: left, Manual: true})
	require.NoError(t, err)
	f, err := s.Fork("main")
	require.NoError(t, err)
	require.NoError(t, f.Set([]byte("k"), []byte("v"))) // synced
	require.NoError(t, s.Close())
	s, err = engine.Open(storeDir, &engine.Options{FS: left.PowerLossStrict(), Manual: true, MustExist: true})
	require.NoError(t, err)
	f, err = s.Fork("main")
	require.NoError(t, err)
	v, err := f.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "v", string(v))
	require.NoError(t, s.Close())
}
