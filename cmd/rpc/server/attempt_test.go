package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/cmd/rpc/wire"
	"github.com/tinedb/tine/engine"
)

// withRequests opens a store and its memory of batches, at a time that the test sets.
func withRequests(t *testing.T, now *time.Time) *requests {
	store, err := engine.Open(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	own, err := openSystem(store)
	require.NoError(t, err)
	r, err := openRequests(store, own, time.Hour, func() time.Time { return *now })
	require.NoError(t, err)
	return r
}

func idOf(b byte, at time.Time) *tinepb.RequestId {
	return &tinepb.RequestId{Id: append(make([]byte, idBytes-1), b), CreatedUnixMs: at.UnixMilli()}
}

func TestWhoWaitsForABatchThatFailsAppliesIt(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := withRequests(t, &now)
	first, applied, err := r.begin(t.Context(), idOf(1, now), 7)
	require.NoError(t, err)
	require.False(t, applied)

	type outcome struct {
		a       *attempt
		applied bool
		err     error
	}
	second := make(chan outcome)
	go func() {
		a, applied, err := r.begin(context.Background(), idOf(1, now), 7)
		second <- outcome{a, applied, err}
	}()
	select {
	case <-second:
		require.Fail(t, "it did not wait for the first")
	case <-time.After(10 * time.Millisecond):
	}
	first.end(errors.New("it failed, and wrote nothing"))
	got := <-second
	require.NoError(t, got.err)
	require.False(t, got.applied)
	require.NotNil(t, got.a)

	third := make(chan outcome)
	go func() {
		a, applied, err := r.begin(context.Background(), idOf(1, now), 7)
		third <- outcome{a, applied, err}
	}()
	b := r.store.NewBatch()
	got.a.addTo(b)
	require.NoError(t, b.Commit(engine.NoSync))
	got.a.end(nil)
	last := <-third
	require.NoError(t, last.err)
	require.True(t, last.applied)
	require.Empty(t, r.running)
}

func TestWhoWaitsForABatchMayStopWaiting(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := withRequests(t, &now)
	first, _, err := r.begin(t.Context(), idOf(1, now), 7)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = r.begin(ctx, idOf(1, now), 7)
	require.ErrorIs(t, err, wire.ErrCanceled)
	first.end(nil)
}

// A batch may be under way for longer than the window. Its row must be there for whoever
// asks, and so nothing of its age is deleted before it has ended.
func TestRowsAreKeptWhileABatchOfTheirTimeIsUnderWay(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := withRequests(t, &now)
	write := func(a *attempt) {
		b := r.store.NewBatch()
		a.addTo(b)
		require.NoError(t, b.Commit(engine.NoSync))
		a.end(nil)
	}
	slow, _, err := r.begin(t.Context(), idOf(1, now), 7)
	require.NoError(t, err)
	later, _, err := r.begin(t.Context(), idOf(2, now.Add(time.Minute)), 7)
	require.NoError(t, err)
	write(later)
	now = now.Add(2 * time.Hour)
	next, _, err := r.begin(t.Context(), idOf(3, now), 7)
	require.NoError(t, err)
	write(next)
	newest, err := r.newest(now.Add(-time.Hour).UnixMilli())
	require.NoError(t, err)
	require.Equal(t, later.id.created, newest, "a row that is younger than a batch under way was deleted")
	write(slow)
	now = now.Add(time.Hour / 2)
	next, _, err = r.begin(t.Context(), idOf(4, now), 7)
	require.NoError(t, err)
	next.end(nil)
	newest, err = r.newest(now.Add(-time.Hour).UnixMilli())
	require.NoError(t, err)
	require.EqualValues(t, -1, newest)
}
