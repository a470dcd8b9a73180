package sstable

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

func TestVectorIsTheSetItWasMadeOf(t *testing.T) {
	for _, rows := range []int{1, 2, 64, 65, 1000, 70_000, unlessShort(200_000)} {
		for _, shape := range markShapes {
			t.Run(fmt.Sprintf("%s of %d", shape.name, rows), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(rows), 1))
				m := randomMarks(rng, rows, shape.make)
				given := m.bitmap()
				v := NewVector(uint64(rows), given)
				given.Clear() // nothing of it is kept

				require.Equal(t, uint64(rows), v.Rows())
				require.Equal(t, uint64(m.count()), v.Dead())
				require.Equal(t, m.count() == rows, v.Whole())
				require.Equal(t, m, marksOf(v))
				v.Bitmap().Clear() // a copy
				require.Equal(t, m, marksOf(v))

				stored := v.AppendTo([]byte("before"), 5, 9)
				require.Len(t, stored, len("before")+v.EncodedBytes())
				node, table, back, rest, err := DecodeVector(append(stored, "behind"...)[len("before"):])
				require.NoError(t, err)
				require.Equal(t, ids.NodeID(5), node)
				require.Equal(t, ids.TableID(9), table)
				require.Equal(t, "behind", string(rest))
				require.Equal(t, v, back)
				require.True(t, v.Equal(back))
				clear(stored) // nothing of it is kept
				require.Equal(t, m, marksOf(back))
			})
		}
	}
}

func TestUnionOfVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, rows := range []int{1, 100, unlessShort(70_000)} {
		for i := range markShapes {
			for j := range markShapes {
				a, b := randomMarks(rng, rows, markShapes[i].make), randomMarks(rng, rows, markShapes[j].make)
				va, vb := a.vector(), b.vector()
				got := UnionVectors(va, vb)
				require.Equal(t, marksOf(va), a, "an input has changed")
				require.Equal(t, marksOf(vb), b, "an input has changed")
				both := make(marks, rows)
				for i := range both {
					both[i] = a[i] || b[i]
				}
				require.Equal(t, both, marksOf(got))
				require.Equal(t, both.count() == rows, got.Whole())
				require.True(t, got.Equal(UnionVectors(vb, va)))
				require.Same(t, got, UnionVectors(got, va), "what is there already is not made again")
				if vb.Dead() < got.Dead() {
					require.Same(t, got, UnionVectors(vb, got))
				}
			}
		}
	}
}

// One dead row, of which a store may hold a hundred thousand, stays small.
func TestVectorsAreSmall(t *testing.T) {
	for _, c := range []struct {
		name string
		v    *Vector
		most int64
	}{
		{"one row of a million", NewVector(1_000_000, roaring.BitmapOf(999_999)), 60},
		{"all of a million", WholeVector(1_000_000), 40},
		{"a long stretch", func() *Vector {
			b := roaring.New()
			b.AddRange(1000, 900_000)
			return NewVector(1_000_000, b)
		}(), 300},
		{"every other row", func() *Vector {
			m := make(marks, 1_000_000)
			for i := range m {
				m[i] = i%2 == 0
			}
			return m.vector()
		}(), 1_000_000/8 + 15_000},
		{"many stretches, of which checking would take long", func() *Vector {
			b := roaring.New()
			for i := range uint64(1_000_000 / 40) {
				b.AddRange(i*40, i*40+20)
			}
			return NewVector(1_000_000, b)
		}(), 1_000_000/8 + 15_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.LessOrEqual(t, c.v.Bytes(), c.most)
			require.LessOrEqual(t, int64(c.v.EncodedBytes()), c.most)
			_, _, _, _, err := DecodeVector(c.v.AppendTo(nil, 1, 1))
			require.NoError(t, err)
		})
	}
}

// Who made a bitmap may be reading it elsewhere.
func TestNewVectorLeavesItsBitmapAlone(t *testing.T) {
	given := roaring.New()
	for i := range uint32(100) {
		given.Add(i)
	}
	NewVector(1000, given)
	require.Zero(t, given.Stats().RunContainers)
}

// Many runs in one container make checking it quadratic, so they are not used.
func TestVectorOfManyStretchesIsNotStoredAsRuns(t *testing.T) {
	for _, c := range []struct {
		stretches int
		asRuns    bool
	}{{maxRunsPerContainer, true}, {maxRunsPerContainer + 1, false}} {
		b := roaring.New()
		for i := range uint64(c.stretches) {
			b.AddRange(i*200, i*200+150)
		}
		v := NewVector(1<<16, b)
		require.Equal(t, c.asRuns, v.Bitmap().Stats().RunContainers > 0)
		require.True(t, b.Equals(v.Bitmap()))
	}
}

func TestVectorsOfDifferentStoredFormsAreEqual(t *testing.T) {
	b := roaring.New()
	b.AddRange(5, 900)
	v := NewVector(1000, b)
	listed, err := roaring.BitmapOf(b.ToArray()...).ToBytes()
	require.NoError(t, err)
	other := &Vector{rows: v.rows, dead: v.dead, bitmap: listed}
	require.NotEqual(t, v.bitmap, other.bitmap)
	require.True(t, v.Equal(other))
	require.False(t, v.Equal(NewVector(1001, b)))
	b.Remove(7)
	b.Add(3)
	require.False(t, v.Equal(NewVector(1000, b)))
}

func TestWrongUseOfVectorsIsRefused(t *testing.T) {
	one := NewVector(10, roaring.BitmapOf(3))
	for name, use := range map[string]func(){
		"no dead row":                 func() { NewVector(10, roaring.New()) },
		"a row behind the last":       func() { NewVector(10, roaring.BitmapOf(3, 10)) },
		"a table too large":           func() { NewVector(MaxRows+1, roaring.BitmapOf(3)) },
		"a whole table too large":     func() { WholeVector(MaxRows + 1) },
		"a whole table of no rows":    func() { WholeVector(0) },
		"a union over two tables":     func() { UnionVectors(one, WholeVector(11)) },
		"dead rows of two tables":     func() { NewDead(one, WholeVector(11)) },
		"dead rows of no vector":      func() { NewDead() },
		"dead rows for another table": func() { tinyReader(t).NewIter(NewDead(one)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { require.IsType(t, invariant.Violation(""), recover()) }()
			use()
		})
	}
}

func tinyReader(t *testing.T) *Reader {
	content, m := buildTable(t, sequentialRows(3), 0, WriterOptions{})
	return mustOpen(t, content, &m, 1)
}

// The largest table's last rows are where numbers would wrap.
func TestVectorOfTheLargestTable(t *testing.T) {
	for _, v := range []*Vector{NewVector(MaxRows, roaring.BitmapOf(0, MaxRows-1)), WholeVector(MaxRows)} {
		_, _, back, _, err := DecodeVector(v.AppendTo(nil, 1, 2))
		require.NoError(t, err)
		require.True(t, v.Equal(back))
		d := NewDead(v)
		require.True(t, d.Contains(MaxRows-1))
		require.False(t, d.Contains(MaxRows))
		require.Equal(t, uint64(MaxRows), d.NextLive(MaxRows-1))
	}
}
