package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"go.uber.org/goleak"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	points "github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// run is one store, its actors, and the goroutines that began with it.
type run struct {
	watch  *watcher
	crowd  *crowd
	world  *world
	actors [actors]*actor
	leaks  goleak.Option // the goroutines that were there before
	images []image
	closed bool // a deed closes the store

	vectors int // that it had at the end
	busy    []*task
}

// image is what a crash would have left, and when it was made.
type image struct {
	disk     *crashfs.FS
	from, to int64
	kill     bool
	vectors  int // that an open must find; -1: nobody knows
}

// task is a goroutine of the run.
type task struct {
	what string
	done chan struct{}
	err  error
}

// newRun opens a store. On a store with workers the gates are closed.
func newRun(kind stores) (*run, error) {
	r := &run{watch: newWatcher(points.MemoryTurn, points.MergeTurn), leaks: goleak.IgnoreCurrent(), crowd: newCrowd(), vectors: -1}
	var err error
	if r.world, err = newWorld(kind, r.watch); err != nil {
		return nil, err
	}
	for k := range r.actors {
		r.actors[k] = &actor{w: r.world, number: k, ops: 1000}
	}
	return r, nil
}

// begin does something in a goroutine of its own.
func (r *run) begin(what string, do func() error) *task {
	t := &task{what: what, done: make(chan struct{})}
	r.busy = append(r.busy, t)
	go func() {
		defer close(t.done)
		defer func() {
			if p := recover(); p != nil {
				t.err = fmt.Errorf("panic: %v", p)
			}
		}()
		t.err = do()
	}()
	return t
}

// settleDown waits until nothing happens any more.
func (r *run) settleDown() error {
	_, err := r.crowd.until(nil)
	return err
}

// bystand opens iterators that are held until the end.
func (r *run) bystand() error {
	c := r.actors[2]
	for _, name := range []string{"main", "m0", "c0", "c1", "d2", "i2", "h0", "g2"} {
		if err := c.hold(name); err != nil {
			return err
		}
	}
	return nil
}

// carryOn is what the bystander does while others are held: it uses the store in
// every way that a client may.
func (r *run) carryOn() error {
	c := r.actors[2]
	return errors.Join(
		c.hold("m2"), c.hold("main"), c.hold("h2"),
		c.edit(60, false, "w2", "v2", "g2"),
		c.fork("w2", "child2", false), c.fork("g2", "grandchild2", false),
		c.drop("d2", false), c.drop("h2", false),
		c.reset("r2", "g2", false),
		c.edit(60, true, "w2", "child2", "grandchild2"),
	)
}

// photograph makes an image of the moment, as seed says.
func (r *run) photograph(seed uint64, counts *fuzz.Counts) {
	counts.Add("images", 1)
	from := r.world.clock.Load()
	i := image{from: from, vectors: -1}
	switch seed % 3 {
	case 0:
		i.disk, i.kill = r.world.disk.AfterKill(), true
	case 1:
		i.disk = r.world.disk.PowerLossStrict()
	default:
		i.disk = r.world.disk.PowerLoss(rand.New(rand.NewPCG(seed, 3)))
	}
	i.to = r.world.clock.Load()
	r.images = append(r.images, i)
}

// finish waits for everybody, and demands that nothing is left behind: the forks
// hold what the model says, iterators read what they must, counts and files are
// exact, no goroutine and no handle is left, and no crash on the way would have
// lost anything.
func (r *run) finish() error {
	r.watch.open(points.MemoryTurn, points.MergeTurn)
	var failed error
	for _, t := range r.busy {
		if err := ended(t.done); err != nil {
			return fmt.Errorf("%s: %w", t.what, err)
		}
		if t.err != nil && !(r.closed && errors.Is(t.err, engine.ErrClosed)) {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", t.what, t.err))
		}
	}
	r.watch.disarm()
	failed = errors.Join(failed, r.shutDown())
	if n := r.world.disk.OpenFiles(); n != 0 {
		failed = errors.Join(failed, fmt.Errorf("%d files or locks are still open", n))
	}
	if err := goleak.Find(r.leaks); err != nil {
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return failed
	}
	// A close leaves the files of iterators that are still open to the next open.
	if err := checkClean(r.world.disk, r.closed); err != nil {
		return err
	}
	now := r.world.clock.Load()
	if r.closed || len(r.images) > 0 && r.watch.met(points.MarksStaged) {
		r.images = append(r.images, image{disk: r.world.disk, from: now + 1, to: now, kill: true, vectors: r.vectors})
	}
	for _, i := range r.images {
		if err := r.world.develop(i); err != nil {
			return fmt.Errorf("a crash (killed only: %v): %w", i.kill, err)
		}
	}
	return nil
}

// shutDown compares, lets go of iterators, lets the work end and closes.
func (r *run) shutDown() (failed error) {
	s := r.world.store
	if !r.closed {
		failed = errors.Join(failed, r.world.live())
	}
	for _, a := range r.actors {
		failed = errors.Join(failed, a.letGo())
		if a.closes != nil {
			_ = a.closes.it.Close()
		}
	}
	if !r.closed {
		failed = errors.Join(failed, s.Settle(), s.Verify())
		r.vectors = s.Stats().Vectors
	}
	return errors.Join(failed, s.Close())
}

// develop opens what a crash left and judges it.
func (w *world) develop(i image) error {
	s, err := engine.Open(storeDir, settings(i.disk, manual, nil))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = w.judge(s, i.from, i.to, i.kill)
	if i.vectors >= 0 {
		// An open forgets vectors that say nothing. A store at rest has none of them.
		if n := s.Stats().Vectors; n != i.vectors {
			err = errors.Join(err, fmt.Errorf("%d vectors were there at the end, and %d are there after an open", i.vectors, n))
		}
		return errors.Join(err, s.Close()) // the rest was looked at before the open
	}
	if err = errors.Join(err, s.Settle(), s.Verify(), s.Close()); err != nil {
		return err
	}
	return checkClean(i.disk, false)
}

// checkClean demands that the store's own check finds nothing at all.
func checkClean(disk *crashfs.FS, leaks bool) error {
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if !report.OK() || len(report.Leaked) > 0 && !leaks {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}
