package sstable

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRankedSetAnswersLikeASortedSlice(t *testing.T) {
	for _, shape := range markShapes {
		for _, rows := range []int{1, 64, 300, 70_000, unlessShort(150_000)} {
			for _, base := range []int{0, 1<<16 - 10, 1<<32 + 12345} {
				rng := rand.New(rand.NewPCG(uint64(rows), uint64(base)))
				m := randomMarks(rng, rows, shape.make)
				var b rankedBuilder
				var members []int
				for i, in := range m {
					if in {
						members = append(members, base+i)
						b.add(uint64(base + i))
					}
				}
				s := b.finish()
				require.Equal(t, len(members), int(s.len()))
				for range unlessShort(150) {
					n := base + rng.IntN(rows+20) - 10
					if n < 0 {
						n = 0
					}
					want, _ := slices.BinarySearch(members, n)
					require.Equal(t, want, int(s.rank(uint64(n))), "rank of %d: %s of %d", n, shape.name, rows)
					i := rng.IntN(len(members))
					require.Equal(t, members[i], int(s.member(uint32(i))))

					from, to := rng.IntN(len(members)+1), rng.IntN(len(members)+1)
					from, to = min(from, to), min(max(from, to), min(from, to)+500)
					var got []int
					s.stretches(uint32(from), uint32(to), func(first, end uint64) {
						if first >= end {
							require.Failf(t, "empty", "stretch from %d to %d", first, end)
						}
						for ; first < end; first++ {
							got = append(got, int(first))
						}
					})
					require.True(t, slices.Equal(members[from:to], got), "members %d to %d: %s of %d", from, to, shape.name, rows)
				}
				span := members[len(members)-1] - members[0]
				chunks := int64(span>>16 + 2)
				require.LessOrEqual(t, s.memoryBytes(), chunks*(2*rankedChunkSize+8192+600))
				require.LessOrEqual(t, s.memoryBytes(), chunks*(2*rankedChunkSize+600)+int64(len(members)*2))
			}
		}
	}
}
