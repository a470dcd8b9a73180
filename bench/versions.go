package main

import "slices"

// versions knows which version of each row the present and the points that are kept
// hold: so it can tell how much a store that shares everything would need.
type versions struct {
	present []uint8 // by row: the point after which it was last written; 0: never
	points  map[int][]uint8
}

func newVersions(rows int) *versions {
	return &versions{present: make([]uint8, rows), points: map[int][]uint8{}}
}

func (s *versions) keep(point int) { s.points[point] = slices.Clone(s.present) }
func (s *versions) drop(point int) { delete(s.points, point) }

// need counts the versions of rows that somebody can read, for each row there is.
func (s *versions) need() float64 {
	total := 0
	for row, v := range s.present {
		seen := uint32(1) << v
		n := 1
		for _, p := range s.points {
			if bit := uint32(1) << p[row]; seen&bit == 0 {
				seen |= bit
				n++
			}
		}
		total += n
	}
	return float64(total) / float64(len(s.present))
}
