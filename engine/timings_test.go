package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

func TestTimingsCountWhatIsDoneWithEachKindOfFile(t *testing.T) {
	disk := crashfs.New()
	s, err := engine.Open("db", &engine.Options{FS: disk, Manual: true, CacheBytes: 1})
	require.NoError(t, err)
	main, err := s.Fork(engine.MainFork)
	require.NoError(t, err)

	before := s.Timings()
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range 10 {
		require.NoError(t, main.Set(fmt.Appendf(nil, "k%d", i), value))
	}
	written := s.Timings()
	require.Equal(t, uint64(10), written.Log.SyncTimes.Count-before.Log.SyncTimes.Count, "one writer: a sync each")
	require.GreaterOrEqual(t, written.Log.BytesWritten-before.Log.BytesWritten, uint64(10_000))
	require.Zero(t, written.Tables.BytesWritten)
	require.Zero(t, written.Flushes.Count)

	for i := range 2 {
		require.NoError(t, main.Set([]byte("k0"), fmt.Append(nil, i)))
		require.NoError(t, s.Flush())
	}
	flushed := s.Timings()
	require.Equal(t, uint64(2), flushed.Flushes.Count)
	require.NotZero(t, flushed.Tables.BytesWritten)
	require.NotZero(t, flushed.Tables.SyncTimes.Count)
	require.NotZero(t, flushed.DirSyncs.Count)
	require.Greater(t, flushed.Manifest.SyncTimes.Count, before.Manifest.SyncTimes.Count)

	_, err = main.Get([]byte("k5"))
	require.NoError(t, err)
	read := s.Timings()
	require.Greater(t, read.Tables.BytesRead, flushed.Tables.BytesRead)
	require.NotZero(t, read.Tables.ReadTimes.Count, "the first of sixteen is timed")
	require.Less(t, read.Tables.ReadTimes.Count, read.Tables.Reads+1)

	u, err := s.DiskUsage()
	require.NoError(t, err)
	require.Equal(t, s.Stats().Files, u.TableFiles)
	require.GreaterOrEqual(t, u.TableBytes, int64(s.Stats().TableBytes))
	require.GreaterOrEqual(t, u.LogBytes, int64(s.Stats().WALBytes))
	require.NotZero(t, u.ManifestBytes)
	require.NotZero(t, u.OtherBytes, "CURRENT")
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())

	_, err = s.DiskUsage()
	require.ErrorIs(t, err, engine.ErrClosed)
}

func TestMergesLagBehindOnlyUntilTheyAreAtRest(t *testing.T) {
	s, err := engine.Open("db", &engine.Options{FS: crashfs.New()})
	require.NoError(t, err)
	main, err := s.Fork(engine.MainFork)
	require.NoError(t, err)
	for i := range 12 {
		require.NoError(t, main.Set([]byte("k"), fmt.Append(nil, i)))
		require.NoError(t, s.Flush())
	}
	require.NoError(t, s.Settle())
	require.Eventually(t, func() bool { return s.Timings().MergeLag == 0 }, 20*time.Second, time.Millisecond)
	require.NotZero(t, s.Timings().Merges.Count)
	require.NoError(t, s.Close())
}

func TestHealthTellsWhyWritesAreRefused(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	s, err := engine.Open("db", &engine.Options{FS: faults, Manual: true})
	require.NoError(t, err)
	require.NoError(t, s.Health())
	main, err := s.Fork(engine.MainFork)
	require.NoError(t, err)

	broken := errors.New("the disk is gone")
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Err: broken})
	require.Error(t, main.Set([]byte("k"), []byte("v")))
	require.ErrorIs(t, s.Health(), engine.ErrPoisoned)
	require.ErrorIs(t, s.Health(), broken, "and what has stopped it")
	_ = s.Close()
	require.ErrorIs(t, s.Health(), engine.ErrClosed)

	s, err = engine.Open("db", &engine.Options{FS: disk, ReadOnly: true})
	require.NoError(t, err)
	require.ErrorIs(t, s.Health(), engine.ErrReadOnly)
	require.Zero(t, s.Timings().MergeLag)
	require.NoError(t, s.Close())
}
