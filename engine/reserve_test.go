package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Numbers are reserved in the manifest by the block. A store that uses up several
// blocks and is killed must find what it has written below the last reservation:
// otherwise numbers could be given out twice, and an open says so.
func TestNumbersAreReservedBeforeTheyAreUsed(t *testing.T) {
	const writes, forks = 150_000, 200
	disk := crashfs.New()
	s := open(t, "/db", &engine.Options{FS: disk, Manual: true})
	f := fork(t, s, engine.MainFork)
	for i := range writes {
		require.NoError(t, f.Set([]byte("k"), fmt.Append(nil, i), engine.NoSync))
	}
	for i := range forks {
		_, err := f.Fork(fmt.Sprint(i), engine.NoSync)
		require.NoError(t, err)
	}
	for _, image := range []*crashfs.FS{disk.AfterKill(), disk.PowerLossAll()} {
		s := open(t, "/db", &engine.Options{FS: image, Manual: true})
		v, err := fork(t, s, engine.MainFork).Get([]byte("k"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(writes-1), string(v))
		require.Equal(t, forks+1, s.Stats().Forks)
		require.NoError(t, s.Close())
	}
}
