package engine_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
)

// What a reader has seen may be nowhere but in the process yet: whoever waits for the
// log must not be let go before it has been written.
func TestWhatWasReadIsInTheLogOnceItIsWaitedFor(t *testing.T) {
	held, goOn := make(chan struct{}), make(chan struct{})
	var armed atomic.Bool
	points := schedule.New(0, func(p schedule.Point) {
		if p == schedule.LogWriting && armed.CompareAndSwap(true, false) {
			close(held)
			<-goOn
		}
	})
	store, err := engine.Open(t.TempDir(), &engine.Options{Manual: true, Schedule: points})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	fork, err := store.Fork(engine.MainFork)
	require.NoError(t, err)
	require.NoError(t, store.WaitLogged())
	require.NoError(t, fork.Set([]byte("k"), []byte("old"), engine.NoSync))
	require.NoError(t, store.WaitLogged())

	armed.Store(true)
	written := make(chan error, 1)
	go func() { written <- fork.Set([]byte("k"), []byte("new"), engine.NoSync) }()
	<-held
	value, err := fork.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "new", string(value), "it can be read before it is acknowledged")
	waited := make(chan error, 1)
	go func() { waited <- store.WaitLogged() }()
	select {
	case <-waited:
		t.Error("it did not wait for the log")
		waited <- nil
	case <-time.After(50 * time.Millisecond): // a wrong version returns at once
	}
	close(goOn)
	require.NoError(t, <-written)
	require.NoError(t, <-waited)
}
