package fuzz

import "fmt"

// Trial is one way of looking for faults that a seed repeats. Tests run a few
// seeds of each and demand that the states it is there for were met; the soak
// command goes on with fresh seeds for as long as it is told to.
type Trial struct {
	Name string // short, lower case, with hyphens

	// Run does it once. Everything it does follows from the seed, but for the
	// schedule of goroutines where it is about that. It counts what it met and
	// returns an error that says what is wrong and how to repeat it. Trials run one
	// after the other.
	Run func(seed uint64, counts *Counts) error

	// Sometimes is how often each state must have been met in the runs that the
	// tests make.
	Sometimes map[string]int

	// Runs is how many seeds, from 0 on, the tests run. Trials that enumerate
	// something do so with the first seeds, and draw with all others.
	Runs int
}

// Repeat runs the trial with the seeds first, first+1, … and stops at the first
// that fails.
func (t Trial) Repeat(first uint64, runs int, counts *Counts) error {
	for seed := first; seed < first+uint64(runs); seed++ {
		if err := t.Run(seed, counts); err != nil {
			return fmt.Errorf("trial %s, seed %d: %w", t.Name, seed, err)
		}
	}
	return nil
}
