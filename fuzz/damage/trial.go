package damage

import (
	"math/rand/v2"

	"github.com/tinedb/tine/fuzz"
)

// randomCases is how many damages each random store is put to.
const randomCases = 150

// Trials are the runs that a seed repeats: random damage to random stores. The
// damage that is done to every byte needs no seed and is a test of its own.
func Trials() []fuzz.Trial {
	return []fuzz.Trial{{
		Name: "damage",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			rng := rand.New(rand.NewPCG(seed, 0x64616d616765))
			s, err := randomSpecimen(rng)
			if err != nil {
				return err
			}
			return s.Run(s.Random(rng, randomCases), 1, counts)
		},
		Sometimes: map[string]int{
			"damage: random": 1000, "table: error at read": 100, "table: harmless": 20,
			"segment: refused at open": 100, "segment: harmless": 50, "segment: end of the log lost that no mark vouched for": 5,
			"manifest: refused at open": 50, "manifest: harmless": 20, "CURRENT: refused at open": 20,
			"forks and snapshots beside them that read": 50, "stores that were written to after damage": 50,
		},
	}}
}
