package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Writers who wait for a flush leave the processor to it. Each used to wake all others
// before it waited again, and these it.
func TestWritersThatWaitDoNotKeepEachOtherAwake(t *testing.T) {
	for name, o := range map[string]*Options{
		"for memory":  {MemtableBytes: 64 << 10},
		"for the log": {MemtableBytes: 1 << 30, SegmentBytes: 16 << 10, MaxLogBytes: 96 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			o.FS = crashfs.New()
			o.Schedule = schedule.New(0, func(p schedule.Point) {
				if p == schedule.FlushWritten {
					<-release
				}
			})
			s, err := Open("/db", o)
			require.NoError(t, err)
			main, err := s.Fork(MainFork)
			require.NoError(t, err)
			const writers = 3
			var wg sync.WaitGroup
			var ended atomic.Bool
			for g := range writers {
				wg.Go(func() {
					for i := 0; !ended.Load(); i++ {
						if err := main.Set(fmt.Appendf(nil, "%d-%d", g, i), make([]byte, 500), NoSync); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			stalled := func() bool { return s.counter.stalls.Load() >= writers }
			require.Eventually(t, stalled, time.Minute, time.Millisecond)
			woken := 0
			b := &s.back
			wg.Go(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				for !ended.Load() {
					b.cond.Wait()
					woken++
				}
			})
			time.Sleep(100 * time.Millisecond) // for as long as they may be busy
			b.mu.Lock()
			often := woken
			b.mu.Unlock()
			ended.Store(true)
			close(release)
			b.announce()
			wg.Wait()
			require.Less(t, often, 50)
			require.NoError(t, s.Close())
		})
	}
}
