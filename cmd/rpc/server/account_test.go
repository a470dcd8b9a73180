package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// someShares are of a node with room for n bytes.
func someShares(n int64) *shares {
	return newShares(Limits{MaxBytesInFlight: n, MaxReceiveBytes: 1, MaxInFlight: 10, MaxScans: 8})
}

func TestAnAccountGivesBackWhatItTook(t *testing.T) {
	x := someShares(100)
	a := &account{shares: x, whose: make(map[*share]int64)}
	start := time.Unix(1000, 0)
	who, other := &share{name: "a"}, &share{name: "b"}
	require.False(t, a.take(who, 60, 0, 50, start), "more than one connection may leave")
	require.True(t, a.take(who, 60, 0, 80, start))
	require.False(t, a.take(who, 60, 0, 200, start), "more than there is")
	require.EqualValues(t, 60, x.used(someBytes))
	require.True(t, a.stuck(start.Add(time.Second)))
	a.taken(who, 10, start.Add(2*time.Second))
	require.False(t, a.stuck(start.Add(time.Second)), "it has taken an answer since")
	require.True(t, a.stuck(start.Add(3*time.Second)))
	require.True(t, a.take(other, 20, 0, 80, start))
	a.close()
	a.close()
	require.Zero(t, x.used(someBytes))
	require.Zero(t, who.held[someBytes])
	require.Zero(t, other.held[someBytes])
	a.taken(who, 50, start) // the library lets go of it late
	require.Zero(t, x.used(someBytes), "given back twice")
	require.False(t, a.take(who, 1, 0, 100, start))
	require.False(t, a.stuck(start.Add(time.Hour)))
}
