package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// What writers are held back by is counted up and down: what a drop or a reset
// discards no longer counts, or else writers would stall for ever one day.
func TestDiscardedMemtablesNoLongerCount(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	main := fork(t, s, engine.MainFork)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	require.NoError(t, s.Verify())
	before := s.Stats().MemtableBytes
	require.Positive(t, before)

	child, err := main.Fork("child", engine.NoSync)
	require.NoError(t, err)
	require.NoError(t, child.Set([]byte("b"), []byte("2")))
	require.NoError(t, s.Verify())
	require.Greater(t, s.Stats().MemtableBytes, before)
	require.NoError(t, child.Reset(main))
	require.NoError(t, s.Verify(), "after a reset")
	require.Equal(t, before, s.Stats().MemtableBytes)

	require.NoError(t, child.Set([]byte("b"), []byte("3")))
	require.NoError(t, child.Drop())
	require.NoError(t, s.Verify(), "after a drop")
	require.Equal(t, before, s.Stats().MemtableBytes)

	require.NoError(t, main.Set([]byte("c"), []byte("4")))
	require.NoError(t, s.Flush())
	require.NoError(t, s.Verify())
	require.Zero(t, s.Stats().MemtableBytes, "all is in tables")

	require.NoError(t, main.Set([]byte("d"), []byte("5")))
	require.NoError(t, s.Close())
	s = open(t, "/db", small(disk))
	require.NoError(t, s.Verify(), "after a reopen")
	require.NoError(t, s.Close())
}
