package memtable

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// TestReadersWhileTheWriterAdds has one writer whose every batch, all with one
// LSN, sets a fixed set of keys to the LSN and one key that no other batch has.
// So a reader at an LSN knows what it must see: every fixed key with that very
// LSN, and as many other keys as there were batches.
func TestReadersWhileTheWriterAdds(t *testing.T) {
	const fixed, readers = 20, 3
	const batches = 400
	m := New()
	var done ids.LSN            // the batch being added, or the last one
	var published atomic.Uint64 // the last batch that is complete
	var wg sync.WaitGroup
	errs := make(chan error, readers)
	reads := make(chan ids.LSN, 1)
	failed := make(chan struct{})
	var failOnce sync.Once
	for reader := range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(reader), 1))
			for {
				at := ids.LSN(published.Load())
				if err := readAt(m, at, fixed, rng); err != nil {
					errs <- err
					failOnce.Do(func() { close(failed) })
					return
				}
				if int(at) == batches {
					return
				}
				select {
				case reads <- at:
				default:
				}
			}
		}()
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for _, unique := range rng.Perm(batches) {
		done++
		for i := range fixed {
			m.Add(done, fmt.Appendf(nil, "fixed %d", i*37), iterator.Set, fmt.Appendf(nil, "%d", done))
		}
		m.Add(done, fmt.Appendf(nil, "g %06d", unique), iterator.Set, fmt.Appendf(nil, "%d", done))
		published.Store(uint64(done))
		if done%20 == 0 && int(done) < batches {
			select {
			case <-reads: // so that readers and writer do alternate
			case <-failed:
			}
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// readAt reads everything at an LSN, forward, backward and by Get.
func readAt(m *Memtable, at ids.LSN, fixed int, rng *rand.Rand) error {
	want := fmt.Sprint(uint64(at))
	rows := int(at)
	if at > 0 {
		rows += fixed
	}
	it := m.NewIter(at)
	defer it.Close()
	for _, walk := range []struct {
		start, step func() bool
	}{{it.First, it.Next}, {it.Last, it.Prev}} {
		n, fixedSeen := 0, 0
		last := ""
		for ok := walk.start(); ok; ok = walk.step() {
			n++
			if key := string(it.Key()); key[0] == 'f' {
				fixedSeen++
				if string(it.Value()) != want {
					return fmt.Errorf("at %d the fixed key %q has the value %q", at, key, it.Value())
				}
			} else if key == last {
				return fmt.Errorf("at %d the key %q came twice", at, key)
			} else {
				last = key
			}
		}
		if n != rows || at > 0 && fixedSeen != fixed {
			return fmt.Errorf("at %d there are %d rows, want %d; %d of them fixed", at, n, rows, fixedSeen)
		}
	}
	for range 20 {
		key := fmt.Appendf(nil, "fixed %d", rng.IntN(fixed)*37)
		value, _, found := m.Get(key, at)
		if found != (at > 0) || found && string(value) != want {
			return fmt.Errorf("at %d the fixed key %q has the value %q, found %v", at, key, value, found)
		}
	}
	return nil
}

// TestReadersWhileTheWriterDeletesRanges has one writer whose batch number n deletes
// one key or up to ten, and then sets the last of them to n. A reader at an LSN knows
// what it must see of the layers below and of the memtable itself.
func TestReadersWhileTheWriterDeletesRanges(t *testing.T) {
	const readers, batches, keys = 3, 600, 100
	m := New()
	var published atomic.Uint64
	var wg sync.WaitGroup
	errs := make(chan error, readers)
	reads := make(chan struct{}, 1)
	failed := make(chan struct{})
	var failOnce sync.Once
	for reader := range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(reader), 2))
			for {
				at := published.Load()
				if err := rangesAt(m, int(at), keys, rng); err != nil {
					errs <- err
					failOnce.Do(func() { close(failed) })
					return
				}
				if at == batches {
					return
				}
				select {
				case reads <- struct{}{}:
				default:
				}
			}
		}()
	}
	for n := 1; n <= batches; n++ {
		at := n * 37 % keys
		if n%2 == 0 {
			m.AddRange(ids.LSN(n), layerKey(at-min(at, 9)), layerKey(at+1))
		} else {
			m.AddRange(ids.LSN(n), layerKey(at), layerKey(at+1))
		}
		m.Add(ids.LSN(n), layerKey(at), iterator.Set, fmt.Append(nil, n))
		published.Store(uint64(n))
		if n%20 == 0 && n < batches {
			select {
			case <-reads: // so that readers and writer do alternate
			case <-failed:
			}
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// rangesAt reads everything at an LSN that was published.
func rangesAt(m *Memtable, at, keys int, rng *rand.Rand) error {
	covered, set := make([]bool, keys), make([]int, keys)
	for n := 1; n <= at; n++ {
		to := n * 37 % keys
		from := to
		if n%2 == 0 {
			from -= min(from, 9)
		}
		for k := from; k <= to; k++ {
			covered[k], set[k] = true, 0
		}
		set[to] = n
	}
	spans := cover{m.Spans(ids.LSN(at))}
	if hides := spans.holds([]byte("a")); hides {
		return fmt.Errorf("at %d a key before all is covered", at)
	}
	for k := range keys {
		if got := spans.holds(layerKey(k)); got != covered[k] {
			return fmt.Errorf("at %d key %d is in a span: %v", at, k, got)
		}
	}
	for range 50 {
		k := rng.IntN(keys)
		if got := m.Covered(layerKey(k), ids.LSN(at)); got != covered[k] {
			return fmt.Errorf("at %d key %d is covered: %v", at, k, got)
		}
		value, kind, found := m.Get(layerKey(k), ids.LSN(at))
		if live := found && kind == iterator.Set; live != (set[k] > 0) || live && string(value) != fmt.Sprint(set[k]) {
			return fmt.Errorf("at %d key %d is %q, want %d", at, k, value, set[k])
		}
	}
	rows := 0
	it := iterator.NewLive(m.NewIter(ids.LSN(at)), nil)
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		rows++
	}
	for _, n := range set {
		if n > 0 {
			rows--
		}
	}
	if rows != 0 {
		return fmt.Errorf("at %d there are %d rows too many", at, rows)
	}
	_ = m.HasRanges() && m.RowsIn(nil, nil, keys) > keys
	return nil
}
