package schedule

// Eager gives a schedule that watches like s, nil included, and whose store makes for readers after
// the first read what it would else make after many: where there are no workers, whoever has read
// does. Tests whose stores are small and live for a moment would else hardly see it. walked is called
// for each iterator that goes through a weave.
func (s *Schedule) Eager(walked func()) *Schedule {
	e := New(0, func(Point) {})
	if s != nil {
		*e = *s
	}
	e.walked = walked
	return e
}

// IsEager tells whether Eager made it.
func (s *Schedule) IsEager() bool { return s != nil && s.walked != nil }

// Walked tells that an iterator goes through a weave.
func (s *Schedule) Walked() {
	if s.IsEager() {
		s.walked()
	}
}
