package node

import "math/rand/v2"

// A plan is one call as it is drawn, with what the model does not care about.
type plan struct {
	call    call
	noSync  bool
	retried bool // a batch under a request id, sent again if no answer comes
	twice   bool // and then two times at once
	reverse bool // a scan from the last row to the first
}

// draw makes up a call. first is the first of the marks that it may use.
func draw(r *rand.Rand, first mark) plan {
	p := plan{noSync: r.IntN(2) == 0}
	switch n := r.IntN(100); {
	case n < 45:
		p.call = drawWrite(r, first)
		p.retried, p.twice = r.IntN(3) > 0, r.IntN(3) == 0
	case n < 60:
		from := r.IntN(keys)
		p.call = read{r.IntN(places), from, from + 1 + r.IntN(keys-from)}
	case n < 70:
		p.call, p.reverse = read{r.IntN(places), 0, keys}, r.IntN(2) == 0
	case n < 82:
		p.call = drawFork(r)
	case n < 88:
		p.call = drop{drawDistinct(r, 1+r.IntN(2), 1, forkPlaces)}
		if r.IntN(4) == 0 {
			p.call = drop{[]int{forkPlaces + r.IntN(snapshotPlaces)}}
		}
	case n < 93:
		to := drawDistinct(r, 2, 0, places)
		if isSnapshot(to[0]) {
			to[0] = r.IntN(forkPlaces - 1)
			if to[0] == to[1] {
				to[0]++
			}
		}
		p.call = reset{to[0], to[1]}
	case n < 96:
		to := drawDistinct(r, 2, 1, forkPlaces)
		p.call = rename{to[0], to[1]}
	case n < 97:
		to := drawDistinct(r, 2, forkPlaces, places)
		p.call = rename{to[0], to[1]}
	default:
		p.call = list{}
	}
	return p
}

// drawWrite changes one to three forks, the same keys of each mostly, so that a fork
// that falls between the halves is seen.
func drawWrite(r *rand.Rand, m mark) write {
	var w write
	for _, place := range drawDistinct(r, 1+r.IntN(3), 0, forkPlaces) {
		for range 1 + r.IntN(2) {
			from := r.IntN(keys)
			c := change{place, from, from + 1, m}
			switch r.IntN(8) {
			case 0:
				c.mark = 0
			case 1:
				c.mark, c.to = 0, from+1+r.IntN(keys-from)
			}
			w.changes = append(w.changes, c)
			m++
		}
	}
	return w
}

// marksPerCall is how many marks one call uses at most.
const marksPerCall = 6

func drawFork(r *rand.Rand) fork {
	f := fork{from: r.IntN(forkPlaces)}
	if r.IntN(6) == 0 {
		f.from = forkPlaces + r.IntN(snapshotPlaces)
	}
	if !isSnapshot(f.from) && r.IntN(4) == 0 {
		f.targets = []int{forkPlaces + r.IntN(snapshotPlaces)}
		return f
	}
	f.targets = drawDistinct(r, 1+r.IntN(3), 1, forkPlaces)
	return f
}

// drawDistinct draws n different numbers in [lo, hi).
func drawDistinct(r *rand.Rand, n, lo, hi int) []int {
	drawn := r.Perm(hi - lo)[:n]
	for i := range drawn {
		drawn[i] += lo
	}
	return drawn
}
