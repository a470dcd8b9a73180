package main

import (
	"math"
	"math/rand/v2"
)

// zipf draws ranks below n, of which rank 0 is the most frequent: rank k is drawn with a
// frequency that falls as 1/(k+1)^theta, for theta below 1 (where the standard library
// has none). It is the generator of Gray and others, Quickly generating billion-record
// synthetic databases, 1994, that YCSB uses.
type zipf struct {
	n                        int
	theta, alpha, zetan, eta float64
}

func newZipf(n int, theta float64) zipf {
	z := zipf{n: n, theta: theta, alpha: 1 / (1 - theta)}
	for i := range n {
		z.zetan += 1 / math.Pow(float64(i+1), theta)
	}
	zeta2 := 1 + math.Pow(0.5, theta)
	z.eta = (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/z.zetan)
	return z
}

func (z zipf) rank(r *rand.Rand) int {
	u := r.Float64()
	switch uz := u * z.zetan; {
	case uz < 1:
		return 0
	case uz < 1+math.Pow(0.5, z.theta):
		return 1
	}
	return min(int(float64(z.n)*math.Pow(z.eta*u-z.eta+1, z.alpha)), z.n-1)
}
