package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// wakeup is work that a call makes due, and that the workers must do although
// nothing else happens. A worker that nobody wakes sleeps for ever.
type wakeup struct {
	name  string
	on    stores
	ready func(*run, *actor) error // before the store is at rest
	do    func(*run, *actor) error // the last thing that happens
	done  func(before, now engine.Stats) bool
}

func fewerFiles(before, now engine.Stats) bool { return now.FilesRemoved > before.FilesRemoved }

func merged(before, now engine.Stats) bool { return now.Merges+now.Joins > before.Merges+before.Joins }

func consolidated(before, now engine.Stats) bool { return now.Consolidations > before.Consolidations }

var wakeups = []wakeup{
	{name: "memory beyond its budget is flushed", on: tight,
		do: func(_ *run, a *actor) error {
			return a.times(16, func(int) error { return a.put(1000, false, a.own("w")) })
		},
		done: func(_, now engine.Stats) bool { return now.MemtableBytes <= tightBytes }},
	{name: "a log that has grown too long is trimmed", on: tight,
		do: func(_ *run, a *actor) error {
			return a.times(8, func(n int) error {
				name := fmt.Sprintf("brief%d", n)
				return errors.Join(a.fork("main", name, false), a.put(3000, false, name), a.put(3000, false, name), a.drop(name, false))
			})
		},
		done: func(_, now engine.Stats) bool { return now.WALBytes <= 2*tightBytes }},
	{name: "a dropped fork's files go", on: workers,
		do: func(_ *run, a *actor) error { return a.drop(a.own("d"), false) }, done: fewerFiles},
	{name: "a dropped snapshot's files go", on: workers,
		ready: func(_ *run, a *actor) error {
			return errors.Join(a.snapshot(a.own("d"), "kept", false), a.drop(a.own("d"), false))
		},
		do: func(_ *run, a *actor) error { return a.dropSnapshot("kept") }, done: fewerFiles},
	{name: "the files of a fork that was reset go", on: workers,
		do: func(_ *run, a *actor) error { return a.reset(a.own("d"), a.own("v"), false) }, done: fewerFiles},
	{name: "the files that a closed iterator kept go", on: workers,
		ready: func(_ *run, a *actor) error { return errors.Join(a.hold(a.own("d")), a.drop(a.own("d"), false)) },
		do:    func(_ *run, a *actor) error { return a.letGo() }, done: fewerFiles},
	{name: "memtables that forks have put on a path are merged", on: roomy,
		do: func(_ *run, a *actor) error {
			return a.times(6, func(n int) error {
				return errors.Join(a.put(60, false, a.own("v")), a.fork(a.own("v"), fmt.Sprintf("many%d", n), false))
			})
		}, done: consolidated},
	{name: "memtables that snapshots have put on a path are merged", on: roomy,
		do: func(_ *run, a *actor) error { return crowded(a) }, done: consolidated},
	{name: "runs that flushes have put on a path are merged", on: roomy,
		do: func(_ *run, a *actor) error {
			return a.times(10, func(int) error {
				return errors.Join(a.put(300, false, a.own("w")), a.w.store.Flush())
			})
		}, done: merged},
	{name: "runs between which a branch point is gone are merged, when it goes after the merge worker has looked", on: workers,
		ready: func(_ *run, a *actor) error {
			return a.times(5, func(n int) error {
				point := fmt.Sprintf("point%d", n) // its own node holds the branch point until it is taken apart
				return errors.Join(a.put(300, false, a.own("w")), a.fork(a.own("w"), point, false), a.put(60, false, point), a.w.store.Flush())
			})
		},
		do: func(r *run, a *actor) error {
			r.watch.shut(points.MemoryTurn)
			err := a.times(5, func(n int) error { return a.drop(fmt.Sprintf("point%d", n), false) })
			if err == nil {
				err = r.calm()
			}
			r.watch.open(points.MemoryTurn)
			return err
		}, done: merged},
}

func (a *actor) times(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

func (a *actor) dropSnapshot(name string) error {
	n, err := a.w.store.Snapshot(name)
	if err != nil {
		return err
	}
	return a.w.change("drop snapshot "+name, false, map[string]version{"@" + name: {absent: true}}, func() error {
		return n.Drop(engine.NoSync)
	})
}

// wake tries one of the wake-ups.
func wake(u wakeup, kind stores, counts *fuzz.Counts) (err error) {
	r, err := newRun(kind)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", u.name, err)
		}
	}()
	a := r.actors[0]
	r.watch.open(points.MemoryTurn, points.MergeTurn)
	if u.ready != nil {
		if err := u.ready(r, a); err != nil {
			return err
		}
	}
	if err := r.rest(); err != nil {
		return err
	}
	before := a.w.store.Stats()
	if err := u.do(r, a); err != nil {
		return err
	}
	begun := time.Now()
	for !u.done(before, a.w.store.Stats()) {
		if time.Since(begun) > patience {
			return errors.Join(fmt.Errorf("it is due, and nobody does it: before %+v, now %+v", before, a.w.store.Stats()), r.finish())
		}
		if err := r.settleDown(); err != nil {
			return err
		}
	}
	counts.Add("wake-ups", 1)
	counts.Add(strings.SplitN(u.name, ",", 2)[0], 1)
	return r.finish()
}

// rest returns when the workers have nothing to do and have not begun a turn for
// a while: one to come would do what the next call makes due, woken or not. The
// while only makes a lost wake-up easier to see.
func (r *run) rest() error {
	if err := r.world.store.Settle(); err != nil {
		return err
	}
	return r.calm()
}

// calm returns when no worker has begun a turn for a while.
func (r *run) calm() error {
	for turns := -1; ; {
		now := r.watch.turns()
		if now == turns {
			return nil
		}
		turns = now
		time.Sleep(100 * time.Millisecond)
		if err := r.settleDown(); err != nil {
			return err
		}
	}
}

// someWakeup tries all of them on a store with workers of either kind.
func someWakeup(seed uint64, counts *fuzz.Counts) error {
	u := wakeups[seed%uint64(len(wakeups))]
	for _, kind := range []stores{tight, roomy} {
		if u.on&kind != 0 {
			if err := wake(u, kind, counts); err != nil {
				return err
			}
		}
	}
	return nil
}
