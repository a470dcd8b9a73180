package churn

import (
	"math/rand/v2"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// plan is what a seed stands for.
type plan struct {
	seed   uint64
	shape  shape
	config config
	onDisk bool
}

func planOf(seed uint64) plan {
	return plan{
		seed:   seed,
		shape:  shapes[(seed+seed/uint64(len(configs)))%uint64(len(shapes))],
		config: configs[seed%uint64(len(configs))],
	}
}

// shape says what tree the forks make, by whom it chooses as parents and how many
// it lets live.
type shape struct {
	name   string
	live   int // forks, about
	again  int // one in so many forks is made of a snapshot
	parent func(rng *rand.Rand, live []*fork) *fork
}

var shapes = []shape{
	{"a wide", 70, 8, func(rng *rand.Rand, live []*fork) *fork {
		return live[rng.IntN(min(3, len(live)))] // the three that have lived longest
	}},
	{"a deep", 100, 200, func(rng *rand.Rand, live []*fork) *fork {
		if rng.IntN(50) == 0 {
			return live[len(live)-1-rng.IntN(min(10, len(live)))]
		}
		return live[len(live)-1] // the newest
	}},
	{"a mixed", 40, 8, func(rng *rand.Rand, live []*fork) *fork { return live[rng.IntN(len(live))] }},
}

// config is one way to open a store, and how many keys there are. Few, so that forks
// overwrite what they share, and merges have rows to drop; many, where runs are to be
// long.
type config struct {
	fuzz.Config
	keys int
}

// fewKeys is how many keys there are where runs are short.
const fewKeys = 80

// configs are with and without background work, with many small files, with many forks
// in one, and with runs of so many tables that they are held in chunks.
var configs = []config{
	{fuzz.Config{Name: "manual, small tables", Options: engine.Options{Manual: true, MemtableBytes: 8 << 10, SegmentBytes: 32 << 10, TableBytes: 4 << 10, BlockBytes: 512, CacheBytes: 64 << 10, MaxOpenFiles: 8}}, fewKeys},
	{fuzz.Config{Name: "background, 4 KiB memtables", Options: engine.Options{MemtableBytes: 4 << 10, SegmentBytes: 32 << 10, TableBytes: 4 << 10, BlockBytes: 512, CacheBytes: 16 << 10, TableCacheBytes: 8 << 10, MaxOpenFiles: 4}}, fewKeys},
	{fuzz.Config{Name: "manual, one row a block, four a table", Eager: true, Options: engine.Options{Manual: true, MemtableBytes: 8 << 10, SegmentBytes: 16 << 10, TableBytes: 400, BlockBytes: 1, CacheBytes: 1, MaxOpenFiles: 2}}, fewKeys},
	{fuzz.Config{Name: "background, 32 KiB memtables", Eager: true, Options: engine.Options{MemtableBytes: 32 << 10, SegmentBytes: 64 << 10, TableBytes: 64 << 10, BlockBytes: 1 << 10, CacheBytes: 256 << 10, MaxOpenFiles: 16}}, fewKeys},
	{fuzz.Config{Name: "manual, a row a table", Eager: true, Options: engine.Options{Manual: true, MemtableBytes: 32 << 10, SegmentBytes: 64 << 10, TableBytes: 1, BlockBytes: 1, CacheBytes: 64 << 10, MaxOpenFiles: 8}}, 240},
	{fuzz.Config{Name: "background, three rows a table", Options: engine.Options{MemtableBytes: 16 << 10, SegmentBytes: 64 << 10, TableBytes: 240, BlockBytes: 120, CacheBytes: 64 << 10, MaxOpenFiles: 8}}, 240},
}
