package fuzz

import (
	"os"
	"strconv"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
)

// Config is one way to open a store. Tests run the same operations in several,
// because a bug that needs a block edge, an evicted block or a second table is
// common in one of them and never met in another.
type Config struct {
	Name    string
	Options engine.Options
	Readers int // goroutines that read beside the one that does the operations

	// Eager has sieves and weaves made for the first reader that could use them, in stores without
	// background work, too. Else they come late and seldom in stores so small.
	Eager bool
}

// Opening gives the options of a store whose use of weaves is counted: apart where it does not hang on
// what background work finds time for.
func (c Config) Opening(counts *Counts) engine.Options {
	o := c.Options
	if !c.Eager {
		return o
	}
	state := "iterators through a weave"
	if o.Manual {
		state += ", no background work"
	}
	o.Schedule = o.Schedule.Eager(func() { counts.Add(state, 1) })
	return o
}

// Configs are those of the model-based runs.
func Configs() []Config {
	return []Config{
		{Name: "manual, small tables", Options: engine.Options{Manual: true, MemtableBytes: 4 << 10, SegmentBytes: 16 << 10, TableBytes: 2 << 10, BlockBytes: 256, CacheBytes: 64 << 10, MaxOpenFiles: 8, Schedule: rewriting(16 << 10)}},
		{Name: "manual, one row a block, one block a table", Options: engine.Options{Manual: true, MemtableBytes: 2 << 10, SegmentBytes: 8 << 10, TableBytes: 1, BlockBytes: 1, CacheBytes: 1, TableCacheBytes: 1, MaxOpenFiles: 2}},
		{Name: "manual, everything in one table, no cache", Options: engine.Options{Manual: true, SegmentBytes: 32 << 10, CacheBytes: 1, MaxOpenFiles: 1}},
		{Name: "background, 1 KiB memtables", Eager: true, Options: engine.Options{MemtableBytes: 1 << 10, SegmentBytes: 8 << 10, TableBytes: 1 << 10, BlockBytes: 128, CacheBytes: 1 << 10, MaxOpenFiles: 4, Schedule: rewriting(8 << 10)}},
		{Name: "background, 4 KiB memtables, one descriptor", Options: engine.Options{MemtableBytes: 4 << 10, SegmentBytes: 16 << 10, TableBytes: 8 << 10, BlockBytes: 512, CacheBytes: 1, MaxOpenFiles: 1}},
		{Name: "background, 2 KiB memtables, eight readers beside", Readers: 8, Options: engine.Options{MemtableBytes: 2 << 10, SegmentBytes: 8 << 10, TableBytes: 2 << 10, BlockBytes: 256, CacheBytes: 8 << 10, TableCacheBytes: 4 << 10, MaxOpenFiles: 4}},
		{Name: "manual, tables of four rows", Eager: true, Options: engine.Options{Manual: true, MemtableBytes: 64 << 10, SegmentBytes: 64 << 10, TableBytes: 300, BlockBytes: 150, CacheBytes: 32 << 10, MaxOpenFiles: 16}},
		{Name: "background, defaults, four readers beside", Readers: 4, Options: engine.Options{SegmentBytes: 1 << 20}},
	}
}

// CrashConfig is that of the runs with crashes: all files small, so that every
// kind of call comes often.
func CrashConfig() Config {
	return Config{Name: "crash", Options: engine.Options{Manual: true, MemtableBytes: 1 << 10, SegmentBytes: 2 << 10, TableBytes: 600, BlockBytes: 128, CacheBytes: 16 << 10, MaxOpenFiles: 4, Schedule: rewriting(1 << 10)}}
}

// rewriting makes a store rewrite its manifest after so many bytes of it, and
// watches nothing. With the usual threshold no run of these would see a rewrite.
func rewriting(bytes int64) *schedule.Schedule { return schedule.New(bytes, func(schedule.Point) {}) }

// Soak is by how much runs are to be longer than usual: TINE_SOAK, 1 if unset.
func Soak() int {
	if n, err := strconv.Atoi(os.Getenv("TINE_SOAK")); err == nil && n > 0 {
		return n
	}
	return 1
}
