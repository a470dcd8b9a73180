package sstable

import (
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// marks is a plain set of rows, against which the compact ones are tested.
type marks []bool

// markShapes are ways to choose dead rows, from every form that a set can take.
var markShapes = []struct {
	name string
	make func(rng *rand.Rand, m marks)
}{
	{"one row", func(rng *rand.Rand, m marks) { m[rng.IntN(len(m))] = true }},
	{"the first row and the last", func(_ *rand.Rand, m marks) { m[0], m[len(m)-1] = true, true }},
	{"every row", func(_ *rand.Rand, m marks) { m.fill(0, len(m)) }},
	{"all but one", func(rng *rand.Rand, m marks) {
		m.fill(0, len(m))
		m[rng.IntN(len(m))] = false
	}},
	{"one in a hundred", func(rng *rand.Rand, m marks) { m.each(rng, 0.01) }},
	{"half of them", func(rng *rand.Rand, m marks) { m.each(rng, 0.5) }},
	{"nearly all of them", func(rng *rand.Rand, m marks) { m.each(rng, 0.98) }},
	{"every other row", func(_ *rand.Rand, m marks) {
		for i := range m {
			m[i] = i%2 == 1
		}
	}},
	{"a few long stretches", func(rng *rand.Rand, m marks) { m.stretches(rng, 5, len(m)/4) }},
	{"many stretches", func(rng *rand.Rand, m marks) { m.stretches(rng, len(m)/40+1, 60) }},
	{"the front and some more", func(rng *rand.Rand, m marks) {
		m.fill(0, len(m)/2)
		m[len(m)/2:].each(rng, 0.05)
	}},
	{"dense and empty in turn", func(rng *rand.Rand, m marks) {
		for at, i := 0, 0; at < len(m); i++ {
			n := min(1+rng.IntN(len(m)/3+1), len(m)-at)
			m[at:at+n].each(rng, []float64{0, 1, 0.7}[i%3])
			at += n
		}
	}},
}

// randomMarks makes a set of a shape with one dead row at least.
func randomMarks(rng *rand.Rand, rows int, shape func(*rand.Rand, marks)) marks {
	m := make(marks, rows)
	shape(rng, m)
	if m.count() == 0 {
		m[rng.IntN(rows)] = true
	}
	return m
}

func (m marks) fill(from, to int) {
	for i := from; i < to; i++ {
		m[i] = true
	}
}

func (m marks) each(rng *rand.Rand, share float64) {
	for i := range m {
		m[i] = m[i] || rng.Float64() < share
	}
}

func (m marks) stretches(rng *rand.Rand, n, longest int) {
	for range n {
		at := rng.IntN(len(m))
		m.fill(at, min(at+1+rng.IntN(longest+1), len(m)))
	}
}

func (m marks) count() (n int) {
	for _, dead := range m {
		if dead {
			n++
		}
	}
	return n
}

func (m marks) bitmap() *roaring.Bitmap {
	b := roaring.New()
	for i, dead := range m {
		if dead {
			b.Add(uint32(i))
		}
	}
	return b
}

func (m marks) vector() *Vector { return NewVector(uint64(len(m)), m.bitmap()) }

// marksOf gives the set that v is.
func marksOf(v *Vector) marks {
	m := make(marks, v.Rows())
	for _, i := range v.Bitmap().ToArray() {
		m[i] = true
	}
	return m
}

// unlessShort is n, or a tenth of it where tests are to be short.
func unlessShort(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}
