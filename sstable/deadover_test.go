package sstable

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
)

func (d *Dead) levels() (n int) {
	for ; d != nil; d = d.below {
		n++
	}
	return n
}

func TestDeadOverOthersAnswersLikeAPlainSet(t *testing.T) {
	for _, rows := range []int{1, 64, 65, 500, 4096, unlessShort(40_000)} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprint(rows, " rows, seed ", seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(rows)))
				union := make(marks, rows)
				var d *Dead
				for range 1 + rng.IntN(5) {
					var vs []*Vector
					for range 1 + rng.IntN(3) {
						m := randomMarks(rng, rows, markShapes[rng.IntN(len(markShapes))].make)
						vs = append(vs, m.vector())
						for i := range m {
							union[i] = union[i] || m[i]
						}
					}
					d = NewDeadOver(d, vs...)
				}
				requireDead(t, rng, d, union)
			})
		}
	}
}

// Many forks that delete one row each of a table in which many are dead must not
// have a copy each of what they share.
func TestDeadOverOthersKeepsOnlyItsOwn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows = 300_000
	union := make(marks, rows)
	union.each(rng, 0.1)
	base := NewDead(union.vector())
	require.Greater(t, base.Bytes(), int64(rows/8))
	live := uint32(base.NextLive(77))
	one := NewDeadOver(base, NewVector(rows, roaring.BitmapOf(live)))
	require.Same(t, base, one.below)
	require.Less(t, one.Bytes(), int64(200))
	require.Equal(t, base.Count()+1, one.Count())
	require.True(t, one.Contains(uint64(live)))
	require.False(t, base.Contains(uint64(live)))

	nothing := NewDeadOver(base, union.vector())
	require.Equal(t, base.Count(), nothing.Count())
	require.Less(t, nothing.Bytes(), int64(200))
}

// What lies above each other is read as few levels, however many nodes mark rows.
func TestDeadOverOthersHasFewLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const rows = 100_000
	union := make(marks, rows)
	var d *Dead
	for range 500 {
		b := roaring.New()
		for range 1 + rng.IntN(20) {
			row := rng.IntN(rows)
			union[row] = true
			b.Add(uint32(row))
		}
		d = NewDeadOver(d, NewVector(rows, b))
		require.LessOrEqual(t, d.levels(), 5)
	}
	requireDead(t, rng, d, union)
	require.Equal(t, 1, NewDeadOver(d, WholeVector(rows)).levels())
}
