package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADurationCountsInTheFirstBucketWhoseBoundIsNotBelowIt(t *testing.T) {
	last := LatencyBound(latencyBuckets - 1)
	for _, c := range []struct {
		name   string
		d      time.Duration
		bucket int
	}{
		{"nothing", 0, 0},
		{"a clock that went back", -time.Second, 0},
		{"the first bound", LatencyBound(0), 0},
		{"just above the first bound", LatencyBound(0) + 1, 1},
		{"the second bound", LatencyBound(1), 1},
		{"just above the second bound", LatencyBound(1) + 1, 2},
		{"the last bound", last, latencyBuckets - 1},
		{"just above the last bound", last + 1, latencyBuckets},
		{"an hour", time.Hour, latencyBuckets},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h histogram
			h.observe(c.d)
			l := h.latency()
			require.Equal(t, uint64(1), l.Count)
			require.Equal(t, c.d, l.Sum)
			require.Equal(t, uint64(1), l.Buckets[c.bucket], "%v", l.Buckets)
		})
	}
}

func TestMergeLagRunsFromTheLastRestUntilTheNext(t *testing.T) {
	rested := time.Now()
	now := rested.Add(time.Minute)
	for _, c := range []struct {
		name string
		w    worker
		lag  time.Duration
	}{
		{"nothing to do", worker{rested: rested, begun: 3, done: 3}, 0},
		{"something to do", worker{rested: rested, begun: 3, done: 3, pending: true}, time.Minute},
		{"at work", worker{rested: rested, begun: 4, done: 3}, time.Minute},
		{"rested after now was read", worker{rested: now.Add(1), begun: 4, done: 3}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := background{merge: c.w}
			require.Equal(t, c.lag, b.mergeLag(now))
		})
	}
}
