package limits

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// full is a run on a disk that fills up again and again.
type full struct {
	rng     *rand.Rand
	counts  *fuzz.Counts
	disk    *crashfs.FS
	faults  *faultfs.FS
	options engine.Options
	store   *engine.Store
	want    book
	n       int // operations so far
	cause   cause
	before  int // calls that had found no room when the disk was filled last
	refused int // calls of the store that were refused since
}

// cause is a way to find no room.
type cause struct {
	name  string
	rules []faultfs.Rule // none: the disk as a whole is full
}

// noRoom lets all calls of a kind find a full disk, on some files.
func noRoom(match func(string) bool, kinds ...faultfs.Op) []faultfs.Rule {
	var rules []faultfs.Rule
	for _, op := range kinds {
		rules = append(rules, faultfs.Rule{Op: op, Match: match, Sticky: true, Err: syscall.ENOSPC, ShortWrite: true})
	}
	return rules
}

func suffix(s string) func(string) bool {
	return func(name string) bool { return strings.HasSuffix(name, s) }
}

func prefix(s string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(path.Base(name), s) }
}

// causes are the whole disk, and each kind of file alone. A write into space that
// was reserved before is no cause: where that fails, the disk is not full but
// broken.
var causes = []cause{
	{"the disk", nil},
	{"new logs", noRoom(suffix(".wal"), faultfs.OpCreate)},
	{"room for logs", noRoom(suffix(".wal"), faultfs.OpPreallocate)},
	{"new manifests", noRoom(prefix("MANIFEST"), faultfs.OpCreate)},
	{"room for manifests", noRoom(prefix("MANIFEST"), faultfs.OpPreallocate)},
	{"new tables", noRoom(suffix(".sst"), faultfs.OpCreate)},
	{"rows of tables", noRoom(suffix(".sst"), faultfs.OpWrite)},
	{"tables made durable", noRoom(suffix(".sst"), faultfs.OpSync)},
	{"CURRENT and its like", noRoom(prefix("CURRENT"), faultfs.OpCreate, faultfs.OpWrite)},
	{"LOCK", noRoom(prefix("LOCK"), faultfs.OpLock)},
}

// How often the disk fills up in one run, and how much is tried then. Workers that
// have failed rest for seconds, and Compact and Settle wait for them, so that runs
// with background work are shorter.
const (
	episodes, stepsWhileFull                     = 20, 40
	episodesInBackground, stepsWhileInBackground = 5, 8
)

// Full fills disks.
func Full() fuzz.Trial {
	return fuzz.Trial{
		Name: "disk-full",
		Run: func(seed uint64, counts *fuzz.Counts) error {
			return fill(seed, counts)
		},
		Sometimes: map[string]int{
			"disks filled": 150, "full: the disk": 10, "full: new logs": 10, "full: room for logs": 10,
			"full: new manifests": 5, "full: room for manifests": 5, "full: new tables": 10, "full: rows of tables": 10,
			"full: tables made durable": 10, "full: CURRENT and its like": 2, "full: LOCK": 4,
			"refused: write": 100, "refused: fork": 5, "refused: flush": 50, "refused: compact": 10, "refused: open": 10,
			"done while full: drop": 150, "done while full: write": 100, "done while full: flush": 20,
			"reads while full": 1000, "resumed": 150, "opened on a full disk": 5, "stores made on too small a disk": 8,
		},
	}
}

func fill(seed uint64, counts *fuzz.Counts) (err error) {
	d := &full{rng: rand.New(rand.NewPCG(seed, 9)), counts: counts, disk: crashfs.New(), want: book{}}
	d.faults = faultfs.New(d.disk)
	d.options = engine.Options{
		FS: d.faults, Manual: seed%4 != 3, MemtableBytes: 16 << 10, SegmentBytes: 16 << 10,
		TableBytes: 8 << 10, BlockBytes: 512, CacheBytes: 32 << 10, MaxOpenFiles: 4,
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("full: %s: panic: %v\n%s", d.cause.name, p, debug.Stack())
		}
		if err != nil && d.store != nil {
			d.free()
			_ = d.store.Close()
		}
	}()
	if err := d.makeOnTooSmall(); err != nil {
		return fmt.Errorf("a new store: %w", err)
	}
	rounds := episodes
	if !d.options.Manual {
		rounds = episodesInBackground
	}
	for i := range rounds {
		d.cause = causes[(seed/4%uint64(len(causes))*uint64(rounds)+uint64(i))%uint64(len(causes))]
		if err := d.episode(); err != nil {
			return fmt.Errorf("episode %d, operation %d, full: %s: %w", i, d.n, d.cause.name, err)
		}
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	d.store = nil
	return d.check()
}

// makeOnTooSmall makes a new store on disks that are too small for one, and at
// last on one that is not.
func (d *full) makeOnTooSmall() error {
	for capacity := int64(1); ; capacity += 1 + capacity/2 {
		d.disk.SetCapacity(capacity)
		s, err := engine.Open("store", &d.options)
		if err == nil {
			d.disk.SetCapacity(0)
			d.store = s
			d.want[engine.MainFork] = model.Contents{}
			return nil
		}
		if err := refusal(err); err != nil {
			return err
		}
		d.counts.Add("stores made on too small a disk", 1)
	}
}

// refusal gives nil if err says that there is no space and that nothing else is
// wrong, else what it says.
func refusal(err error) error {
	if errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrPoisoned) && !errors.Is(err, engine.ErrIndeterminate) {
		return nil
	}
	return fmt.Errorf("this is no refusal for want of space: %w", err)
}

// episode writes for a while, fills the disk, goes on, frees space, and looks.
func (d *full) episode() error {
	for range 15 {
		if err := d.step(d.rng.IntN(6)); err != nil {
			return fmt.Errorf("with space: %w", err)
		}
	}
	d.fill()
	d.counts.Add("disks filled", 1)
	steps := stepsWhileFull
	if !d.options.Manual {
		steps = stepsWhileInBackground
	}
	for range steps {
		if err := d.stepWhileFull(); err != nil {
			return err
		}
	}
	if d.rng.IntN(2) == 0 {
		if err := d.reopenWhileFull(); err != nil {
			return err
		}
	}
	if d.refused > 0 && d.cause.rules == nil || d.faults.Injected() > d.before {
		d.counts.Add("full: "+d.cause.name, 1) // a call met it, and not only a rule lay in wait
	}
	d.free()
	if err := d.resume(); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	if d.rng.IntN(3) > 0 {
		return nil
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	return d.open()
}

func (d *full) open() error {
	s, err := engine.Open("store", &d.options)
	if err != nil {
		return err
	}
	d.store = s
	return d.want.compare(s)
}

func (d *full) check() error {
	report, err := engine.Check("store", engine.CheckOptions{Level: engine.CheckDeep, FS: d.disk})
	if err != nil {
		return err
	}
	if !report.OK() || len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}

// fill leaves no space, or hardly any.
func (d *full) fill() {
	d.before, d.refused = d.faults.Injected(), 0
	if d.cause.rules == nil {
		d.disk.SetCapacity(max(1, d.used()+int64(d.rng.IntN(3)*d.rng.IntN(20<<10))))
		return
	}
	for _, rule := range d.cause.rules {
		d.faults.Inject(rule)
	}
}

func (d *full) free() {
	d.disk.SetCapacity(0)
	d.faults.Clear()
}

func (d *full) used() (bytes int64) {
	for _, name := range d.disk.Names() {
		size, _ := d.disk.Size(name)
		bytes += size
	}
	return bytes
}

// The steps. What is a drop frees space.
const (
	stepWrite = iota
	stepFork
	stepWriteMore
	stepFlush
	stepCompact
	stepDrop
)

var stepNames = []string{"write", "fork", "write", "flush", "compact", "drop"}

// step does something; the book is written only if that succeeds.
func (d *full) step(kind int) error {
	names := d.want.names()
	name := names[d.rng.IntN(len(names))]
	f, err := d.store.Fork(name)
	if err != nil {
		return err
	}
	var sync []engine.WriteOption
	if d.rng.IntN(2) == 0 {
		sync = append(sync, engine.NoSync)
	}
	d.n++
	switch kind {
	case stepWrite, stepWriteMore:
		contents, b := d.want[name], d.store.NewBatch()
		for i := range 1 + d.rng.IntN(12) {
			key := fmt.Sprintf("k%03d", d.rng.IntN(300))
			if d.rng.IntN(6) == 0 {
				b.Delete(f, []byte(key))
				contents = contents.Delete(key)
				continue
			}
			value := ops.Value(name, d.n*100+i, key, 20+d.rng.IntN(400))
			b.Set(f, []byte(key), []byte(value))
			contents = contents.Set(key, value)
		}
		if err = b.Commit(sync...); err == nil {
			d.want[name] = contents
		}
	case stepFork:
		child := fmt.Sprintf("f%d", d.n)
		if _, err = f.Fork(child, sync...); err == nil {
			d.want[child] = d.want[name]
		}
	case stepFlush:
		err = d.store.Flush()
	case stepCompact:
		err = d.store.Compact()
	case stepDrop:
		if len(names) < 2 {
			return nil
		}
		if err = f.Drop(sync...); err == nil {
			delete(d.want, name)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", stepNames[kind], err)
	}
	return nil
}

// stepWhileFull does something that is either done or refused, and reads.
func (d *full) stepWhileFull() error {
	kind := []int{stepWrite, stepWrite, stepWrite, stepWrite, stepFork, stepFlush, stepFlush, stepCompact, stepDrop, stepDrop}[d.rng.IntN(10)]
	switch err := d.step(kind); {
	case err == nil:
		d.counts.Add("done while full: "+stepNames[kind], 1)
	case kind == stepDrop:
		return fmt.Errorf("a drop is refused: %w", err)
	default:
		if err := refusal(err); err != nil {
			return err
		}
		d.counts.Add("refused: "+stepNames[kind], 1)
		d.refused++
	}
	d.counts.Add("reads while full", 1)
	names := d.want.names()
	if err := d.want.compareFork(d.store, names[d.rng.IntN(len(names))]); err != nil {
		return fmt.Errorf("a read after %s: %w", stepNames[kind], err)
	}
	return nil
}

// reopenWhileFull closes the store and tries to open it, on a disk that is full.
func (d *full) reopenWhileFull() error {
	if err := d.want.compare(d.store); err != nil {
		return err
	}
	if err := d.store.Close(); err != nil {
		if err := refusal(err); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		d.counts.Add("refused: close", 1)
		d.refused++
	}
	d.store = nil
	if n := d.disk.OpenFiles(); n != 0 {
		return fmt.Errorf("%d files or locks are open after Close", n)
	}
	switch err := d.open(); {
	case err == nil:
		d.counts.Add("opened on a full disk", 1)
		return nil
	case d.store != nil:
		return fmt.Errorf("after an open on a full disk: %w", err)
	default:
		if err := refusal(err); err != nil {
			return fmt.Errorf("open: %w", err)
		}
	}
	d.counts.Add("refused: open", 1)
	d.refused++
	if n := d.disk.OpenFiles(); n != 0 {
		return fmt.Errorf("%d files or locks are open after a refused open", n)
	}
	d.free()
	return d.open()
}

// resume demands that everything works again, without a reopen.
func (d *full) resume() error {
	if !d.options.Manual { // workers may be in a turn that met the full disk
		for range 4 {
			if err := d.store.Settle(); err != nil {
				if err := refusal(err); err != nil {
					return err
				}
			}
		}
	}
	for _, kind := range []int{stepWrite, stepFlush, stepCompact, stepFork, stepWrite, stepDrop} {
		if err := d.step(kind); err != nil {
			return err
		}
	}
	for len(d.want) > 12 {
		if err := d.step(stepDrop); err != nil {
			return err
		}
	}
	if err := d.store.Settle(); err != nil {
		return err
	}
	if err := d.want.compare(d.store); err != nil {
		return err
	}
	if err := d.store.Settle(); err != nil {
		return err
	}
	if err := d.store.Verify(); err != nil {
		return err
	}
	d.counts.Add("resumed", 1)
	return nil
}
