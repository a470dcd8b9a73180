package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnAccountGivesBackWhatItTook(t *testing.T) {
	b := &budget{most: 100}
	a := &account{bytes: b}
	start := time.Unix(1000, 0)
	require.False(t, a.take(60, 50, start), "more than one connection may leave")
	require.True(t, a.take(60, 80, start))
	require.False(t, a.take(60, 200, start), "more than there is")
	require.EqualValues(t, 60, b.used.Load())
	require.True(t, a.stuck(start.Add(time.Second)))
	a.taken(10, start.Add(2*time.Second))
	require.False(t, a.stuck(start.Add(time.Second)), "it has taken an answer since")
	require.True(t, a.stuck(start.Add(3*time.Second)))
	a.close()
	a.close()
	require.Zero(t, b.used.Load())
	a.taken(50, start) // the library lets go of it late
	require.Zero(t, b.used.Load(), "given back twice")
	require.False(t, a.take(1, 100, start))
	require.False(t, a.stuck(start.Add(time.Hour)))
}
