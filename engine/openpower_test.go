package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A process is killed at every call of a flush and a merge, so that the next one
// may read a manifest that is not durable. Then power is lost at every call of its
// open. Whatever of that survives, the files that the surviving manifest names are
// there.
func TestAnOpenRemovesNothingBeforeItsManifestIsDurable(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	f := fork(t, s, engine.MainFork)
	for i := range 3 {
		require.NoError(t, f.Set([]byte("a"), fmt.Append(nil, i)))
		require.NoError(t, s.Flush())
	}
	require.NoError(t, f.Set([]byte("a"), []byte("last")))
	var killed []*crashfs.FS
	disk.OnMutation(func(int) { killed = append(killed, disk.AfterKill()) })
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	disk.OnMutation(nil)
	require.Positive(t, s.Stats().Merges)

	rng := rand.New(rand.NewPCG(1, 3))
	volatile := 0
	for n, base := range killed {
		if names, files := base.Volatile(); names+files > 0 {
			volatile++
		}
		for k := 1; ; k++ {
			again := base.AfterKill()
			again.KillAt(k)
			if s, err := engine.Open("/db", small(again)); err == nil {
				_ = s.Close()
			}
			if !again.Killed() {
				require.Greater(t, k, 10)
				break
			}
			for range 2 {
				image := again.PowerLoss(rng)
				s, err := engine.Open("/db", small(image))
				require.NoError(t, err, "killed at call %d, power lost at call %d of the open", n, k)
				v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
				require.NoError(t, err)
				require.Equal(t, "last", string(v))
				require.NoError(t, s.Verify())
				require.NoError(t, s.Close())
			}
		}
	}
	require.Positive(t, volatile)
}
