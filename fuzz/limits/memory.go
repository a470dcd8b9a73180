package limits

import (
	"fmt"
	"math/rand/v2"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
)

// Under the memory limit three times as much is written, in rows of rowBytes, over
// loadForks forks; then heldIterators read all of it at a time.
const (
	loadBytes     = 3 * memoryLimit
	rowBytes      = 4 << 10
	loadForks     = 8
	heldIterators = 64
	lookEvery     = 500 // rows
)

// LittleMemory loads, scans and merges several times the memory there is, with
// small options and many iterators held, and takes a value of 64 MiB in between.
func LittleMemory(dir string, counts *fuzz.Counts) error {
	if err := limited(); err != nil {
		return err
	}
	l := &little{counts: counts, memory: newMemory(), options: engine.Options{
		MemtableBytes: 8 << 20, CacheBytes: 8 << 20, TableBytes: 4 << 20, SegmentBytes: 4 << 20,
	}}
	var err error
	if l.store, err = engine.Open(dir, &l.options); err != nil {
		return err
	}
	if err := l.load(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := l.large(); err != nil {
		return fmt.Errorf("a large value: %w", err)
	}
	if err := l.scan(); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	if err := l.store.Compact(); err != nil {
		return err
	}
	if err := l.memory.look(); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	l.memory.note(counts)
	if err := l.store.Verify(); err != nil {
		return err
	}
	return l.store.Close()
}

type little struct {
	counts  *fuzz.Counts
	memory  *memory
	options engine.Options
	store   *engine.Store
	forks   []*engine.Fork
	rows    int // of each fork
}

func rowKey(i int) []byte { return fmt.Appendf(nil, "row%08d", i) }

// load writes rows to each fork in turn, in an order that is not that of the keys.
func (l *little) load() error {
	main, err := l.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	for i := range loadForks {
		f, err := main.Fork(fmt.Sprintf("f%d", i), engine.NoSync)
		if err != nil {
			return err
		}
		l.forks = append(l.forks, f)
	}
	l.rows = loadBytes / rowBytes / loadForks / part()
	order := rand.New(rand.NewPCG(2, 14)).Perm(l.rows)
	for n, row := range order {
		for i, f := range l.forks {
			if err := f.Set(rowKey(row), l.value(i, row), engine.NoSync); err != nil {
				return err
			}
		}
		if n%(lookEvery/loadForks) == 0 {
			if err := l.memory.look(); err != nil {
				return fmt.Errorf("after %d rows: %w", n, err)
			}
		}
	}
	l.counts.Add("MiB written", l.rows*loadForks*rowBytes>>20)
	return nil
}

// value is noise that says where it belongs.
func (l *little) value(fork, row int) []byte { return noise(rowBytes, uint64(fork)<<32|uint64(row)) }

// large writes, reads and deletes a value of the greatest length.
func (l *little) large() error {
	if err := l.forks[0].Set([]byte("large"), make([]byte, engine.MaxValueBytes), engine.NoSync); err != nil {
		return err
	}
	if err := l.store.Flush(); err != nil {
		return err
	}
	if err := l.memory.look(); err != nil {
		return err
	}
	value, err := l.forks[0].Get([]byte("large"))
	if err != nil || len(value) != engine.MaxValueBytes {
		return fmt.Errorf("%d bytes, %v", len(value), err)
	}
	l.counts.Add("values of the greatest length", 1)
	if err := l.memory.look(); err != nil {
		return err
	}
	return l.forks[0].Delete([]byte("large"))
}

// scan moves many iterators through everything, each from another place on.
func (l *little) scan() error {
	type walk struct {
		it   *engine.Iterator
		fork int
		row  int
	}
	var walks []*walk
	defer func() {
		for _, w := range walks {
			_ = w.it.Close()
		}
	}()
	for i := range heldIterators {
		it, err := l.forks[i%loadForks].NewIter(engine.Range{Lower: []byte("row"), Upper: []byte("rox")})
		if err != nil {
			return err
		}
		w := &walk{it: it, fork: i % loadForks, row: i * l.rows / heldIterators}
		walks = append(walks, w)
		if !it.SeekGE(rowKey(w.row)) {
			return fmt.Errorf("no row %d: %w", w.row, it.Error())
		}
	}
	looked := 0
	for range l.rows / (heldIterators / loadForks) { // together they pass every row of every fork
		for _, w := range walks {
			if !w.it.Valid() {
				return fmt.Errorf("the rows end before %d: %w", w.row, w.it.Error())
			}
			if string(w.it.Key()) != string(rowKey(w.row)) || string(w.it.Value()) != string(l.value(w.fork, w.row)) {
				return fmt.Errorf("fork %d, row %d: key %q, or another value", w.fork, w.row, w.it.Key())
			}
			l.counts.Add("rows compared", 1)
			w.row++
			if w.it.Next() != (w.row < l.rows) {
				return fmt.Errorf("row %d: the last move tells otherwise: %w", w.row, w.it.Error())
			}
			if w.row == l.rows {
				w.row = 0
				w.it.First()
			}
			if looked++; looked%lookEvery == 0 {
				if err := l.memory.look(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
