package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

func TestCallsComeBackWithTime(t *testing.T) {
	now := time.Unix(1000, 0)
	x := &rates{most: 100, now: func() time.Time { return now }, used: make(map[string]*usage)}
	r := Rates{Calls: 10}
	for range 10 {
		require.NoError(t, x.begin("a", r))
	}
	err := x.begin("a", r)
	require.ErrorIs(t, err, wire.ErrOverloaded)
	after, _ := wire.RetryAfter(err)
	require.InDelta(t, 0.1, after.Seconds(), 0.01)
	require.NoError(t, x.begin("b", r))
	now = now.Add(after)
	require.NoError(t, x.begin("a", r), "it may when it was told that it may")
	require.Error(t, x.begin("a", r))
	now = now.Add(time.Hour)
	for range 10 {
		require.NoError(t, x.begin("a", r), "no more than one second's worth is saved up")
	}
	require.Error(t, x.begin("a", r))
}

func TestBytesAreOwedUntilTheyHaveComeBack(t *testing.T) {
	now := time.Unix(1000, 0)
	x := &rates{most: 100, now: func() time.Time { return now }, used: make(map[string]*usage)}
	r := Rates{Bytes: 1000}
	require.NoError(t, x.begin("a", r))
	x.spend("a", r, 5000)
	after, _ := wire.RetryAfter(x.begin("a", r))
	require.InDelta(t, 4, after.Seconds(), 0.1)
	now = now.Add(after)
	require.NoError(t, x.begin("a", r))
	now = now.Add(time.Hour)
	require.NoError(t, x.begin("a", r))
	x.spend("a", r, 5000)
	require.Error(t, x.begin("a", r), "no more than one second's worth is saved up")
	now = now.Add(time.Minute)
	require.NoError(t, x.begin("a", r))
	now = now.Add(-time.Hour) // a clock that goes back gives nothing and takes nothing
	require.NoError(t, x.begin("a", r))
}

func TestWhoHasNoQuotaIsNotRemembered(t *testing.T) {
	x := &rates{most: 100, now: time.Now, used: make(map[string]*usage)}
	require.NoError(t, x.begin("a", Rates{}))
	x.spend("a", Rates{}, 1e9)
	require.Empty(t, x.used)
}

func TestNobodyGainsByBeingForgotten(t *testing.T) {
	now := time.Unix(1000, 0)
	x := &rates{most: 10, now: func() time.Time { return now }, used: make(map[string]*usage)}
	r := Rates{Calls: 5, Bytes: 1000}
	let := map[string]int{} // calls that each was let do, all at the same moment
	for round := range 20 {
		for i := range 20 {
			name := fmt.Sprint(i)
			for x.begin(name, r) == nil {
				let[name]++
			}
		}
		if round == 0 {
			require.Equal(t, 5, let["0"])
		}
	}
	for name, n := range let {
		require.LessOrEqual(t, n, 5, "%s was forgotten, and had a new burst", name)
	}
	now = now.Add(time.Second)
	for i := range 5 {
		require.NoError(t, x.begin("new", r), "call %d: all who were forgotten are whole again", i)
	}

	slow := Rates{Bytes: 1} // of two kinds of callers, each has their own rates
	require.NoError(t, x.begin("slow", slow))
	x.spend("slow", slow, 100)
	for i := range 200 {
		_ = x.begin(fmt.Sprint("many ", i), r)
	}
	require.Contains(t, x.used, "slow", "those who owe most are remembered")
	now = now.Add(time.Second)
	require.NoError(t, x.begin("another", r), "nobody pays for them")
}

func TestSoManyAreRememberedAndThoseInDebtLongest(t *testing.T) {
	now := time.Unix(1000, 0)
	x := &rates{most: 100, now: func() time.Time { return now }, used: make(map[string]*usage)}
	r := Rates{Calls: 1, Bytes: 1}
	for i := range 40 {
		name := fmt.Sprint("debtor ", i)
		require.NoError(t, x.begin(name, r))
		x.spend(name, r, 1e6)
	}
	now = now.Add(time.Minute)
	for i := range 1000 {
		_ = x.begin(fmt.Sprint(i), r)
		require.LessOrEqual(t, len(x.used), 100)
		now = now.Add(2 * time.Second)
	}
	for i := range 40 {
		require.Error(t, x.begin(fmt.Sprint("debtor ", i), r))
	}
}
