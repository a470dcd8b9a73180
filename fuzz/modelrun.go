package fuzz

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// lastWords are done after every list: everything is compared, before and after
// it has been reopened and merged.
var lastWords = []ops.Kind{ops.Check, ops.Verify, ops.Reopen, ops.Check, ops.Flush, ops.Compact, ops.Check}

// runList does a list to a new store in one configuration, and at the end
// compares everything, closes and checks.
func runList(list []ops.Op, c Config, counts *Counts) error {
	_, err := transcribe(list, c, counts)
	return err
}

// transcribe does the same and tells what was seen.
func transcribe(list []ops.Op, c Config, counts *Counts) (*transcript, error) {
	fs := crashfs.New()
	return runListOn(fs, storeDir, fs.OpenFiles, list, c, counts)
}

func runListOn(fs vfs.FS, dir string, open func() int, list []ops.Op, c Config, counts *Counts) (*transcript, error) {
	d, err := OpenDriver(fs, dir, c, nil, counts)
	if err != nil {
		return nil, err
	}
	d.openHandles, d.seen, d.beside = open, &transcript{}, startReaders(d, c.Readers)
	return d.seen, d.finish(list, fs)
}

// finish does a list, then all that ends a run, and closes.
func (d *Driver) finish(list []ops.Op, fs vfs.FS) (err error) {
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, d.beside.stop())
		}
		if err != nil {
			d.abandon()
		}
	}()
	for _, op := range list {
		if err := d.Do(op); err != nil {
			return err
		}
	}
	for _, kind := range lastWords {
		if err := d.Do(ops.Op{N: -1, Kind: kind}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	stopped = true
	if err := errors.Join(d.beside.stop(), d.Close()); err != nil {
		return fmt.Errorf("at the end: close: %w", err)
	}
	return checkTidy(fs, d.dir)
}

// runConfigs does a list in several configurations, as many at a time as there
// are processors, and compares what they let be seen with the model and with
// each other.
func runConfigs(name string, list []ops.Op, configs []Config, counts *Counts) error {
	seen := make([]*transcript, len(configs))
	err := parallel(len(configs), func(i int) (err error) {
		c := configs[i]
		if seen[i], err = transcribe(list, c, counts); err == nil {
			return nil
		}
		return &Failure{
			Name: fmt.Sprintf("%s-config%d", name, i), List: list, Err: fmt.Errorf("configuration %q: %w", c.Name, err),
			Again: func(list []ops.Op) error { return runList(list, c, NewCounts()) },
		}
	})
	if err != nil {
		return err
	}
	counts.Add("lists on which all configurations agree", 1)
	if err := compareTranscripts(list, configs, seen); err != nil {
		return &Failure{Name: name, List: list, Err: err, Again: func(list []ops.Op) error {
			return runConfigs(name, list, configs, NewCounts())
		}}
	}
	return nil
}

// modelTrial does one list in every configuration.
func modelTrial() Trial {
	return Trial{
		Name: "model",
		Runs: 15,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(seed, ops.Everyday()).List(6000)
			return runConfigs(fmt.Sprintf("model-%d", seed), list, Configs(), counts)
		},
		Sometimes: map[string]int{
			"operations": 500000, "forks": 10000, "drops": 5000, "snapshots": 3000, "refused": 5000,
			"forks of depth 64 or more": 1000, "forks made while 64 or more live": 200,
			"drops of a parent before its child": 5000, "batch over several forks": 5000,
			"operation reset": 2000, "operation resetsnapshot": 800, "operation forksnapshot": 2000,
			"operation reopen": 500, "operation renamesnapshot": 200, "backups compared": 500,
			"several forks made at one cut": 1000, "several forks dropped at once": 500, "operation dropsubtree": 300,
			"operation rename": 1000,
			"held iterator read after its fork was dropped": 1000, "held iterator read after a flush or compaction": 2000,
			"flushes of a memtable that several forks share": 1000, "closed with unflushed forks": 250,
			"store: flushes": 5000, "store: merges": 5000, "store: merges across a branch point": 2000,
			"store: consolidations": 200, "store: files removed": 5000, "store: joins": 500,
			"iterators through a weave, no background work": 5000, "store: sieves": 300, "store: weaves": 500,
			"store: rows marked": 40000, "store: tombstones resolved": 6000, "store: vectors translated": 3000, "store: vectors staged": 3000,
			"store: merges because of dead rows": 4000, "store: tables relocated": 500, "closed with vectors": 500, "operation deleterange": 5000,
			"batch with a range delete over several forks": 1000, "range deletes of rows that the parent has and keeps": 1000,
			"iterators read again beside the driver after something changed": 3000,
			"lists on which all configurations agree":                        15,
			"reads beside the driver":                                        15000, "reads beside the driver while something changed": 1000,
		},
	}
}

// diskTrial does one list on the operating system's files: what a file system in
// memory gets wrong in the same way as the store would else not be seen.
func diskTrial() Trial {
	return Trial{
		Name: "model-disk",
		Runs: 6,
		Run: func(seed uint64, counts *Counts) (err error) {
			dir, err := os.MkdirTemp("", "tine-model-*")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			p := ops.Everyday()
			p.NoSync = 0.98
			list, c := ops.NewGenerator(7000+seed, p).List(700), Configs()[seed%uint64(len(Configs()))]
			if _, err := runListOn(vfs.OS, filepath.Join(dir, "store"), nil, list, c, counts); err != nil {
				return &Failure{Name: fmt.Sprintf("model-disk-%d", seed), List: list, Err: fmt.Errorf("configuration %q: %w", c.Name, err)}
			}
			return nil
		},
		Sometimes: map[string]int{"operations": 4000, "store: merges": 50},
	}
}
