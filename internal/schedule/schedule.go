package schedule

import "time"

// Schedule watches one store. Nil watches nothing. It may be used concurrently if
// the function it was made with may.
type Schedule struct {
	reached      func(Point)
	rewriteBytes int64
	walked       func() // nil: not eager
}

// New makes a schedule that calls reached in the goroutine that comes to a point.
// A store with a schedule rewrites its manifest as soon as rewriteBytes of
// transactions have gathered, as tests would else never see it; 0 changes nothing.
func New(rewriteBytes int64, reached func(Point)) *Schedule {
	return &Schedule{reached: reached, rewriteBytes: rewriteBytes}
}

// Reach tells that the calling goroutine is at p, and returns when it may go on.
func (s *Schedule) Reach(p Point) {
	if s != nil {
		s.reached(p)
	}
}

// Rest makes room for others between two steps of something: the calling goroutine
// sleeps for d, or, if somebody watches, is at p for as long as they like.
func (s *Schedule) Rest(p Point, d time.Duration) {
	if s == nil {
		time.Sleep(d)
		return
	}
	s.reached(p)
}

// RewriteBytes is what New was given, 0 for nil.
func (s *Schedule) RewriteBytes() int64 {
	if s == nil {
		return 0
	}
	return s.rewriteBytes
}

// Few is how many of something are done in one step where many are done in several:
// n, but one at a time in a store with a schedule, as tests would else never see
// several steps.
func (s *Schedule) Few(n int) int {
	if s == nil {
		return n
	}
	return 1
}
