package fuzz

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
)

// storeDir is the directory of the store within its file system.
const storeDir = "store"

// Driver does operations to a store and to the model and compares. One goroutine
// uses it.
//
// It keeps handles for as long as their fork or snapshot lives, through renames
// and resets, and uses them in turn with fresh ones: a handle that is old must
// not see anything else than one that is new.
type Driver struct {
	options engine.Options
	dir     string
	store   *engine.Store
	state   model.State
	history *History // of what was done; nil: none is kept
	counts  *Counts
	seen    *transcript // nil: none is kept
	births  *births     // of what there was; the history's, if there is one

	forks     map[int]*engine.Fork // by the model's id
	snapshots map[int]*engine.Snapshot
	stale     []*engine.Fork // of forks that were dropped
	held      map[int]*held
	writtenIn map[int]bool // forks written to since the last flush
	shared    bool         // such a fork was forked since

	beside *readers // nil: nobody reads beside the driver

	openHandles func() int // that the file system knows of; nil: unknown

	// For the tests of the harness itself.
	lens  func(reader) reader // what is read through; nil: nothing
	blind bool                // nothing is compared with the model
}

// look gives a fork or snapshot as the driver sees it.
func (d *Driver) look(r reader) reader {
	if d.lens == nil {
		return r
	}
	return d.lens(r)
}

// agree compares how an operation ended with how the model says it must.
func (d *Driver) agree(op ops.Op, got, want error) error {
	if d.blind {
		return nil
	}
	return agree(op, got, want)
}

// OpenDriver makes a new store and a driver for it.
func OpenDriver(fs vfs.FS, dir string, c Config, history *History, counts *Counts) (*Driver, error) {
	d := &Driver{
		options: c.Opening(counts), dir: dir, state: model.New(), history: history, counts: counts,
		held: map[int]*held{}, writtenIn: map[int]bool{},
	}
	d.options.FS = fs
	if history != nil {
		d.births = history.births
	}
	return d, d.open()
}

func (d *Driver) open() error {
	store, err := engine.Open(d.dir, &d.options)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	d.store = store
	d.forks, d.snapshots, d.stale = map[int]*engine.Fork{}, map[int]*engine.Snapshot{}, nil
	if d.births == nil {
		d.births = newBirths()
	}
	return d.sameBirths()
}

// sameBirths demands that all forks and snapshots are still those that were made.
func (d *Driver) sameBirths() error {
	if d.blind {
		return nil
	}
	return d.births.learn(listed(d.store), d.state)
}

// Do does one operation to both. An error is a Disagreement; a panic of the store
// becomes one too.
func (d *Driver) Do(op ops.Op) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = differ(op, "panic: %v\n%s", p, stack())
		}
	}()
	d.counts.Add("operation "+string(op.Kind), 1)
	d.counts.Add("operations", 1)
	defer d.seen.end()
	defer func() { err = errors.Join(err, d.beside.end()) }()
	if op.Mutates() {
		return d.mutate(op)
	}
	if d.history != nil {
		d.history.begin(string(op.Kind), nil)
	}
	return d.observe(op)
}

func (d *Driver) mutate(op ops.Op) error {
	next, want := ops.Apply(d.state, op)
	if d.history != nil {
		d.history.begin(string(op.Kind), &next)
	}
	before := d.state
	d.beside.begin(next)
	got := d.write(op)
	d.seen.refused(got)
	if err := d.agree(op, got, want); err != nil {
		return err
	}
	d.state = next
	if d.history != nil {
		d.history.acknowledge(!op.NoSync && !op.Idle() && want == nil)
	}
	if want != nil {
		d.counts.Add("refused", 1)
		return nil
	}
	d.note(op, before)
	switch op.Kind {
	case ops.Fork, ops.ForkSnapshot, ops.ForkMany, ops.ForkManySnap, ops.Snapshot:
		return d.agree(op, d.sameBirths(), nil)
	}
	return nil
}

// write does a mutating operation to the store.
func (d *Driver) write(op ops.Op) error {
	var options []engine.WriteOption
	if op.NoSync {
		options = append(options, engine.NoSync)
	}
	switch op.Kind {
	case ops.Batch:
		return d.writeBatch(op, options)
	case ops.ForkSnapshot, ops.ForkManySnap, ops.RenameSnapshot, ops.DropSnapshot:
		return d.writeSnapshot(op, options)
	case ops.DropMany, ops.DropPrefix:
		return d.dropMany(op, options)
	}
	f, err := d.fork(op, op.Fork)
	if err != nil {
		return err
	}
	switch op.Kind {
	case ops.Put:
		return f.Set([]byte(op.Key), []byte(ops.Value(op.Fork, op.N, op.Key, op.Size)), options...)
	case ops.Delete:
		return f.Delete([]byte(op.Key), options...)
	case ops.DeleteRange:
		r := engineRange(op.Range)
		return f.DeleteRange(r.Lower, r.Upper, options...)
	case ops.Fork:
		return d.named(op, op.Name)(f.Fork(op.Name, options...))
	case ops.Snapshot:
		n, err := f.Snapshot(op.Name, options...)
		if err == nil && n.Name() != op.Name {
			return fmt.Errorf("the snapshot's name is %q", n.Name())
		}
		return err
	case ops.ForkMany:
		return d.allNamed(op)(f.ForkMany(op.Names, options...))
	case ops.Drop:
		return f.Drop(options...)
	case ops.DropSubtree:
		return dropped(len(d.state.Subtree(op.Fork)))(f.DropSubtree(options...))
	case ops.Rename:
		return f.Rename(op.Name, options...)
	case ops.Reset:
		source, err := d.fork(op, op.Name)
		if err != nil {
			return err
		}
		return f.Reset(source, options...)
	case ops.ResetSnapshot:
		source, err := d.snapshot(op, op.Name)
		if err != nil {
			return err
		}
		return f.Reset(source, options...)
	}
	return fmt.Errorf("unknown operation %q", op.Kind)
}

func (d *Driver) writeBatch(op ops.Op, options []engine.WriteOption) error {
	b := d.store.NewBatch()
	for i, w := range op.Writes {
		f, err := d.fork(op, w.Fork)
		if err != nil {
			return err
		}
		switch {
		case w.Range != nil:
			r := engineRange(*w.Range)
			b.DeleteRange(f, r.Lower, r.Upper)
		case w.Delete:
			b.Delete(f, []byte(w.Key))
		default:
			b.Set(f, []byte(w.Key), []byte(w.Value(op, i)))
		}
	}
	return b.Commit(options...)
}

func (d *Driver) writeSnapshot(op ops.Op, options []engine.WriteOption) error {
	n, err := d.snapshot(op, op.Fork)
	if err != nil {
		return err
	}
	switch op.Kind {
	case ops.ForkSnapshot:
		return d.named(op, op.Name)(n.Fork(op.Name, options...))
	case ops.ForkManySnap:
		return d.allNamed(op)(n.ForkMany(op.Names, options...))
	case ops.RenameSnapshot:
		return n.Rename(op.Name, options...)
	default:
		return n.Drop(options...)
	}
}

// named checks the handle that making a fork gave.
func (d *Driver) named(_ ops.Op, name string) func(f *engine.Fork, err error) error {
	return func(f *engine.Fork, err error) error {
		if err == nil && f.Name() != name {
			return fmt.Errorf("the fork's name is %q", f.Name())
		}
		return err
	}
}

// allNamed checks the handles that making many forks gave.
func (d *Driver) allNamed(op ops.Op) func(forks []*engine.Fork, err error) error {
	return func(forks []*engine.Fork, err error) error {
		if err != nil {
			return err
		}
		if len(forks) != len(op.Names) {
			return fmt.Errorf("%d forks were made", len(forks))
		}
		for i, f := range forks {
			if f.Name() != op.Names[i] {
				return fmt.Errorf("the name of fork %d is %q", i, f.Name())
			}
		}
		return nil
	}
}

// dropMany drops forks by their names or by what these begin with.
func (d *Driver) dropMany(op ops.Op, options []engine.WriteOption) error {
	if op.Kind == ops.DropPrefix {
		return dropped(len(d.state.WithPrefix(op.Name)))(d.store.DropPrefix(op.Name, options...))
	}
	forks := make([]*engine.Fork, len(op.Names))
	for i, name := range op.Names {
		var err error
		if forks[i], err = d.fork(op, name); err != nil {
			return err
		}
	}
	return d.store.DropForks(forks, options...)
}

// dropped checks how many forks were dropped. That there was none to drop writes
// nothing, and so promises nothing: it counts as refused.
func dropped(want int) func(got int, err error) error {
	return func(got int, err error) error {
		switch {
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("%d forks were dropped, want %d", got, want)
		case got == 0:
			return engine.ErrForkNotFound
		}
		return nil
	}
}

// fork gives a handle: an old one if there is one and the operation's number is
// even, else a fresh one.
func (d *Driver) fork(op ops.Op, name string) (*engine.Fork, error) {
	m, exists := d.state.Forks.Get(name)
	if f := d.forks[m.ID]; exists && f != nil && op.N%2 == 0 {
		return f, nil
	}
	f, err := d.store.Fork(name)
	if err == nil && exists && d.forks[m.ID] == nil {
		d.forks[m.ID] = f
	}
	return f, err
}

func (d *Driver) snapshot(op ops.Op, name string) (*engine.Snapshot, error) {
	m, exists := d.state.Snapshots.Get(name)
	if n := d.snapshots[m.ID]; exists && n != nil && op.N%2 == 0 {
		return n, nil
	}
	n, err := d.store.Snapshot(name)
	if err == nil && exists && d.snapshots[m.ID] == nil {
		d.snapshots[m.ID] = n
	}
	return n, err
}

// observe does an operation that changes nothing that can be seen.
func (d *Driver) observe(op ops.Op) error {
	switch op.Kind {
	case ops.Get, ops.Scan, ops.Seek, ops.OpenIter, ops.GetSnapshot, ops.ScanSnapshot:
		return d.read(op)
	case ops.WalkIter, ops.CloseIter:
		return d.useHeld(op)
	case ops.Flush:
		err := d.store.Flush()
		d.noteSwap(err)
		return d.agree(op, err, nil)
	case ops.Compact:
		err := d.store.Compact()
		d.noteSwap(err)
		if err == nil {
			err = d.beside.alone(d.verify)
		}
		return d.agree(op, err, nil)
	case ops.Settle:
		return d.agree(op, d.store.Settle(), nil)
	case ops.Sync:
		if err := d.store.Sync(); err != nil {
			return d.agree(op, err, nil)
		}
		if d.history != nil {
			d.history.acknowledgeAll()
		}
		return nil
	case ops.Verify:
		return d.agree(op, d.beside.alone(d.verify), nil)
	case ops.Check:
		return d.agree(op, d.checkAll(), nil)
	case ops.Backup, ops.BackupSome:
		return d.backup(op)
	case ops.Reopen:
		return d.agree(op, d.beside.alone(func() error {
			if err := d.Close(); err != nil {
				return err
			}
			return d.open()
		}), nil)
	}
	return differ(op, "unknown operation")
}

// verify lets what is due be done, and then demands that references and files are
// what they should be.
func (d *Driver) verify() error {
	if err := d.store.Settle(); err != nil {
		return err
	}
	return d.store.Verify()
}

// read does a get, a scan or the opening of an iterator, on a fork or snapshot.
func (d *Driver) read(op ops.Op) error {
	var r reader
	var contents model.Contents
	var id int
	var want, err error
	if op.Kind == ops.GetSnapshot || op.Kind == ops.ScanSnapshot {
		m, exists := d.state.Snapshots.Get(op.Fork)
		if contents = m.Contents; !exists {
			want = model.ErrSnapshotNotFound
		}
		r, err = d.snapshot(op, op.Fork)
	} else {
		m, exists := d.state.Forks.Get(op.Fork)
		if contents, id = m.Contents, m.ID; !exists {
			want = model.ErrForkNotFound
		}
		r, err = d.fork(op, op.Fork)
	}
	if err != nil || want != nil {
		d.seen.refused(err)
		return d.agree(op, err, want)
	}
	switch op.Kind {
	case ops.Get, ops.GetSnapshot:
		return d.agree(op, compareGet(d.look(r), op.Key, contents, d.seen), nil)
	case ops.Seek:
		return d.agree(op, compareSeek(d.look(r), op.Key, contents, d.seen), nil)
	case ops.OpenIter:
		h, err := openHeld(r, id, op.Range, contents, d.seen)
		if err == nil {
			d.held[op.Iter] = h
		}
		return d.agree(op, err, nil)
	default:
		return d.agree(op, compareScan(d.look(r), op.Range, contents, d.seen), nil)
	}
}

func (d *Driver) useHeld(op ops.Op) error {
	h := d.held[op.Iter]
	if h == nil {
		return nil
	}
	if op.Kind == ops.CloseIter {
		delete(d.held, op.Iter)
		return d.agree(op, h.it.Close(), nil)
	}
	alive := false
	for _, f := range d.state.Forks.All() {
		alive = alive || f.ID == h.forkID
	}
	if !alive {
		d.counts.Add("held iterator read after its fork was dropped", 1)
	}
	if h.swaps > 0 {
		d.counts.Add("held iterator read after a flush or compaction", 1)
	}
	if h.deletes > 0 {
		d.counts.Add("held iterator read after a range delete under it", 1)
	}
	if h.buried > 0 {
		d.counts.Add("held iterator read after a range delete under it and then a flush or compaction", 1)
	}
	return d.agree(op, h.walk(op.Steps, op.Seed), nil)
}

// checkAll compares everything: names, contents, handles kept and handles stale.
func (d *Driver) checkAll() error {
	if err := compareView(d.store, d.state.View(), d.look, d.seen); err != nil {
		return err
	}
	if err := d.sameBirths(); err != nil {
		return err
	}
	for name, m := range d.state.Forks.All() {
		f := d.forks[m.ID]
		if f == nil {
			continue
		}
		if f.Name() != name {
			return fmt.Errorf("a handle on fork %s says it is %s", name, f.Name())
		}
		if err := compareScan(d.look(f), ops.All, m.Contents, d.seen); err != nil {
			return fmt.Errorf("fork %s by a kept handle: %w", name, err)
		}
	}
	for _, f := range d.stale {
		if _, err := f.Get([]byte("k")); !errors.Is(err, engine.ErrForkNotFound) {
			return gone("reads", err)
		}
		if err := f.Set([]byte("k"), nil); !errors.Is(err, engine.ErrForkNotFound) {
			return gone("writes", err)
		}
		if _, err := f.Fork("never-" + f.Name()); !errors.Is(err, engine.ErrForkNotFound) {
			return gone("forks", err)
		}
	}
	d.counts.Add("forks compared in full", d.state.Forks.Len())
	return nil
}

// gone says what a handle on a dropped fork did instead of failing as it should.
func gone(did string, err error) error {
	if err == nil {
		return fmt.Errorf("a handle on a dropped fork %s", did)
	}
	return fmt.Errorf("a handle on a dropped fork %s: %w", did, err)
}

// abandon closes a store that has gone wrong, so that nothing of it runs on.
func (d *Driver) abandon() {
	defer func() { _ = recover() }() // what went wrong has been told
	d.store.Close()
	for _, h := range d.held {
		h.it.Close()
	}
}

// Close closes the store; iterators still held must then say so, and nothing may
// be left open.
func (d *Driver) Close() error {
	d.noteStats()
	if len(d.writtenIn) > 0 {
		d.counts.Add("closed with unflushed forks", 1)
	}
	err := d.store.Close()
	for _, h := range d.held {
		if err == nil {
			err = h.afterClose()
		} else {
			h.it.Close()
		}
	}
	clear(d.held)
	if err != nil {
		return err
	}
	if d.openHandles != nil && d.openHandles() != 0 {
		return fmt.Errorf("%d files or locks are open after Close", d.openHandles())
	}
	if d.history != nil {
		d.history.acknowledgeAll()
	}
	return nil
}
