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
