package fuzz

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// fault is a kind of call on a kind of file, and how it fails.
type fault struct {
	op     faultfs.Op
	files  string
	err    syscall.Errno
	short  bool
	sticky bool
}

func (f fault) String() string {
	text := fmt.Sprintf("%v of %s: %v", f.op, f.files, f.err)
	if f.short {
		text += ", half written"
	}
	if f.sticky {
		text += ", and all after it"
	}
	return text
}

func (f fault) rule(nth int, kinds *fileKinds) faultfs.Rule {
	return faultfs.Rule{
		Op: f.op, Nth: nth, Sticky: f.sticky, Err: f.err, ShortWrite: f.short,
		Match: func(name string) bool { return f.files == anyFile || f.files == kinds.of(name) },
	}
}

const anyFile = "any file"

// fileKinds parts the files of a run into kinds. Log segments are spare ones until
// they are first written to. It may be used concurrently.
type fileKinds struct {
	mu      sync.Mutex
	written map[string]bool
}

// watch gives a file system that notes what is written to.
func (k *fileKinds) watch(fs vfs.FS) vfs.FS {
	k.written = map[string]bool{}
	return &tap{fs, func(call, name string) {
		if call == "write" {
			k.mu.Lock()
			k.written[name] = true
			k.mu.Unlock()
		}
	}}
}

func (k *fileKinds) of(name string) string {
	switch base := path.Base(name); {
	case strings.HasSuffix(base, ".wal"):
		k.mu.Lock()
		defer k.mu.Unlock()
		if !k.written[name] {
			return "spare logs"
		}
		return "logs"
	case strings.HasSuffix(base, ".sst"):
		return "tables"
	case strings.HasPrefix(base, "MANIFEST"):
		return "manifests"
	}
	return "other files" // CURRENT, LOCK and the directory
}

var kindsOfFiles = []string{"logs", "spare logs", "tables", "manifests", "other files"}

// absorbed are the faults that a store may keep to itself, and why. All others
// are surfaced.
var absorbed = map[fault]string{
	{op: faultfs.OpCreate, files: "spare logs", err: syscall.ENOSPC}:      "the spare segment is made when it is needed; that then fails",
	{op: faultfs.OpPreallocate, files: "spare logs", err: syscall.ENOSPC}: "as before",
	{op: faultfs.OpSync, files: "spare logs", err: syscall.ENOSPC}:        "as before",
	{op: faultfs.OpRemove, files: "spare logs", err: syscall.EIO}:         "as before: it could not even be taken back; no log leads to it",
	{op: faultfs.OpPreallocate, files: "manifests", err: syscall.ENOSPC}:  "room that is held ready; a write that finds none fails",
	{op: faultfs.OpList, files: "other files", err: syscall.EIO}:          "manifests that CURRENT no longer names are removed by a later open",
	{op: faultfs.OpList, files: "other files", err: syscall.EMFILE}:       "as before",
	{op: faultfs.OpRemove, files: "manifests", err: syscall.EIO}:          "as before",
	{op: faultfs.OpOpen, files: "tables", err: syscall.EIO}:               "a flush that cannot look whether an older table has a row keeps the tombstone",
	{op: faultfs.OpOpen, files: "tables", err: syscall.EMFILE}:            "as before",
	{op: faultfs.OpRead, files: "tables", err: syscall.EIO}:               "as before",
	{op: faultfs.OpSize, files: "tables", err: syscall.EIO}:               "as before",
}

// errnos gives what a kind of call fails with on real disks.
func errnos(op faultfs.Op) []syscall.Errno {
	switch op {
	case faultfs.OpOpen, faultfs.OpList, faultfs.OpLock:
		return []syscall.Errno{syscall.EIO, syscall.EMFILE}
	case faultfs.OpCreate:
		return []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.ENOSPC}
	case faultfs.OpWrite, faultfs.OpSync, faultfs.OpSyncDir, faultfs.OpPreallocate, faultfs.OpRename, faultfs.OpMkdir:
		return []syscall.Errno{syscall.EIO, syscall.ENOSPC}
	}
	return []syscall.Errno{syscall.EIO}
}

// faultsOf gives every way in which the calls that a run makes can fail, once
// and for good: every kind of call on every kind of file with every errno, and
// the whole disk.
func faultsOf(made map[fault]int) []fault {
	all := []fault{{op: faultfs.OpAny, files: anyFile, err: syscall.EIO, sticky: true}}
	for op := faultfs.OpCreate; op <= faultfs.OpSize; op++ {
		for _, files := range kindsOfFiles {
			if made[fault{op: op, files: files}] == 0 {
				continue
			}
			for _, err := range errnos(op) {
				for _, sticky := range []bool{false, true} {
					all = append(all, fault{op: op, files: files, err: err, sticky: sticky})
					if op == faultfs.OpWrite {
						all = append(all, fault{op: op, files: files, err: err, sticky: sticky, short: true})
					}
				}
			}
		}
	}
	return all
}

// callsOf counts the calls that a list makes when nothing fails.
func callsOf(list []ops.Op, c Config) (map[fault]int, error) {
	made := map[fault]int{}
	var mu sync.Mutex
	var kinds fileKinds
	faults := faultfs.New(kinds.watch(newDisk()))
	for op := faultfs.OpCreate; op <= faultfs.OpSize; op++ {
		faults.Inject(faultfs.Rule{Op: op, Match: func(name string) bool {
			mu.Lock()
			defer mu.Unlock()
			made[fault{op: op, files: kinds.of(name)}]++
			return false
		}})
	}
	d, err := OpenDriver(faults, storeDir, c, nil, NewCounts())
	if err != nil {
		return nil, err
	}
	return made, d.finish(list, faults)
}

// sweep lets the n-th such call fail, for n = 1, 2, … until none does. f.fault,
// f.nth and f.seed are its own; the rest of f says what is run.
func (f faulty) sweep(name string, kind fault) error {
	seed := f.seed * 1000
	f.fault = kind
	for f.nth = 1; ; f.nth++ {
		f.seed = seed + uint64(f.nth)
		met, err := f.once(f.list, f.counts)
		if err != nil {
			return &Failure{
				Name: name, List: f.list, Err: fmt.Errorf("number %d, %v: %w", f.nth, kind, err),
				Again: func(list []ops.Op) error { _, err := f.once(list, NewCounts()); return err },
			}
		}
		if !met {
			return nil
		}
	}
}

// once does one list under the fault, and tells whether it was met.
func (f faulty) once(list []ops.Op, counts *Counts) (met bool, err error) {
	run := faulty{list: list, config: f.config, fault: f.fault, nth: f.nth, seed: f.seed, counts: counts, above: f.above}
	met, surfaced, err := run.run()
	if err != nil || !met {
		return met, err
	}
	counts.Add("faults", 1)
	if f.fault.short {
		counts.Add("faults: half written", 1)
	}
	if f.fault.sticky {
		counts.Add("faults: and all after it", 1)
	}
	counts.Add(fmt.Sprintf("faults: %v of %s", f.fault.op, f.fault.files), 1)
	if f.fault.err != syscall.EIO {
		counts.Add("faults: "+f.fault.err.Error(), 1)
	}
	if kind := (fault{op: f.fault.op, files: f.fault.files, err: f.fault.err}); !surfaced {
		if absorbed[kind] == "" {
			return met, errUntold
		}
		counts.Add(fmt.Sprintf("absorbed: %v", kind), 1)
	}
	return met, nil
}

var errUntold = errors.New("nobody was told")

// faultTrial lets every call of a run fail, in every way.
func faultTrial() Trial {
	return Trial{
		Name: "faults",
		Runs: 18,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(500+seed, ops.Failing()).List(22)
			for i, kind := range []ops.Kind{ops.Reopen, ops.Check} { // each list is recovered and read
				list = append(list, ops.Op{N: 22 + i, Kind: kind})
			}
			return sweepAll(fmt.Sprintf("faults-%d", seed), list, CrashConfig(), seed, counts, func(fault) bool { return true })
		},
		Sometimes: map[string]int{
			"faults": 15000, "faults: half written": 1000, "faults: and all after it": 5000, "faults surfaced by the first open": 1000, "faults surfaced by reopen": 1000,
			"faults surfaced by put": 300, "faults surfaced by batch": 200, "faults surfaced by fork": 200,
			"faults surfaced by drop": 100, "faults surfaced by reset": 50, "faults surfaced by snapshot": 50,
			"faults surfaced by flush": 500, "faults surfaced by compact": 200, "faults surfaced by sync": 20,
			"faults surfaced by scan": 10, "faults surfaced to the logger": 1000,
			"stores poisoned": 2000, "stores poisoned by other work than writes": 60, "stores that went on": 1500, "clean refusals": 300,
			"faults: write of logs": 1000, "faults: sync of logs": 300, "faults: read of logs": 20, "faults: open of logs": 50, "faults: size of logs": 20, "faults: remove of logs": 20,
			"faults: create of spare logs": 100, "faults: preallocate of spare logs": 100, "faults: sync of spare logs": 100,
			"faults: write of tables": 100, "faults: sync of tables": 50, "faults: create of tables": 50, "faults: read of tables": 20,
			"faults: open of tables": 20, "faults: remove of tables": 5, "faults: size of tables": 20,
			"faults: write of manifests": 500, "faults: sync of manifests": 200, "faults: create of manifests": 50, "faults: preallocate of manifests": 50,
			"faults: open of manifests": 20, "faults: read of manifests": 10, "faults: size of manifests": 10, "faults: remove of manifests": 10,
			"faults: rename of other files": 50, "faults: syncdir of other files": 200, "faults: list of other files": 100, "faults: lock of other files": 40,
			"faults: create of other files": 50, "faults: write of other files": 50, "faults: sync of other files": 50, "faults: open of other files": 20,
			"faults: read of other files": 10, "faults: remove of other files": 10, "faults: any of any file": 1000,
			"faults: " + syscall.ENOSPC.Error(): 3000, "faults: " + syscall.EMFILE.Error(): 500,
		},
	}
}

func sweepAll(name string, list []ops.Op, c Config, seed uint64, counts *Counts, wanted func(fault) bool) error {
	made, err := callsOf(list, c)
	if err != nil {
		return &Failure{Name: name, List: list, Err: fmt.Errorf("without faults: %w", err)}
	}
	var all []fault
	for _, f := range faultsOf(made) {
		if wanted(f) {
			all = append(all, f)
		}
	}
	run := faulty{list: list, config: c, seed: seed, counts: counts}
	return parallel(len(all), func(i int) error { return run.sweep(name, all[i]) })
}

// readFaultTrial lets every read fail of stores that read every block again and
// again: each is an error, never a row that is missing.
func readFaultTrial() Trial {
	return Trial{
		Name: "read-faults",
		Runs: 5,
		Run: func(seed uint64, counts *Counts) error {
			list := ops.NewGenerator(900+seed, ops.Reading()).List(60)
			c := Configs()[seed%3]
			c.Options.CacheBytes, c.Options.MaxOpenFiles = 1, 1
			return sweepAll(fmt.Sprintf("read-faults-%d", seed), list, c, seed, counts, func(f fault) bool {
				return f.files == "tables" && (f.op == faultfs.OpRead || f.op == faultfs.OpOpen)
			})
		},
		Sometimes: map[string]int{
			"faults": 300, "faults surfaced by scan": 50, "faults surfaced by walk": 10, "faults surfaced by compact": 10,
		},
	}
}
