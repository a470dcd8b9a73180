package sstable

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
)

// requireDead compares d with m in every answer, from every row, or for large
// tables from some of them. Both forms must be right about both.
func requireDead(t *testing.T, rng *rand.Rand, d *Dead, m marks) {
	t.Helper()
	rows := len(m)
	require.Equal(t, uint64(rows), d.Rows())
	require.Equal(t, uint64(m.count()), d.Count())
	require.Equal(t, m.count() == rows, d.Whole())

	// The plain answers, from the back and from the front.
	nextLive, nextDead := make([]int, rows+1), make([]int, rows+1)
	nextLive[rows], nextDead[rows] = rows, rows
	for i := rows - 1; i >= 0; i-- {
		nextLive[i], nextDead[i] = i, nextDead[i+1]
		if m[i] {
			nextLive[i], nextDead[i] = nextLive[i+1], i
		}
	}
	previousLive, liveFrom := make([]int, rows), make([]int, rows)
	for i := range rows {
		switch {
		case !m[i]:
			previousLive[i], liveFrom[i] = i, i
			if i > 0 && !m[i-1] {
				liveFrom[i] = liveFrom[i-1]
			}
		case i > 0:
			previousLive[i] = previousLive[i-1]
		default:
			previousLive[i] = -1
		}
	}
	for i := range rows {
		at := uint64(i)
		limit, least := i+rng.IntN(rows-i+1), rng.IntN(i+1)
		live, ok := d.PrevLive(at)
		got := []int{int(d.NextLive(at)), int(d.nextDead(at, uint64(limit))), int(d.nextDead(at, uint64(rows))), int(live)}
		if !ok {
			got[3] = -1
		}
		// Not by require's own comparisons: there are millions of them.
		want := []int{nextLive[i], min(nextDead[i], limit), nextDead[i], previousLive[i]}
		if d.Contains(at) != m[i] || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
			require.Failf(t, "wrong", "at row %d of %d: dead %t, got %v, want %v", i, rows, m[i], got, want)
		}
		if !m[i] {
			if from := int(d.liveFrom(at, uint64(least))); from != max(liveFrom[i], least) {
				require.Failf(t, "wrong", "live from %d to %d of %d: got %d, want %d", least, i, rows, from, max(liveFrom[i], least))
			}
		}
	}
	for _, behind := range []uint64{uint64(rows), uint64(rows) + 1, 1 << 40} {
		require.False(t, d.Contains(behind))
		require.Equal(t, uint64(rows), d.NextLive(behind))
		live, ok := d.PrevLive(behind)
		require.Equal(t, previousLive[rows-1] >= 0, ok)
		require.True(t, !ok || int(live) == previousLive[rows-1])
	}
}

func TestDeadAnswersLikeAPlainSet(t *testing.T) {
	for _, rows := range []int{1, 2, 63, 64, 65, 128, 500, 4096, 5000, unlessShort(70_000)} {
		for _, shape := range markShapes {
			t.Run(fmt.Sprintf("%s of %d", shape.name, rows), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(rows), 2))
				m := randomMarks(rng, rows, shape.make)
				d := NewDead(m.vector())
				requireDead(t, rng, d, m)
				require.LessOrEqual(t, d.Bytes(), int64(rows/8+rows/512+200), "one bit a row and a little")

				// The form that was not chosen answers the same.
				other := &Dead{rows: d.rows, count: d.count}
				if d.bits == nil {
					other.setBits(m.bitmap())
				} else {
					for from, to := range m.bitmap().Ranges() {
						other.runs = append(other.runs, deadRun{from, uint32(to)})
					}
				}
				requireDead(t, rng, other, m)
			})
		}
	}
}

// Both forms are in use, each where it is the smaller one.
func TestDeadChoosesItsForm(t *testing.T) {
	stretch := roaring.New()
	stretch.AddRange(10, 60_000)
	require.Nil(t, NewDead(NewVector(100_000, stretch)).bits)
	require.Nil(t, NewDead(WholeVector(100_000)).bits)
	half := make(marks, 100_000)
	half.each(rand.New(rand.NewPCG(1, 1)), 0.5)
	require.Nil(t, NewDead(half.vector()).runs)
}

func TestDeadIsTheUnionOfItsVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 60 {
		rows := 1 + rng.IntN(3000)
		union := make(marks, rows)
		var vs []*Vector
		for range 1 + rng.IntN(4) {
			m := randomMarks(rng, rows, markShapes[rng.IntN(len(markShapes))].make)
			vs = append(vs, m.vector())
			for i := range m {
				union[i] = union[i] || m[i]
			}
		}
		requireDead(t, rng, NewDead(vs...), union)
	}
}

func TestNoDeadIsNil(t *testing.T) {
	var d *Dead
	require.False(t, d.Contains(0))
	require.False(t, d.Whole())
	require.Zero(t, d.Count())
	require.Zero(t, d.Bytes())
}
