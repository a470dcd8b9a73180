package server_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// The row of a batch may be seen although the batch is not durable. A node that took
// it for an acknowledgement would lose what it acknowledged.
func TestABatchOfUnknownOutcomeIsNotTakenForApplied(t *testing.T) {
	dir := t.TempDir()
	faults := faultfs.New(vfs.OS)
	store, err := engine.Open(dir, &engine.Options{FS: faults})
	require.NoError(t, err)
	n := serve(t, dir, store, server.Options{})
	applied := batch(newClock().id(), "main", "k", "v")
	applied.NoSync = false
	require.True(t, n.write(applied))
	unknown := batch(newClock().id(), "main", "k", "w")
	unknown.NoSync = false
	faults.Inject(faultfs.Rule{Op: faultfs.OpSync, Match: func(name string) bool { return strings.HasSuffix(name, ".wal") }, Err: syscall.EIO})
	err = failed(n.Write(t.Context(), unknown))
	require.ErrorIs(t, err, engine.ErrIndeterminate)
	require.ErrorIs(t, err, engine.ErrPoisoned)
	for range 3 {
		err = failed(n.Write(t.Context(), unknown))
		require.ErrorIs(t, err, engine.ErrIndeterminate)
		require.ErrorIs(t, err, engine.ErrPoisoned)
	}
	other := batch(newClock().id(), "main", "k", "x")
	require.ErrorIs(t, failed(n.Write(t.Context(), other)), engine.ErrPoisoned)
	other.RequestId = nil
	err = failed(n.Write(t.Context(), other))
	require.ErrorIs(t, err, engine.ErrPoisoned)
	require.NotErrorIs(t, err, engine.ErrIndeterminate, "this one was certainly not written")
	n.stop()
	_ = store.Close()

	n = startNodeIn(t, dir, server.Options{})
	require.False(t, n.write(applied))
	n.write(unknown)
	require.Equal(t, "w", n.get(fork("main"), "k"))
	require.False(t, n.write(unknown))
}

func TestAFullDiskIsSaidToBeFull(t *testing.T) {
	faults := faultfs.New(vfs.OS)
	dir := t.TempDir()
	store, err := engine.Open(dir, &engine.Options{FS: faults, SegmentBytes: 16 << 10})
	require.NoError(t, err)
	n := serve(t, dir, store, server.Options{})
	faults.Inject(faultfs.Rule{Op: faultfs.OpPreallocate, Err: syscall.ENOSPC, Sticky: true})
	m := batch(newClock().id(), "main", "k", strings.Repeat("x", 10<<10))
	for err == nil {
		m.RequestId = newClock().id()
		err = failed(n.Write(t.Context(), m))
	}
	require.ErrorIs(t, err, engine.ErrNoSpace)
	faults.Clear()
	require.True(t, n.write(m), "nothing was written, so the same batch is written now")
	n.close()
}

// A store that is open for reading serves those who read.
func TestAReadOnlyStoreIsServed(t *testing.T) {
	for _, was := range []string{"never served", "served before"} {
		t.Run(was, func(t *testing.T) {
			dir := t.TempDir()
			store, err := engine.Open(dir, nil)
			require.NoError(t, err)
			main, err := store.Fork("main")
			require.NoError(t, err)
			require.NoError(t, main.Set([]byte("k"), []byte("v")))
			if was == "served before" {
				serve(t, dir, store, server.Options{}).close()
			} else {
				require.NoError(t, store.Close())
			}
			store, err = engine.Open(dir, &engine.Options{ReadOnly: true})
			require.NoError(t, err)
			n := serve(t, dir, store, server.Options{})
			require.Equal(t, "v", n.get(fork("main"), "k"))
			answer, err := n.About(t.Context(), &tinepb.AboutRequest{})
			require.NoError(t, err)
			require.True(t, answer.GetReadOnly())
			m := batch(newClock().id(), "main", "k", "w")
			require.ErrorIs(t, failed(n.Write(t.Context(), m)), engine.ErrReadOnly)
			m.RequestId = nil
			require.ErrorIs(t, failed(n.Write(t.Context(), m)), engine.ErrReadOnly)
			n.stop()
			require.NoError(t, store.Close())
		})
	}
}
