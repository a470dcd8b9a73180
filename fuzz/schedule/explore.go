package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
)

// Bounds of a random run.
const (
	steps     = 14 // of each actor
	maxCaught = 6  // goroutines held at a time
)

// explore lets three actors use a store while goroutines are held at points that
// are drawn; whenever nothing happens any more, one that is drawn is released.
func explore(seed uint64, counts *fuzz.Counts) (err error) {
	rng := rand.New(rand.NewPCG(seed, 21))
	kind := []stores{manual, tight, roomy}[rng.IntN(3)]
	r, err := newRun(kind)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nsteps: %s", err, r.watch.story())
		}
	}()
	if err := r.bystand(); err != nil {
		return err
	}
	caught := r.watch.drawStops(rand.New(rand.NewPCG(seed, 22)))
	done := make(chan struct{})
	var tasks []*task
	for k, a := range r.actors {
		own := rand.New(rand.NewPCG(seed, uint64(k)))
		tasks = append(tasks, r.begin(fmt.Sprintf("actor %d", k), func() error { return a.wander(own, kind) }))
	}
	r.watch.open(points.MemoryTurn, points.MergeTurn)
	go func() {
		for _, t := range tasks {
			<-t.done
		}
		close(done)
	}()
	err = r.conduct(done, caught, rng, counts)
	r.watch.stopDrawing()
	caught.releaseAll()
	if errors.Is(err, errHangs) {
		return err
	}
	counts.Add("random schedules", 1)
	counts.Add("random schedules, "+map[stores]string{manual: "manual", tight: "tight", roomy: "roomy"}[kind], 1)
	s := r.world.store.Stats()
	counts.Add("tombstones that became marks", int(s.TombstonesResolved))
	counts.Add("vectors translated", int(s.VectorsTranslated))
	counts.Add("vectors looked at in slices", int(s.VectorsStaged))
	counts.Add("rewrites because of dead rows", int(s.DeadRewrites))
	counts.Add("results that nobody wanted", int(s.Discarded))
	return errors.Join(err, r.finish())
}

// conduct releases one goroutine whenever all wait, until the actors are done.
func (r *run) conduct(done <-chan struct{}, caught *catch, rng *rand.Rand, counts *fuzz.Counts) error {
	begun := time.Now()
	for {
		happened, err := r.crowd.until(done)
		if err != nil || happened {
			return err
		}
		if rng.IntN(16) == 0 {
			r.photograph(rng.Uint64(), counts)
		}
		if caught.releaseOne(rng) {
			counts.Add("goroutines held", 1)
			begun = time.Now()
		} else if time.Since(begun) > patience { // a worker may be at rest: a timer wakes it
			return errHangs
		}
	}
}

// wander does a dozen things. Snapshots and forks that it makes are its own.
func (a *actor) wander(rng *rand.Rand, kind stores) error {
	forks := []string{a.own("w"), a.own("v"), a.own("r"), a.own("m"), a.own("c"), a.own("d"), a.own("h"), a.own("g")}
	one := func() string { return forks[rng.IntN(len(forks))] }
	for n := range steps {
		name := fmt.Sprintf("x%d-%d", a.number, n)
		sync := rng.IntN(3) == 0
		var err error
		switch rng.IntN(15) {
		case 0, 1:
			err = a.put(60+rng.IntN(400), sync, one())
		case 2, 11:
			err = a.edit(60+rng.IntN(400), sync, one())
		case 3, 4:
			if err = a.fork(one(), name, sync); err == nil {
				forks = append(forks, name)
			}
		case 13:
			names := []string{name + "a", name + "b", name + "c"}
			if err = a.forkMany(one(), sync, names...); err == nil {
				forks = append(forks, names...)
			}
		case 14:
			if i := rng.IntN(len(forks)); len(forks) > 4 && i+2 <= len(forks) {
				err = a.dropMany(sync, forks[i:i+2]...)
				forks = append(forks[:i], forks[i+2:]...)
			}
		case 5:
			err = a.snapshot(one(), name, sync)
		case 6:
			if i := rng.IntN(len(forks)); len(forks) > 2 {
				err = a.drop(forks[i], sync)
				forks = append(forks[:i], forks[i+1:]...)
			}
		case 7:
			if f, to := one(), one(); f != to {
				err = a.reset(f, to, sync)
			}
		case 8:
			err = a.hold(one())
		case 9:
			err = a.letGo()
		case 10:
			err = a.w.store.Flush()
		default:
			if kind == manual {
				err = a.w.store.Compact()
			} else {
				err = a.put(1500, false, one())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
