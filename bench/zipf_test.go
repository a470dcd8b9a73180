package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRanksAreDrawnAsOftenAsTheirDistributionSays(t *testing.T) {
	const n, draws, theta = 1000, 2_000_000, 0.99
	z := newZipf(n, theta)
	r := rand.New(rand.NewPCG(1, 2))
	counts := make([]int, n)
	for range draws {
		counts[z.rank(r)]++
	}
	// The first two are exact; for the rest the generator is known to be rough, so they
	// are looked at in groups.
	share := func(from, to int) (want, got float64) {
		for i := from; i < to; i++ {
			want += 1 / math.Pow(float64(i+1), theta) / z.zetan
			got += float64(counts[i]) / draws
		}
		return want, got
	}
	for _, group := range []struct {
		from, to int
		slack    float64
	}{{0, 1, 0.01}, {1, 2, 0.01}, {2, 10, 0.2}, {10, 100, 0.1}, {100, 1000, 0.1}} {
		want, got := share(group.from, group.to)
		require.InEpsilon(t, want, got, group.slack, "ranks %d to %d", group.from, group.to)
	}
}
