package engine

import "math"

// Sieves and weaves are earned: reads are counted, and once they have cost as much as
// making one does, the memory worker makes it.

// earns tells whether reads are counted. In a store with Manual only tests have it so, whose
// readers make what they ask for themselves.
func (s *Store) earns() bool {
	return !s.opts.ReadOnly && (!s.opts.Manual || s.opts.Schedule.IsEager())
}

// enough is what reads must have cost before something is made for them. MaxInt64: it never is.
func (s *Store) enough(worth int64) int64 {
	if s.opts.Schedule.IsEager() && worth < math.MaxInt64 {
		return 1
	}
	return worth
}

// workerNeeded tells whether there are flushes to do before anything is made for readers.
func (s *Store) workerNeeded() bool {
	return !s.opts.Manual && (s.overBudget() || s.logTooLong())
}
