package server

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// takes is how many of a resource a caller gets, one by one.
func (x *shares) takes(who *share, r resource) (n int) {
	for x.take(who, r, 1, 0) {
		n++
	}
	return n
}

func TestACallerHoldsNoMoreThanTheyLeave(t *testing.T) {
	x := someShares(120)
	a, b, c := &share{name: "a"}, &share{name: "b"}, &share{name: "c"}
	require.Equal(t, 60, x.takes(a, someBytes), "alone, a half")
	require.Equal(t, 30, x.takes(b, someBytes), "a half of what is left")
	x.give(a, someBytes, 60)
	require.Equal(t, 30, x.takes(b, someBytes), "now b is alone")
	require.Equal(t, 30, x.takes(a, someBytes))
	require.Equal(t, 15, x.takes(c, someBytes))
	x.give(a, someBytes, 30)
	x.give(b, someBytes, 60)
	x.give(c, someBytes, 15)
	for range 200 { // three who take in turn what they get
		for _, who := range []*share{a, b, c} {
			x.take(who, someBytes, 1, 0)
		}
	}
	require.EqualValues(t, []int64{30, 30, 30}, []int64{a.held[someBytes], b.held[someBytes], c.held[someBytes]})
	require.True(t, x.take(&share{name: "d"}, someBytes, 30, 0), "who holds nothing may have all that is left")
	require.False(t, x.take(&share{name: "e"}, someBytes, 1, 0))
}

func TestACallAloneMayTakeMoreThanAHalf(t *testing.T) {
	x := someShares(100)
	a := &share{name: "a"}
	require.True(t, x.take(a, someBytes, 70, 0))
	require.False(t, x.take(a, someBytes, 10, 0), "this is another call's")
	require.True(t, x.take(a, someBytes, 10, 70), "the same call's")
	require.False(t, x.take(a, someBytes, 21, 80))
	x.force(a, someBytes, 100)
	require.EqualValues(t, 180, x.used(someBytes))
	require.False(t, x.take(&share{name: "b"}, someBytes, 1, 0))
}

func TestACallIsNobodysUntilItIsKnownWhoseItIs(t *testing.T) {
	x := someShares(100) // and ten calls
	var mine []*share
	for range 5 {
		require.True(t, x.enter(laneCalls))
		mine = append(mine, x.join("a", laneCalls))
		require.NotNil(t, mine[len(mine)-1])
	}
	require.True(t, x.enter(laneCalls))
	require.Nil(t, x.join("a", laneCalls), "a sixth of ten")
	require.NotNil(t, x.join("b", laneCalls))
	for range 4 {
		require.True(t, x.enter(laneCalls))
	}
	require.False(t, x.enter(laneCalls), "an eleventh")
	require.True(t, x.enter(laneHealth), "another lane's")
	for range 4 {
		x.leave(nil, laneCalls)
	}
	x.leave(nil, laneHealth)
	x.leave(x.of["b"], laneCalls)
	for _, who := range mine {
		require.Same(t, who, x.of["a"])
		x.leave(who, laneCalls)
	}
	require.Empty(t, x.of, "who holds nothing is not remembered")
	require.Zero(t, x.used(someCalls))
}

func TestAShareIsRememberedAsLongAsAnyOfItIsHeld(t *testing.T) {
	x := someShares(100)
	require.True(t, x.enter(laneCalls))
	a := x.join("a", laneCalls)
	require.True(t, x.take(a, someBytes, 40, 0))
	x.leave(a, laneCalls) // the answer is still under way
	require.True(t, x.enter(laneCalls))
	require.Same(t, a, x.join("a", laneCalls), "a new share of whom the answer does not count")
	x.give(a, someBytes, 40)
	x.leave(a, laneCalls)
	require.Empty(t, x.of)
}

func TestWhoWaitsForRoomGetsItBeforeThoseWhoMayNotHaveIt(t *testing.T) {
	x := someShares(16) // and as many messages that arrive
	a, b := &share{name: "a"}, &share{name: "b"}
	require.Equal(t, 8, x.takes(a, someReceiving))
	wait := func(who *share) (got chan bool) {
		got = make(chan bool, 1)
		before := len(x.waiters())
		go func() { got <- x.wait(context.Background(), who, someReceiving, time.Hour) }()
		require.Eventually(t, func() bool { return len(x.waiters()) == before+1 }, time.Minute, time.Millisecond)
		return got
	}
	require.Equal(t, 4, x.takes(b, someReceiving))
	of, ofB := wait(a), wait(b)
	x.give(a, someReceiving, 2) // 6 left, and 6 are a's
	require.True(t, <-ofB, "b has 5, and leaves 5")
	require.Equal(t, []*share{a}, x.waiters())
	x.give(a, someReceiving, 2)
	require.True(t, <-of)
	require.EqualValues(t, 5, a.held[someReceiving])
	require.EqualValues(t, 10, x.used(someReceiving))
}

// waiters are those who wait for room for their messages.
func (x *shares) waiters() (who []*share) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, w := range x.pools[someReceiving].waiting {
		who = append(who, w.who)
	}
	return who
}

func TestWhoStopsWaitingTakesNothing(t *testing.T) {
	x := someShares(16)
	a := &share{name: "a"}
	held := x.takes(a, someReceiving)
	require.False(t, x.wait(context.Background(), a, someReceiving, time.Millisecond))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.False(t, x.wait(ctx, a, someReceiving, time.Hour))
	require.Empty(t, x.waiters())
	require.EqualValues(t, held, x.used(someReceiving))

	for range 100 { // who stops waiting as they are let in, and may have seen either
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan bool)
		go func() { got <- x.wait(ctx, a, someReceiving, time.Hour) }()
		require.Eventually(t, func() bool { return len(x.waiters()) == 1 }, time.Minute, 10*time.Microsecond)
		x.mu.Lock()
		cancel()
		x.giveLocked(a, someReceiving, 1)
		x.mu.Unlock()
		require.True(t, <-got, "it has got the room, and must know")
		require.EqualValues(t, held, x.used(someReceiving))
	}
}
