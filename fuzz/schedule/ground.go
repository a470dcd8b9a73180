package schedule

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tinedb/tine/engine"
	points "github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// actors is how many clients a run has. The first two do what is tried; the third
// is a bystander.
const actors = 3

// settings are those of all runs: every file small, a cache that keeps nothing and
// few descriptors, so that reading comes back to the files again and again.
func settings(disk *crashfs.FS, kind stores, watch *points.Schedule) *engine.Options {
	budget := int64(1 << 20)
	if kind == tight {
		budget = tightBytes
	}
	return &engine.Options{
		Manual: kind == manual, MemtableBytes: budget, SegmentBytes: 4 << 10, TableBytes: 600, BlockBytes: 128,
		CacheBytes: 1, MaxOpenFiles: 2, FS: disk, Schedule: watch,
	}
}

// tightBytes is a little less than what the ground holds in memory, so that there is
// something to flush, and more than half of what any run does: nobody must wait for that.
const tightBytes = 17 << 10

// ground is the store that every run begins with a copy of.
var ground = sync.OnceValues(func() (*world, error) {
	w := &world{disk: crashfs.New(), objects: map[string][]version{"main": {{}}}}
	var err error
	if w.store, err = engine.Open(storeDir, settings(w.disk, manual, nil)); err != nil {
		return nil, err
	}
	if err := w.prepare(); err != nil {
		return nil, err
	}
	return w, w.store.Close()
})

// prepare makes for each actor k:
//
//	wk, vk   forks that it writes, with rows in memory
//	ik, jk   forks to read
//	dk       a fork that is to be dropped, with a table file of its own
//	rk, nk   forks that are to be reset and renamed
//	mk       a fork of vk on a path with more runs than it should have; one of them has
//	         tombstones, which were not marks yet because vk's rows were in memory
//	hk, gk   forks of one mk, of their own actor's and of another's, so that each of the
//	         first two has several: they mark rows of the runs, which are to be merged,
//	         dead, and have deletes in memory
//	ek       a fork with a table file of its own, which it has half deleted
//	ck       a fork on a path with more memtables than it should have
//
// No segment of the log can go at first: whoever finds one waits for the log and the
// manifest before anything else, and so would never rewrite the manifest beside them.
func (w *world) prepare() error {
	var failed error
	do := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	base := &actor{w: w, number: 9}
	for range 12 {
		do(base.put(40, false, "main"))
	}
	do(w.store.Flush())
	for k := range actors {
		a := &actor{w: w, number: k}
		for _, kind := range []string{"w", "v", "i", "j", "d", "r", "n", "c"} {
			do(a.fork("main", a.own(kind), false))
		}
		do(a.put(60, false, a.own("v")))
		do(a.put(60, false, a.own("v")))
		do(a.fork(a.own("v"), a.own("m"), false))
		do(a.erase(a.own("m"), "", "", "k03", "k10"))
		for range 4 {
			for range 5 {
				do(a.put(60, false, a.own("m")))
			}
			do(w.store.Flush())
		}
		for range 8 {
			do(a.put(60, false, a.own("d")))
		}
		do(w.store.Flush())
		for _, kind := range []string{"i", "j", "r", "n", "w"} {
			do(a.put(60, false, a.own(kind)))
		}
		do(w.store.Flush())
	}
	for k := range actors {
		a := &actor{w: w, number: k, ops: 50}
		do(a.fork("main", a.own("e"), false))
		for range 8 {
			do(a.put(60, false, a.own("e")))
		}
		do(a.fork(a.own("m"), a.own("h"), false))
		do(a.fork([]string{"m1", "m0", "m0"}[k], a.own("g"), false))
	}
	do(w.store.Flush())
	for k := range actors {
		a := &actor{w: w, number: k}
		do(a.erase(a.own("e"), "k00", "k25"))
		do(a.erase(a.own("h"), "k06", "k10", "k20"))
		do(a.erase(a.own("g"), "k24", "k28", "k03"))
	}
	do(w.store.Flush())
	for k := range actors {
		a := &actor{w: w, number: k, ops: 100}
		do(a.erase(a.own("h"), "k30", "k33"))
		do(a.erase(a.own("g"), "", "", "k17"))
		for _, kind := range []string{"w", "v", "i", "j", "j", "i", "n", "r"} {
			do(a.put(200, false, a.own(kind)))
		}
		do(a.edit(200, false, a.own("w"), a.own("v")))
		for n := range 6 {
			do(a.put(60, false, a.own("c")))
			if k == 2 {
				continue
			}
			do(a.snapshot(a.own("c"), fmt.Sprintf("c%d-%d", k, n), false))
		}
	}
	return failed
}

// newWorld opens a copy of the ground.
func newWorld(kind stores, watch *watcher) (*world, error) {
	g, err := ground()
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w := &world{disk: g.disk.AfterKill(), objects: map[string][]version{}}
	for _, name := range slices.Collect(maps.Keys(g.objects)) {
		last := g.objects[name][len(g.objects[name])-1]
		w.objects[name] = []version{{contents: last.contents, absent: last.absent}}
	}
	w.store, err = engine.Open(storeDir, settings(w.disk, kind, points.New(1, watch.reach)))
	return w, err
}
