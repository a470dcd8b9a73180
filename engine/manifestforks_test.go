package engine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// The forks of a rewritten manifest come from the tree, which is ahead of what was
// published: a fork of which the log holds nothing durable must not be found by the
// next open.
func TestARewrittenManifestIsNotAheadOfTheLog(t *testing.T) {
	for seed := range uint64(8) {
		disk := crashfs.New()
		s, err := Open("/db", &Options{FS: disk, Manual: true})
		require.NoError(t, err)
		main, err := s.Fork(MainFork)
		require.NoError(t, err)
		require.NoError(t, main.Set([]byte("a"), []byte("1")))
		child, err := main.Fork("child", NoSync)
		require.NoError(t, err)
		require.NoError(t, child.Set([]byte("b"), []byte("2"), NoSync))
		_, err = child.Fork("grandchild", NoSync)
		require.NoError(t, err)
		require.True(t, s.mu.tree.OwesForks())
		require.NoError(t, s.man.Rewrite())

		image := disk.PowerLoss(rand.New(rand.NewPCG(seed, 1)))
		require.NoError(t, s.Close())
		s, err = Open("/db", &Options{FS: image, Manual: true})
		require.NoError(t, err)
		f, err := s.Fork("grandchild")
		require.NoError(t, err, "the manifest that was switched to names it")
		f.has(t, "a", "1")
		f.has(t, "b", "2")
		require.NoError(t, s.Verify())
		require.NoError(t, s.Close())
	}
}

// A manifest is rewritten again and again while forks come and go, in another
// goroutine. What power loss leaves at any of those moments can be opened, and what
// was acknowledged is there.
func TestForksComeAndGoWhileTheManifestIsRewritten(t *testing.T) {
	disk := crashfs.New()
	s, err := Open("/db", &Options{FS: disk, Manual: true})
	require.NoError(t, err)
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	const standing = 1500 // some portions
	for i := range standing {
		_, err := main.Fork(fmt.Sprintf("standing-%04d", i), NoSync)
		require.NoError(t, err)
	}
	require.NoError(t, s.Sync())
	var stop atomic.Bool
	done := make(chan error)
	go func() {
		for !stop.Load() {
			if err := s.man.Rewrite(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	rng := rand.New(rand.NewPCG(3, 1))
	for i := range 60 {
		f, err := main.Fork(fmt.Sprintf("new-%04d", i))
		require.NoError(t, err)
		require.NoError(t, f.Set([]byte("k"), fmt.Append(nil, i), NoSync))
		gone, err := s.Fork(fmt.Sprintf("standing-%04d", rng.IntN(standing)))
		if err == nil {
			require.NoError(t, gone.Drop())
		}
		if i%10 == 9 {
			image := disk.PowerLoss(rng)
			again, err := Open("/db", &Options{FS: image, Manual: true})
			require.NoError(t, err)
			for j := range i + 1 {
				_, err := again.Fork(fmt.Sprintf("new-%04d", j))
				require.NoError(t, err, "fork %d was acknowledged", j)
			}
			if gone != nil {
				_, err = again.Fork(gone.Name())
				require.ErrorIs(t, err, ErrForkNotFound, "its drop was acknowledged")
			}
			require.NoError(t, again.Verify())
			require.NoError(t, again.Close())
		}
	}
	stop.Store(true)
	require.NoError(t, <-done)
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
	s, err = Open("/db", &Options{FS: disk, Manual: true})
	require.NoError(t, err)
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}
