package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// deleters are several clients on one store, each with a driver and with forks of
// its own, all of them made of one fork whose tables everybody shares and deletes
// from, while somebody else flushes and merges all the time: marks are carried over
// while others are made. Each client's forks must be what its operations made of
// them, live and after a crash.
type deleters struct {
	store   *engine.Store
	drivers []*Driver
}

const (
	deletingClients = 3
	deletesEach     = 300
	deleteStride    = 97
)

// nameOf gives the name by which the store knows a client's fork or snapshot.
func nameOf(client int, name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("c%d-%s", client, name)
}

// owned gives an operation with the names that are the client's own, and tells
// whether it is one that clients can do beside each other.
func owned(client int, op ops.Op) (ops.Op, bool) {
	switch op.Kind {
	case ops.Flush, ops.Compact, ops.Settle, ops.Reopen, ops.Verify, ops.Check, ops.Backup:
		return op, false
	}
	op.Fork, op.Name = nameOf(client, op.Fork), nameOf(client, op.Name)
	writes := make([]ops.Write, len(op.Writes))
	for i, w := range op.Writes {
		w.Fork = nameOf(client, w.Fork)
		writes[i] = w
	}
	op.Writes = writes
	names := make([]string, len(op.Names))
	for i, name := range op.Names {
		names[i] = nameOf(client, name)
	}
	op.Names = names
	return op, true
}

// begin fills the fork that all others come of, and makes one for each client, and
// one more that keeps the client's last from being the store's last.
func (p *deleters) begin(c Config, counts *Counts) error {
	start := &Driver{options: c.Options, store: p.store, state: model.New(), counts: counts, births: newBirths(), writtenIn: map[int]bool{}, forks: map[int]*engine.Fork{}}
	fill := ops.Op{Kind: ops.Batch}
	for i := range 200 {
		fill.Writes = append(fill.Writes, ops.Write{Fork: model.MainFork, Key: fmt.Sprintf("k%03d", i), Size: 1 + i%50})
	}
	if err := start.Do(fill); err != nil {
		return err
	}
	if err := p.store.Flush(); err != nil {
		return err
	}
	for client := range deletingClients {
		d := &Driver{
			options: c.Options, dir: storeDir, store: p.store, counts: counts, births: newBirths(),
			forks: map[int]*engine.Fork{}, snapshots: map[int]*engine.Snapshot{}, held: map[int]*held{}, writtenIn: map[int]bool{},
		}
		for _, name := range []string{nameOf(client, model.MainFork), nameOf(client, "last")} {
			if err := start.Do(ops.Op{Kind: ops.Fork, Fork: model.MainFork, Name: name}); err != nil {
				return err
			}
		}
		for name, f := range start.state.Forks.All() {
			if strings.HasPrefix(name, fmt.Sprintf("c%d-", client)) {
				d.state.Forks = d.state.Forks.Set(name, f)
			}
		}
		d.state = d.state.View().State()
		d.history = &History{births: d.births}
		d.history.append(d.state)
		p.drivers = append(p.drivers, d)
	}
	return nil
}

// live does a client's operations, compares all that is its own at the end, and
// lets go of what it holds.
func (d *Driver) live(client int, list []ops.Op) error {
	for _, op := range list {
		op, ok := owned(client, op)
		if !ok {
			continue
		}
		if err := d.Do(op); err != nil {
			return fmt.Errorf("client %d: %w", client, err)
		}
	}
	for _, h := range d.held {
		if err := errors.Join(h.walk(10, uint64(client)), h.it.Close()); err != nil {
			return fmt.Errorf("client %d: at the end: %w", client, err)
		}
	}
	clear(d.held)
	for name, m := range d.state.Forks.All() {
		f, err := d.store.Fork(name)
		if err == nil {
			err = compareAll(f, m.Contents, nil)
		}
		if err != nil {
			return fmt.Errorf("client %d: at the end: fork %s: %w", client, name, err)
		}
	}
	return nil
}

// ownedBy gives what of a view is a client's own. What came of what is left out:
// each client numbers its forks by itself.
func ownedBy(client int, v model.View) (own model.View) {
	prefix := fmt.Sprintf("c%d-", client)
	for name, contents := range v.Forks.All() {
		if strings.HasPrefix(name, prefix) {
			own.Forks = own.Forks.Set(name, contents)
		}
	}
	for name, contents := range v.Snapshots.All() {
		if strings.HasPrefix(name, prefix) {
			own.Snapshots = own.Snapshots.Set(name, contents)
		}
	}
	return own
}

// judge demands that of each client's operations a view holds the first so many: at
// least those that were promised at the moments from, at most those that were begun
// at the moments to.
func (p *deleters) judge(v model.View, from, to []Moment, kill bool) error {
	for client, d := range p.drivers {
		low, high := from[client].Synced, to[client].Begun
		if kill {
			low = from[client].Acknowledged
		}
		got, found, last := ownedBy(client, v), false, ""
		for k := high; k >= low && !found; k-- {
			last = model.Diff(got, ownedBy(client, d.history.state(k).View()))
			found = last == ""
		}
		if !found {
			return fmt.Errorf("client %d: what is recovered is so after no number of its operations in %d…%d; against the first: %s", client, low, high, last)
		}
	}
	return nil
}

func (p *deleters) now() []Moment {
	all := make([]Moment, len(p.drivers))
	for i, d := range p.drivers {
		all[i] = d.history.now()
	}
	return all
}

// deletersImage is what a crash would leave, and how far the clients were before and
// after it was made.
type deletersImage struct {
	fs       *crashfs.FS
	from, to []Moment
	kill     bool
	how      string
}

func deletersRun(seed uint64, c Config, counts *Counts) (err error) {
	disk, p := newDisk(), &deleters{}
	var mu sync.Mutex
	var images []deletersImage
	calls, draw, watching := 0, rand.New(rand.NewPCG(seed, 5)), false
	options := c.Options
	options.FS = &tap{disk, func(call, name string) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; !watching || calls%deleteStride != 0 {
			return
		}
		i := deletersImage{from: p.now(), how: fmt.Sprintf("before call %d: %s %s", calls, call, name)}
		switch draw.IntN(3) {
		case 0:
			i.fs, i.kill = disk.AfterKill(), true
		case 1:
			i.fs = disk.PowerLossStrict()
		default:
			i.fs = disk.PowerLoss(draw)
		}
		i.to = p.now()
		images = append(images, i)
	}}
	if p.store, err = engine.Open(storeDir, &options); err != nil {
		return err
	}
	defer p.store.Close()
	if err := p.begin(c, counts); err != nil {
		return err
	}
	mu.Lock()
	watching = true
	mu.Unlock()
	if err := p.crowd(seed); err != nil {
		return err
	}
	counts.Add("images", len(images))
	if err := errors.Join(p.store.Compact(), p.store.Settle(), p.store.Verify()); err != nil {
		return err
	}
	judge := &Judge{config: c, counts: counts}
	for _, i := range append(images, deletersImage{fs: disk.AfterKill(), from: p.now(), to: p.now(), kill: true, how: "at the end"}) {
		v, _, err := judge.view(i.fs)
		if err == nil {
			err = p.judge(v, i.from, i.to, i.kill)
		}
		if err != nil {
			return fmt.Errorf("%s (killed only: %v): %w", i.how, i.kill, err)
		}
	}
	p.drivers[0].noteStats()
	if err := p.store.Close(); err != nil {
		return err
	}
	return checkClean(disk, storeDir)
}

// crowd lets all clients live at once, and flushes and merges for as long as one
// does.
func (p *deleters) crowd(seed uint64) error {
	var clients, others sync.WaitGroup
	errs := make([]error, len(p.drivers)+1)
	for client, d := range p.drivers {
		list := ops.NewGenerator(seed*deletingClients+uint64(client), ops.Deleting()).List(deletesEach)
		clients.Go(func() { errs[client] = d.live(client, list) })
	}
	done := make(chan struct{})
	others.Go(func() {
		for errs[len(p.drivers)] == nil {
			select {
			case <-done:
				return
			default:
				errs[len(p.drivers)] = errors.Join(p.store.Flush(), p.store.Compact())
			}
		}
	})
	clients.Wait()
	close(done)
	others.Wait()
	return errors.Join(errs...)
}

// deletersTrial lets them crowd on a store with background work or, every other
// seed, on one without, with small tables or with large ones.
func deletersTrial() Trial {
	return Trial{
		Name: "clients-deletes",
		Runs: 16,
		Run: func(seed uint64, counts *Counts) error {
			c := CrashConfig()
			c.Options.Manual = seed%2 == 0
			if seed%4 > 1 {
				c.Options.TableBytes, c.Options.MemtableBytes = 8<<10, 8<<10
			}
			if err := deletersRun(seed, c, counts); err != nil {
				return fmt.Errorf("manual %v: %w", c.Options.Manual, err)
			}
			return nil
		},
		Sometimes: map[string]int{
			"images": 300, "operation deleterange": 500, "range deletes of some rows": 300, "store: rows marked": 3000,
			"store: vectors translated": 100, "store: vectors staged": 200, "store: merges because of dead rows": 200,
		},
	}
}
