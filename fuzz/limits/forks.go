package limits

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// What 100 000 forks may cost. A fork is one record of constant size in the log, one
// edit in the manifest, and in memory a record in the tree and a handle.
const (
	baseRows       = 1000
	heapPerFork    = 1000     // bytes, with a handle that has been read through
	diskPerFork    = 200      // bytes, log and manifest together, preallocated space apart
	diskAtRest     = 16 << 20 // segments and a manifest that are preallocated
	heapAtRest     = 24 << 20 // over what an empty store takes: maps do not shrink
	writtenEvery   = 20       // one fork in so many is written to
	syncedEvery    = 1000     // one acknowledgement in so many is durable
	resampledEvery = 97       // one fork in so many is compared again after a reopen
)

// forks is how many forks there are.
func (m *many) forks() int { return 100_000 / part() }

func forkName(i int) string { return fmt.Sprintf("agent-%06d", i) }

// parentOf gives the fork from which fork i is made: a third of main, a third of the one
// before, a third of any. It is a function of i, so that nothing need be kept.
func parentOf(i int) int {
	switch i % 3 {
	case 0:
		return -1
	case 1:
		return i - 1
	}
	return int(rand.New(rand.NewPCG(uint64(i), 12)).Uint64() % uint64(i))
}

// ownValue gives what fork i reads under the key that forks write: its own number
// if it was written to, or what its parent had when it was made.
func ownValue(i int) (value int, found bool) {
	for ; i >= 0; i = parentOf(i) {
		if i%writtenEvery == 0 {
			return i, true
		}
	}
	return 0, false
}

// ManyForks makes 100 000 forks of forks in little memory, reads through each, writes
// to some, reopens, and drops them all in random order.
func ManyForks(dir string, counts *fuzz.Counts) error {
	if err := limited(); err != nil {
		return err
	}
	m := &many{counts: counts, dir: dir, memory: newMemory(), nodes: 2}
	return m.live(m.make, m.readAll, m.dropAll)
}

type many struct {
	counts *fuzz.Counts
	dir    string
	memory *memory
	store  *engine.Store
	empty  uint64 // heap with the base only
	nodes  int    // at most that the last fork may have
}

// live is what happens in a store whose forks are made, read through and dropped so.
func (m *many) live(make, read, drop func() error) error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"begin", m.begin}, {"make", make}, {"read", read}, {"measure", m.measure}, {"reopen", m.reopen},
		{"read again", read}, {"drop", drop}, {"rest", m.rest},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := m.memory.look(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	m.memory.note(m.counts)
	return nil
}

func (m *many) open() error {
	var err error
	m.store, err = engine.Open(m.dir, &engine.Options{MemtableBytes: 16 << 20, CacheBytes: 16 << 20, SegmentBytes: 2 << 20})
	return err
}

func (m *many) begin() error {
	if err := m.open(); err != nil {
		return err
	}
	main, err := m.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	b := m.store.NewBatch()
	for i := range baseRows {
		b.Set(main, fmt.Appendf(nil, "base%04d", i), fmt.Appendf(nil, "%0100d", i))
	}
	if err := b.Commit(); err != nil {
		return err
	}
	if err := m.store.Flush(); err != nil {
		return err
	}
	m.empty = heapInUse()
	return nil
}

// sync says how the i-th call is acknowledged.
func sync(i int) []engine.WriteOption {
	if i%syncedEvery == 0 {
		return nil
	}
	return []engine.WriteOption{engine.NoSync}
}

func (m *many) make() error {
	for i := range m.forks() {
		name := engine.MainFork
		if p := parentOf(i); p >= 0 {
			name = forkName(p)
		}
		parent, err := m.store.Fork(name)
		if err != nil {
			return err
		}
		f, err := parent.Fork(forkName(i), sync(i)...)
		if err != nil {
			return fmt.Errorf("fork %d: %w", i, err)
		}
		if i%writtenEvery == 0 {
			if err := f.Set([]byte("own"), fmt.Appendf(nil, "%d", i), engine.NoSync); err != nil {
				return err
			}
		}
		if i%syncedEvery == 0 {
			if err := m.memory.look(); err != nil {
				return fmt.Errorf("with %d forks: %w", i, err)
			}
		}
	}
	m.counts.Add("forks made", m.forks())
	return m.store.Settle()
}

// readAll reads a shared row and the fork's own through every fork.
func (m *many) readAll() error {
	if st := m.store.Stats(); st.Forks != m.forks()+1 {
		return fmt.Errorf("the store counts %d forks, want %d", st.Forks, m.forks()+1)
	}
	for i := range m.forks() {
		f, err := m.store.Fork(forkName(i))
		if err != nil {
			return err
		}
		row := i % baseRows
		got, err := f.Get(fmt.Appendf(nil, "base%04d", row))
		if want := fmt.Sprintf("%0100d", row); err != nil || string(got) != want {
			return fmt.Errorf("fork %d, row %d: got %q, %v", i, row, got, err)
		}
		want, found := ownValue(i)
		got, err = f.Get([]byte("own"))
		if !found && !errors.Is(err, engine.ErrNotFound) || found && (err != nil || string(got) != fmt.Sprint(want)) {
			return fmt.Errorf("fork %d, its own row: got %q, %v; want %d, %v", i, got, err, want, found)
		}
		if i%resampledEvery == 0 {
			if err := m.count(f, baseRows, found); err != nil {
				return fmt.Errorf("fork %d: %w", i, err)
			}
			if err := m.memory.look(); err != nil {
				return err
			}
		}
	}
	m.counts.Add("forks read", m.forks())
	return nil
}

// count scans a fork.
func (m *many) count(f *engine.Fork, rows int, own bool) error {
	if own {
		rows++
	}
	found := 0
	scan, failed := f.Scan(engine.Range{})
	for range scan {
		found++
	}
	if found != rows {
		return fmt.Errorf("%d rows, want %d; %v", found, rows, failed())
	}
	return failed()
}

// measure bounds what the forks cost, in memory and on disk.
func (m *many) measure() error {
	heap := heapInUse()
	m.counts.Add("heap bytes a fork", int(heap-m.empty)/m.forks())
	if heap > m.empty+uint64(m.forks())*heapPerFork {
		return fmt.Errorf("%d bytes of memory are in use, %d without forks", heap, m.empty)
	}
	return m.disk("with all forks", diskAtRest+int64(m.forks())*diskPerFork)
}

// disk bounds the length of all files together.
func (m *many) disk(when string, limit int64) error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	bytes := int64(0)
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(m.dir, entry.Name()))
		if err != nil {
			continue // removed meanwhile
		}
		bytes += info.Size()
	}
	m.counts.Add("MiB on disk "+when, int(bytes>>20))
	if bytes > limit {
		return fmt.Errorf("%d bytes are on disk, at most %d are allowed", bytes, limit)
	}
	return nil
}

func (m *many) reopen() error {
	if err := m.store.Close(); err != nil {
		return err
	}
	m.counts.Add("reopens", 1)
	return m.open()
}

func (m *many) dropAll() error {
	for n, i := range rand.New(rand.NewPCG(1, 13)).Perm(m.forks()) {
		f, err := m.store.Fork(forkName(i))
		if err != nil {
			return err
		}
		if err := f.Drop(sync(n)...); err != nil {
			return fmt.Errorf("drop of fork %d: %w", i, err)
		}
		if n%syncedEvery == 0 {
			if err := m.memory.look(); err != nil {
				return fmt.Errorf("after %d drops: %w", n, err)
			}
		}
	}
	m.counts.Add("forks dropped", m.forks())
	return nil
}

// rest demands that nothing of the forks is left, now and after a reopen.
func (m *many) rest() error {
	if err := errors.Join(m.store.Flush(), m.store.Compact(), m.store.Settle(), m.store.Verify()); err != nil {
		return err
	}
	st := m.store.Stats()
	if st.Forks != 1 || st.Nodes > m.nodes || st.MemoryNodes != 0 || st.Files > 2 {
		return fmt.Errorf("one fork is left, and the store counts %d forks, %d nodes, %d in memory, %d files", st.Forks, st.Nodes, st.MemoryNodes, st.Files)
	}
	if heap := heapInUse(); heap > m.empty+heapAtRest {
		return fmt.Errorf("%d bytes of memory are in use, before there were forks it were %d", heap, m.empty)
	}
	if err := m.disk("with one fork", diskAtRest); err != nil {
		return err
	}
	if err := m.reopen(); err != nil {
		return err
	}
	main, err := m.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	if err := m.count(main, baseRows, false); err != nil {
		return err
	}
	if err := m.store.Close(); err != nil {
		return err
	}
	return clean(m.dir)
}

// clean examines a store that is closed.
func clean(dir string) error {
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckDeep})
	if err != nil {
		return err
	}
	if !report.OK() || len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}
