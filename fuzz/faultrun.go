package fuzz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// diskSays tells whether an error says that the disk failed, and says nothing
// else: wrong data is not excused by a failing disk.
func diskSays(err error) bool {
	for _, is := range []error{
		syscall.EIO, syscall.ENOSPC, syscall.EMFILE, engine.ErrNoSpace, engine.ErrPoisoned, engine.ErrIndeterminate,
		manifest.ErrPoisoned, wal.ErrPoisoned, // what an open says whose own writes fail
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// faulty is one run in which the nth call of a kind fails. A fault is surfaced if the operation in which it
// fell, the opening or the close returned an error that says so, or if the store
// told its logger of it. A fault that is neither was absorbed: the store must then
// be none the worse.
type faulty struct {
	list   []ops.Op
	config Config
	fault  fault
	nth    int
	seed   uint64
	counts *Counts
	above  func(vfs.FS) vfs.FS // what the store's calls go through, for the tests of the harness; nil: nothing

	disk    *crashfs.FS
	faults  *faultfs.FS
	history *History
	driver  *Driver // nil: the store could not be opened
	told    *atomic.Bool
}

// run does the list, and judges what the store left, for a healthy disk. It tells
// whether there was such a call at all, and whether a fault was surfaced.
func (f *faulty) run() (met, surfaced bool, err error) {
	f.disk, f.history, f.told = newDisk(), NewHistory(), new(atomic.Bool)
	var kinds fileKinds
	f.faults = faultfs.New(kinds.watch(f.disk))
	f.faults.Inject(f.fault.rule(f.nth, &kinds))
	f.config.Options.Logger = slog.New(listener{slog.DiscardHandler, f.told})
	var open bool
	var fs vfs.FS = f.faults
	if f.above != nil {
		fs = f.above(fs)
	}
	f.driver, err = OpenDriver(fs, storeDir, f.config, f.history, f.counts)
	if err == nil {
		surfaced, open, err = f.operate()
	} else if f.driver = nil; f.faults.Injected() > 0 && diskSays(err) {
		f.counts.Add("faults surfaced by the first open", 1)
		surfaced, err = true, nil
	}
	met = f.faults.Injected() > 0
	if err != nil {
		if f.driver != nil {
			f.driver.abandon()
		}
		return met, surfaced, err
	}
	image := f.image()
	f.faults.Clear()
	if open {
		err = f.rest()
	}
	if err != nil {
		return met, surfaced, err
	}
	if n := f.disk.OpenFiles(); n != 0 {
		return met, surfaced, fmt.Errorf("%d files or locks are open after Close", n)
	}
	if f.told.Load() {
		f.counts.Add("faults surfaced to the logger", 1)
		surfaced = true
	}
	judge := &Judge{history: f.history, config: f.config, counts: f.counts, goOn: 8}
	judge.config.Options.Logger = nil
	if err := judge.Verdict(image); err != nil {
		return met, surfaced, fmt.Errorf("after %d faults: %w", f.faults.Injected(), err)
	}
	return met, surfaced, nil
}

// image makes one image of what the store would leave if it died now.
func (f *faulty) image() Image {
	moment := f.history.now()
	i := Image{Low: moment.Synced, High: moment.Begun, Synced: moment.Synced, Seed: f.seed}
	rng := rand.New(rand.NewPCG(f.seed, 1))
	switch rng.IntN(3) {
	case 0:
		i.FS, i.Low, i.How = f.disk.AfterKill(), moment.Acknowledged, "killed after a fault"
	case 1:
		i.FS, i.How = f.disk.PowerLossStrict(), "power lost after a fault, nothing unsynced kept"
	default:
		i.FS, i.How = f.disk.PowerLoss(rng), "power lost after a fault"
	}
	return i
}

// operate does the operations for as long as the store takes writes. Errors must
// be the disk's.
func (f *faulty) operate() (surfaced, open bool, err error) {
	d := f.driver
	for _, op := range f.list {
		err := d.Do(op)
		if err == nil {
			continue
		}
		var disagreement *Disagreement
		if f.faults.Injected() == 0 || !errors.As(err, &disagreement) || !diskSays(disagreement.Err) {
			return surfaced, true, fmt.Errorf("with %d faults: %w", f.faults.Injected(), err)
		}
		surfaced = true
		d.counts.Add("faults surfaced by "+string(op.Kind), 1)
		switch {
		case op.Kind == ops.Reopen:
			d.store.Close() // perhaps not open again
			return surfaced, false, nil
		case op.Mutates() && !errors.Is(err, engine.ErrPoisoned) && !errors.Is(err, engine.ErrIndeterminate):
			d.counts.Add("clean refusals", 1)
			d.history.revoke()
		case op.Mutates():
			if err := d.poisoned(op, f.faults); err != nil {
				return surfaced, true, err
			}
			d.store.Close()
			return surfaced, false, nil
		}
	}
	return surfaced, true, nil
}

// rest is the end of a run whose store is open. One that has stopped writing says
// so, and reads go on. Any other is none the worse once the disk works again:
// everything is there, and every file goes that should.
func (f *faulty) rest() error {
	d := f.driver
	name, _ := d.state.Forks.At(0)
	err := d.Do(ops.Op{N: -1, Kind: ops.Put, Fork: name, Key: "late"})
	if errors.Is(err, engine.ErrPoisoned) {
		f.counts.Add("stores poisoned by other work than writes", 1)
		f.told.Store(true)
		err := compareView(d.store, d.state.View(), d.look, nil)
		d.store.Close()
		return err
	}
	for _, h := range d.held { // they keep files
		if closed := h.it.Close(); !diskSays(closed) {
			err = errors.Join(err, closed)
		}
	}
	clear(d.held)
	for n, kind := range []ops.Kind{ops.Check, ops.Compact, ops.Verify, ops.Check} {
		if err == nil {
			err = d.Do(ops.Op{N: -2 - n, Kind: kind})
		}
	}
	if err == nil {
		err = d.Close()
	} else {
		d.abandon()
	}
	if err == nil {
		err = checkClean(f.disk, storeDir)
	}
	if err != nil {
		return fmt.Errorf("after %d faults, on a healthy disk: %w", f.faults.Injected(), err)
	}
	f.counts.Add("stores that went on", 1)
	return nil
}

// listener notes whether a store told its logger of anything that went wrong.
type listener struct {
	slog.Handler
	told *atomic.Bool
}

func (l listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (l listener) Handle(context.Context, slog.Record) error {
	l.told.Store(true)
	return nil
}

// poisoned demands of a store that has failed to write that it takes no more
// writes, and that reads go on. Whether they see the operation that failed is
// left open.
func (d *Driver) poisoned(op ops.Op, faults *faultfs.FS) error {
	d.counts.Add("stores poisoned", 1)
	next, _ := ops.Apply(d.state, op)
	for range 2 {
		name, _ := d.state.Forks.At(0)
		for _, f := range d.forks {
			if err := f.Set([]byte("late"), []byte("late")); !errors.Is(err, engine.ErrPoisoned) && !errors.Is(err, engine.ErrForkNotFound) {
				return fmt.Errorf("after %s failed, a write gives %v", op, err)
			}
		}
		if f, err := d.store.Fork(name); err == nil {
			if _, err := f.Fork("late"); !errors.Is(err, engine.ErrPoisoned) {
				return fmt.Errorf("after %s failed, a fork gives %v", op, err)
			}
		}
	}
	faults.Clear()
	seen, err := readView(d.store)
	if err != nil {
		return fmt.Errorf("after %s failed, reads do not go on: %w", op, err)
	}
	before, after := model.Diff(seen, d.state.View()), model.Diff(seen, next.View())
	if before != "" && after != "" {
		return fmt.Errorf("after %s failed, reads show neither the state before (%s) nor the one after (%s)", op, before, after)
	}
	return nil
}
