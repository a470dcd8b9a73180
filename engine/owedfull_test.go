package engine

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func usedBytes(disk *crashfs.FS) (used int64) {
	for _, name := range disk.Names() {
		n, err := disk.Size("/" + name)
		if err == nil { // else the background has just removed it
			used += n
		}
	}
	return used
}

// On a full disk the log has space ready for tens of thousands of forks. What they owe
// the manifest must not use up what that holds ready, or a drop gives no space back.
func TestForksOnAFullDiskLeaveRoomForADrop(t *testing.T) {
	for name, opts := range map[string]Options{
		"published in the background": {},
		"published by the caller":     {Manual: true},
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashfs.New()
			opts.FS, opts.SegmentBytes = disk, 4<<20
			s, err := Open("/db", &opts)
			require.NoError(t, err)
			main, err := s.Fork(MainFork)
			require.NoError(t, err)
			big, err := main.Fork("big")
			require.NoError(t, err)
			value := make([]byte, 64<<10)
			rand.New(rand.NewSource(1)).Read(value)
			for i := range 300 {
				require.NoError(t, big.Set(fmt.Appendf(nil, "%06d", i), value, NoSync))
			}
			require.NoError(t, s.Flush())
			if !opts.Manual {
				require.NoError(t, s.Settle())
			}
			full := usedBytes(disk)
			disk.SetCapacity(full)
			made := 0
			for ; err == nil; made++ {
				require.Less(t, made, 100_000)
				_, err = main.Fork(fmt.Sprintf("a-name-that-is-neither-short-nor-long-%07d", made), NoSync)
			}
			made--
			require.ErrorIs(t, err, ErrNoSpace)
			require.NotErrorIs(t, err, ErrIndeterminate)
			image := disk.AfterKill()

			require.NoError(t, big.Drop())
			if opts.Manual {
				require.NoError(t, s.Compact())
			}
			require.Eventually(t, func() bool { return usedBytes(disk) < full-15<<20 }, 20*time.Second, 10*time.Millisecond, "the drop gives no space back")
			_, err = main.Fork("one-more")
			require.NoError(t, err)
			require.Equal(t, made+2, s.Stats().Forks)
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())

			// An open may need more than there is. It takes nothing away.
			opts.FS = image
			image.SetCapacity(full)
			if s, err = Open("/db", &opts); err == nil {
				require.NoError(t, s.Close())
			} else {
				require.ErrorIs(t, err, ErrNoSpace)
			}
			image.SetCapacity(0)
			s, err = Open("/db", &opts)
			require.NoError(t, err)
			require.Equal(t, made+2, s.Stats().Forks)
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())
		})
	}
}
