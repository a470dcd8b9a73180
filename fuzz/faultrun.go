package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// surfaced tells whether an error says that the disk failed, and says nothing
// else: wrong data is not excused by a failing disk.
func surfaced(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, engine.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, engine.ErrPoisoned) || errors.Is(err, engine.ErrIndeterminate)
}

// faultRun does a list while the rule lets calls fail, and then judges what the
// store left, for a healthy disk. It tells whether the rule was met at all.
func faultRun(list []ops.Op, c Config, rule faultfs.Rule, seed uint64, counts *Counts) (met bool, err error) {
	disk := newDisk()
	faults := faultfs.New(disk)
	history := NewHistory()
	faults.Inject(rule)
	d, err := OpenDriver(faults, storeDir, c, history, counts)
	if err != nil {
		if faults.Injected() == 0 {
			return true, err
		}
		counts.Add("faults while opening", 1)
	} else {
		err = d.runFaulty(list, faults)
	}
	met = faults.Injected() > 0
	moment := history.now()
	images := []Image{
		{FS: disk.AfterKill(), Low: moment.Acknowledged, High: moment.Begun, How: "killed after a fault", Seed: seed},
		{FS: disk.PowerLossStrict(), Low: moment.Synced, High: moment.Begun, How: "power lost after a fault, nothing unsynced kept", Seed: seed + 1},
		{FS: disk.PowerLoss(rand.New(rand.NewPCG(seed, 1))), Low: moment.Synced, High: moment.Begun, How: "power lost after a fault", Seed: seed + 2},
	}
	faults.Clear()
	if d != nil && d.store != nil {
		d.store.Close()
	}
	if err != nil && d != nil && d.store != nil {
		return met, err
	}
	if n := disk.OpenFiles(); n != 0 {
		return met, fmt.Errorf("%d files or locks are open after Close", n)
	}
	judge := &Judge{history: history, config: c, counts: counts}
	for _, image := range images {
		if err := judge.Verdict(image); err != nil {
			return met, fmt.Errorf("after %d faults: %w", faults.Injected(), err)
		}
	}
	return met, nil
}

// runFaulty does the operations for as long as the store takes writes. Errors
// must be surfaced ones.
func (d *Driver) runFaulty(list []ops.Op, faults *faultfs.FS) error {
	for _, op := range list {
		err := d.Do(op)
		if err == nil {
			continue
		}
		var disagreement *Disagreement
		if faults.Injected() == 0 || !errors.As(err, &disagreement) || !surfaced(disagreement.Err) && op.Kind != ops.Reopen {
			return fmt.Errorf("with %d faults: %w", faults.Injected(), err)
		}
		d.counts.Add("faults surfaced by "+string(op.Kind), 1)
		switch {
		case op.Kind == ops.Reopen:
			return nil // closed, and perhaps not open again
		case op.Mutates() && !errors.Is(err, engine.ErrPoisoned) && !errors.Is(err, engine.ErrIndeterminate):
			d.counts.Add("clean refusals", 1)
			d.history.revoke()
		case op.Mutates():
			return d.poisoned(op, faults)
		}
	}
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

// faultTrial lets the n-th call of each kind on each kind of file fail, for
// every n.
func faultTrial() Trial {
	kinds := []faultfs.Op{
		faultfs.OpWrite, faultfs.OpSync, faultfs.OpCreate, faultfs.OpPreallocate, faultfs.OpRename,
		faultfs.OpRemove, faultfs.OpSyncDir, faultfs.OpRead, faultfs.OpOpen, faultfs.OpList, faultfs.OpSize,
	}
	matches := map[string]func(string) bool{
		"any file": nil,
		"logs":     func(name string) bool { return strings.HasSuffix(name, ".wal") },
		"manifest": func(name string) bool { return strings.HasPrefix(path.Base(name), "MANIFEST") },
		"tables":   func(name string) bool { return strings.HasSuffix(name, ".sst") },
	}
	return Trial{
		Name: "faults",
		Runs: 4,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(500+seed, ops.Crashing()).List(40)
			for _, kind := range kinds {
				for _, files := range []string{"any file", "logs", "manifest", "tables"} {
					for _, rule := range []faultfs.Rule{
						{Op: kind}, {Op: kind, Sticky: true}, {Op: kind, Err: syscall.ENOSPC}, {Op: kind, Sticky: true, Err: syscall.ENOSPC, ShortWrite: true},
					} {
						rule.Match = matches[files]
						stride := 1
						if files == "any file" {
							stride = 3
						}
						for rule.Nth = 1; ; rule.Nth += stride {
							met, err := faultRun(list, CrashConfig(), rule, seed, counts)
							if err != nil {
								return &Failure{Name: fmt.Sprintf("fault-%d", seed), List: list, Err: fmt.Errorf("%v number %d on %s fails, sticky %v, error %v: %w", kind, rule.Nth, files,
									rule.Sticky, rule.Err, err)}
							}
							if !met {
								break
							}
							counts.Add("faults: "+kind.String()+", "+files, 1)
							counts.Add("faults", 1)
							if rule.Nth > 30 {
								stride = 7
							}
						}
					}
				}
			}
			return nil
		},
		Sometimes: map[string]int{
			"faults": 2000, "faults while opening": 50, "stores poisoned": 200, "clean refusals": 20,
			"faults surfaced by flush": 50, "faults surfaced by compact": 20,
		},
	}
}

// readFaultTrial lets reads fail: each is an error, never a row that is missing.
func readFaultTrial() Trial {
	return Trial{
		Name: "read-faults",
		Runs: 3,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(900+seed, ops.Reading()).List(90)
			for _, c := range Configs()[:3] {
				c.Options.CacheBytes, c.Options.MaxOpenFiles = 1, 1
				for _, rule := range []faultfs.Rule{{Op: faultfs.OpRead}, {Op: faultfs.OpOpen}, {Op: faultfs.OpRead, Sticky: true}, {Op: faultfs.OpOpen, Sticky: true}} {
					for rule.Nth = 1; ; rule.Nth += 1 + rule.Nth/8 {
						met, err := faultRun(list, c, rule, seed, counts)
						if err != nil {
							return &Failure{Name: fmt.Sprintf("read-fault-%d", seed), List: list, Err: fmt.Errorf("%s: %v number %d fails, sticky %v: %w", c.Name, rule.Op, rule.Nth, rule.Sticky, err)}
						}
						if !met {
							break
						}
						counts.Add("faults", 1)
					}
				}
			}
			return nil
		},
		Sometimes: map[string]int{
			"faults": 300, "faults surfaced by scan": 50, "faults surfaced by walk": 10, "faults surfaced by compact": 10,
		},
	}
}
