package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/engine"
	points "github.com/tinedb/tine/internal/schedule"
)

// A worker that begins while an open still looks for orphans would see its new
// tables taken for some.
func TestNoWorkerBeginsWhileAnOpenRemovesOrphans(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	g, err := ground()
	require.NoError(t, err)
	disk := g.disk.AfterKill()
	require.NoError(t, disk.WriteFile(storeDir+"/009999.sst", []byte("left by a job that a crash ended")))

	watch, crowd := newWatcher(), newCrowd()
	held := newStop(points.OrphanRemoving)
	watch.arm(nil, held, nil)
	done := make(chan struct{})
	var s *engine.Store
	var failed error
	go func() {
		defer close(done)
		s, failed = engine.Open(storeDir, settings(disk, tight, points.New(1, watch.reach)))
	}()
	there, err := crowd.until(held.reached)
	require.NoError(t, err)
	require.True(t, there)
	_, err = crowd.until(nil)
	require.NoError(t, err)
	require.Zero(t, watch.turns(), "a worker has begun")
	release(held)
	require.NoError(t, ended(done))
	require.NoError(t, failed)
	require.NoError(t, s.Settle())
	require.Positive(t, watch.turns())
	require.NoError(t, s.Verify())
	require.NotContains(t, disk.Names(), storeDir+"/009999.sst")
	require.NoError(t, s.Close())
	require.Zero(t, disk.OpenFiles())
}
