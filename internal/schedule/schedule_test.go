package schedule

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANilScheduleLetsEverybodyPass(t *testing.T) {
	var s *Schedule
	s.Reach(CloseBegun)
	require.Zero(t, s.RewriteBytes())
	require.Zero(t, testing.AllocsPerRun(10, func() { s.Reach(WritePlaced) }))
}

func TestReachTellsThePoint(t *testing.T) {
	var got []Point
	s := New(7, func(p Point) { got = append(got, p) })
	s.Reach(LogSyncing)
	s.Reach(CloseEnding)
	require.Equal(t, []Point{LogSyncing, CloseEnding}, got)
	require.EqualValues(t, 7, s.RewriteBytes())
}

func TestSomebodyWhoIsWatchedRestsAtAPoint(t *testing.T) {
	var got []Point
	New(0, func(p Point) { got = append(got, p) }).Rest(MarksSwept, math.MaxInt64)
	require.Equal(t, []Point{MarksSwept}, got)
}

func TestEveryPointHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for p := range Points {
		require.NotEmpty(t, p.String())
		require.False(t, seen[p.String()], "%s twice", p)
		seen[p.String()] = true
	}
}

func TestAnEagerScheduleWatchesAsBefore(t *testing.T) {
	var none *Schedule
	require.False(t, none.IsEager())
	none.Walked()
	walked, reached := 0, 0
	s := New(7, func(Point) { reached++ })
	require.False(t, s.IsEager())
	s.Walked()
	for i, e := range []*Schedule{none.Eager(func() { walked++ }), s.Eager(func() { walked++ })} {
		require.True(t, e.IsEager())
		e.Walked()
		e.Reach(LogSyncing)
		require.Equal(t, i+1, walked)
		require.Equal(t, i, reached)
		require.EqualValues(t, 7*i, e.RewriteBytes())
	}
}
