package churn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// run is one run: a store, and beside it what it must hold. One goroutine uses it.
type run struct {
	plan
	rng    *rand.Rand
	counts *fuzz.Counts

	disk    *crashfs.FS // nil on the operating system's files
	faults  *faultfs.FS
	unlinks *unlinks
	dir     string
	options engine.Options
	store   *engine.Store

	hand      string    // what the names of its forks and snapshots begin with, if there are several
	n         int       // operations so far: names and values are made of it
	made      int       // forks and snapshots so far
	live      []*fork   // by age
	snapshots []*frozen // by age
	held      []*held
	failing   int // cycles for which unlinks go on failing

	chunks                  map[ids.ChunkID]bool // that runs had when the records were compared last
	mostTables              int                  // that there were at a time
	lastFailed, lastRetried int                  // unlinks, at the last exact check
}

// fork is a live fork, or one that was dropped and has descendants.
type fork struct {
	name     string
	handle   *engine.Fork
	contents model.Contents
	parent   *fork // nil for the first
	depth    int
	dropped  bool
	resets   int
}

// frozen is a live snapshot.
type frozen struct {
	name     string
	handle   *engine.Snapshot
	contents model.Contents
	of       *fork
}

// churn does one run.
func churn(p plan, cycles int, counts *fuzz.Counts) (err error) {
	r := &run{plan: p, rng: rand.New(rand.NewPCG(p.seed, 8)), counts: counts, options: p.config.Opening(counts), dir: "store"}
	var base vfs.FS = vfs.OS
	if p.onDisk {
		temporary, err := os.MkdirTemp("", "tine-churn-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		r.dir = filepath.ToSlash(filepath.Join(temporary, "store"))
	} else {
		r.disk = crashfs.New()
		base = r.disk
	}
	r.faults = faultfs.New(base)
	r.unlinks = &unlinks{FS: r.faults, failed: map[string]bool{}}
	r.options.FS = r.unlinks
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("operation %d: panic: %v\n%s", r.n, p, debug.Stack())
		}
		if err != nil && r.store != nil {
			r.faults.Clear()
			_ = r.store.Close()
		}
	}()
	descriptors := openDescriptors()
	if err := r.begin(); err != nil {
		return err
	}
	heap := heapBytes()
	for i := range cycles {
		if err := r.cycle(); err != nil {
			return fmt.Errorf("cycle %d, operation %d: %w", i, r.n, err)
		}
		if i%cyclesPerCheck == cyclesPerCheck-1 {
			if err := r.exact(); err != nil {
				return fmt.Errorf("after cycle %d, operation %d: %w", i, r.n, err)
			}
		}
	}
	if err := r.end(heap); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	if n := openDescriptors(); n > descriptors {
		return fmt.Errorf("at the end: the process has %d descriptors open, at first it had %d", n, descriptors)
	}
	return nil
}

// begin makes the store and gives the first fork some rows in tables.
func (r *run) begin() error {
	if err := r.open(); err != nil {
		return err
	}
	handle, err := r.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	first := &fork{name: engine.MainFork, handle: handle}
	r.live = []*fork{first}
	b := r.store.NewBatch()
	for i := range r.config.keys {
		r.put(b, first, keyOf(i))
	}
	if err := b.Commit(); err != nil {
		return err
	}
	return r.store.Flush()
}

func (r *run) open() error {
	var err error
	if r.store, err = engine.Open(r.dir, &r.options); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

// cycle is one cycle. See the package's comment.
func (r *run) cycle() error {
	r.counts.Add("cycles", 1)
	child, err := r.fork()
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return r.writeTo(child) },
		r.work, r.readSome, r.useHeld, r.keep, r.loseSome, r.failUnlinks,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if r.rng.IntN(150) == 0 {
		if err := r.crash(); err != nil {
			return err
		}
	}
	if r.rng.IntN(400) == 0 {
		return r.reopen()
	}
	return nil
}

// fork makes a fork of a live fork, or of a snapshot.
func (r *run) fork() (*fork, error) {
	r.made++
	child := &fork{name: fmt.Sprintf("%sf%d", r.hand, r.made)}
	var err error
	if len(r.snapshots) > 0 && r.rng.IntN(r.shape.again) == 0 {
		s := r.snapshots[r.rng.IntN(len(r.snapshots))]
		child.parent, child.contents = s.of, s.contents
		child.handle, err = s.handle.Fork(child.name, engine.NoSync)
		r.counts.Add("forks of a snapshot", 1)
	} else {
		parent := r.shape.parent(r.rng, r.live)
		if r.rng.IntN(60) == 0 {
			if err := r.forkMany(parent); err != nil {
				return nil, err
			}
		}
		child.parent, child.contents = parent, parent.contents
		child.handle, err = parent.handle.Fork(child.name, r.sync()...)
	}
	if err != nil {
		return nil, fmt.Errorf("fork %s: %w", child.name, err)
	}
	child.depth = child.parent.depth + 1
	r.live = append(r.live, child)
	if child.depth >= 64 {
		r.counts.Add("forks of depth 64 or more", 1)
	}
	if len(r.live) > 64 {
		r.counts.Add("forks made while 64 or more live", 1)
	}
	return child, nil
}

// sync says how the next write is acknowledged: hardly ever durably.
func (r *run) sync() []engine.WriteOption {
	if r.rng.IntN(60) == 0 {
		return nil
	}
	return []engine.WriteOption{engine.NoSync}
}

// work flushes or merges now and then.
func (r *run) work() error {
	var err error
	switch draw := r.rng.IntN(60); {
	case draw < 5:
		err = r.store.Flush()
	case draw < 7:
		err = r.store.Compact()
	case draw < 9:
		err = r.store.Settle()
	default:
		return nil
	}
	for _, h := range r.held {
		h.swaps++
	}
	return r.excused(err)
}

// excused gives nil for an error that says no more than that unlinks fail, while
// they do.
func (r *run) excused(err error) error {
	if err == nil || !r.unlinks.failing() || !onlyUnlinks(err) || errors.Is(err, engine.ErrPoisoned) {
		return err
	}
	r.counts.Add("failed unlinks surfaced", 1)
	return nil
}

// heapBytes is the memory in use.
func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers kept
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// openDescriptors counts those of this process, 0 where it cannot be told. Those that
// are no files are the runtime's own, which it opens when it first needs them.
func openDescriptors() (n int) {
	const all = "/proc/self/fd"
	names, err := os.ReadDir(all)
	if err != nil {
		return 0
	}
	for _, name := range names {
		if to, err := os.Readlink(filepath.Join(all, name.Name())); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			n++
		}
	}
	return n
}
