package limits

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

// A process may have so many descriptors, and a store more files than that by far.
const (
	descriptorLimit = 256
	manyTables      = 1000
)

func init() { children["descriptors"] = FewDescriptors }

// FewDescriptors makes a store of more than 1000 table files in a process that may
// open 256, with options that say nothing about it, and scans, forks and merges
// there.
func FewDescriptors(dir string, counts *fuzz.Counts) error {
	limit := syscall.Rlimit{Cur: descriptorLimit, Max: descriptorLimit}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	d := &few{counts: counts, dir: dir, want: book{engine.MainFork: model.Contents{}}}
	if err := d.open(true); err != nil {
		return err
	}
	if err := d.fill(); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	// With background work and everything else left to the store.
	if err := d.open(false); err != nil {
		return err
	}
	if err := d.use(); err != nil {
		return fmt.Errorf("use: %w", err)
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	return clean(d.dir)
}

type few struct {
	counts *fuzz.Counts
	dir    string
	store  *engine.Store
	want   book
	n      int
}

func (d *few) open(manual bool) error {
	var err error
	d.store, err = engine.Open(d.dir, &engine.Options{Manual: manual, TableBytes: 4 << 10, SegmentBytes: 1 << 20, CacheBytes: 64 << 10})
	return err
}

// fill writes to forks that share a base, until there are enough files.
func (d *few) fill() error {
	for i := 0; ; i++ {
		name := d.want.names()[i%len(d.want)]
		if err := d.write(name, 2000); err != nil {
			return err
		}
		if err := d.fork(name, fmt.Sprintf("f%d", i)); err != nil {
			return err
		}
		if err := d.store.Flush(); err != nil {
			return err
		}
		if n := d.store.Stats().Files; n > manyTables+manyTables/4 {
			d.counts.Add("table files", n)
			return nil
		}
	}
}

func (d *few) write(name string, rows int) error {
	f, err := d.store.Fork(name)
	if err != nil {
		return err
	}
	b, contents := d.store.NewBatch(), d.want[name]
	for range rows {
		d.n++
		key := fmt.Sprintf("k%05d", d.n*7919%4000)
		value := ops.Value(name, d.n, key, 200)
		b.Set(f, []byte(key), []byte(value))
		contents = contents.Set(key, value)
	}
	d.want[name] = contents
	return b.Commit(engine.NoSync)
}

func (d *few) fork(parent, child string) error {
	f, err := d.store.Fork(parent)
	if err != nil {
		return err
	}
	if _, err := f.Fork(child, engine.NoSync); err != nil {
		return err
	}
	d.want[child] = d.want[parent]
	return nil
}

// use reads all forks, with iterators held, forks and merges, and looks how many
// descriptors are open.
func (d *few) use() error {
	files := d.store.Stats().Files
	if files <= manyTables {
		return fmt.Errorf("%d table files are too few to try this", files)
	}
	var held []*engine.Iterator
	for _, name := range d.want.names() {
		f, err := d.store.Fork(name)
		if err != nil {
			return err
		}
		for range 16 {
			it, err := f.NewIter(engine.Range{})
			if err != nil {
				return err
			}
			held = append(held, it)
			if !it.First() {
				return it.Error()
			}
		}
	}
	d.counts.Add("iterators held", len(held))
	if err := d.want.compare(d.store); err != nil {
		return err
	}
	if err := d.room(); err != nil {
		return err
	}
	if err := d.write(engine.MainFork, 3000); err != nil {
		return err
	}
	if err := d.fork(engine.MainFork, "late"); err != nil {
		return err
	}
	if err := d.write("late", 3000); err != nil {
		return err
	}
	if err := errors.Join(d.store.Flush(), d.store.Compact()); err != nil {
		return err
	}
	for _, it := range held {
		for range 10 {
			if !it.Next() {
				return fmt.Errorf("a held iterator ended: %w", it.Error())
			}
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	if err := d.want.compare(d.store); err != nil {
		return err
	}
	if err := d.room(); err != nil {
		return err
	}
	if err := errors.Join(d.store.Compact(), d.store.Settle(), d.store.Verify()); err != nil {
		return err
	}
	d.counts.Add("forks compared", len(d.want))
	return nil
}

// room demands that the store leaves descriptors to the program around it.
func (d *few) room() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	tables := 0
	for _, entry := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasSuffix(to, ".sst") {
			tables++
		}
	}
	d.counts.Add("descriptors open, summed over two looks", len(entries))
	if len(entries) > descriptorLimit*3/4 {
		return fmt.Errorf("%d of %d descriptors are open, %d of them of tables", len(entries), descriptorLimit, tables)
	}
	return nil
}
