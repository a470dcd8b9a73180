package schedule

import (
	"math/rand/v2"

	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// Trials are what this package has for seeds to repeat.
func Trials() []fuzz.Trial {
	return []fuzz.Trial{
		{Name: "schedule-pair", Run: somePair, Sometimes: map[string]int{"pairs forced, through": 20}},
		{Name: "schedule-random", Run: explore, Sometimes: map[string]int{
			"random schedules, manual": 5, "random schedules, tight": 5, "random schedules, roomy": 5, "goroutines held": 200, "images": 10,
			"tombstones that became marks": 100, "vectors translated": 150, "vectors looked at in slices": 500, "rewrites because of dead rows": 50,
		}},
		{Name: "schedule-wake-up", Run: someWakeup, Sometimes: map[string]int{"wake-ups": len(wakeups)}},
	}
}

// somePair tries a pair that the seed chooses, in all its orders, with a crash.
func somePair(seed uint64, counts *fuzz.Counts) error {
	rng := rand.New(rand.NewPCG(seed, 11))
	p := pair{points.Point(rng.IntN(int(points.OrphanRemoving))), points.Point(rng.IntN(int(points.OrphanRemoving)))}
	_, err := p.force(counts, rng.Uint64()|1, true)
	return err
}
