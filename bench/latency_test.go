package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryTimeLiesInItsBucketAndBucketsTouch(t *testing.T) {
	last := bucketOf(1<<63 - 1)
	require.Less(t, last, len(latencies{}.counts))
	for i := range last {
		end := bucketEnd(i)
		require.Equal(t, i, bucketOf(end))
		require.Equal(t, i+1, bucketOf(end+1))
	}
}

func TestQuantilesAreThoseOfTheSortedTimesToAPartIn64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l, even, odd latencies
	var all []time.Duration
	for i := range 50_000 {
		d := time.Duration(r.ExpFloat64() * float64(10*time.Microsecond))
		all = append(all, d)
		l.add(d)
		if i%2 == 0 {
			even.add(d)
		} else {
			odd.add(d)
		}
	}
	slices.Sort(all)
	even.merge(&odd)
	require.Equal(t, l, even)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 0.9999} {
		want := all[int(q*float64(len(all)))]
		require.InDelta(t, float64(want), float64(l.quantile(q)), float64(want)/subBuckets+1, "%v", q)
	}
	require.Equal(t, all[len(all)-1], l.quantile(1))
	limit := bucketEnd(bucketOf(30 * time.Microsecond))
	longer := 0
	for _, d := range all {
		if d > limit {
			longer++
		}
	}
	require.EqualValues(t, longer, l.above(30*time.Microsecond))
}
