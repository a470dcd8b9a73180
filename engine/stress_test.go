package engine_test

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
)

// Many goroutines fork, write, read, reset and drop at once, over tiny limits so
// that every background mechanism runs. Each goroutine owns one fork and knows
// what must be in it.
func TestConcurrentForksKeepToThemselves(t *testing.T) {
	dir := t.TempDir()
	opts := &engine.Options{MemtableBytes: 64 << 10, SegmentBytes: 64 << 10, TableBytes: 16 << 10, BlockBytes: 512, CacheBytes: 64 << 10, MaxOpenFiles: 8}
	s, err := engine.Open(dir, opts)
	require.NoError(t, err)
	base, err := s.Fork(engine.MainFork)
	require.NoError(t, err)
	want := map[string]string{}
	for i := range 2000 {
		k, v := fmt.Sprintf("k%05d", i), fmt.Sprintf("main-%d", i)
		want[k] = v
		require.NoError(t, base.Set([]byte(k), []byte(v), engine.NoSync))
	}
	const workers, rounds = 8, 12
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	var mu sync.Mutex
	kept := map[string]map[string]string{}
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewSource(int64(w)))
			f, have := base, want
			for round := range rounds {
				name := fmt.Sprintf("w%d/r%d", w, round)
				child, err := f.Fork(name, engine.NoSync)
				if err != nil {
					errs <- err
					return
				}
				mine := make(map[string]string, len(have))
				for k, v := range have {
					mine[k] = v
				}
				for i := range 300 {
					k := fmt.Sprintf("k%05d", r.Intn(2500))
					if r.Intn(4) == 0 {
						err = child.Delete([]byte(k), engine.NoSync)
						delete(mine, k)
					} else {
						v := fmt.Sprintf("%s-%d-%d", name, i, r.Int63())
						err = child.Set([]byte(k), []byte(v), engine.NoSync)
						mine[k] = v
					}
					if err != nil {
						errs <- err
						return
					}
				}
				if err := same(child, mine); err != nil {
					errs <- fmt.Errorf("%s: %w", name, err)
					return
				}
				if r.Intn(2) == 0 && f != base {
					if err := f.Drop(engine.NoSync); err != nil {
						errs <- err
						return
					}
				}
				f, have = child, mine
			}
			mu.Lock()
			kept[f.Name()] = have
			mu.Unlock()
		}()
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	checkAll := func() {
		for name, have := range kept {
			f, err := s.Fork(name)
			require.NoError(t, err)
			require.NoError(t, same(f, have), name)
		}
		f, err := s.Fork(engine.MainFork)
		require.NoError(t, err)
		require.NoError(t, same(f, want))
	}
	checkAll()
	st := s.Stats()
	t.Logf("%+v", st)
	require.NotZero(t, st.Flushes)
	require.NotZero(t, st.Merges)
	require.NoError(t, s.Close())
	s, err = engine.Open(dir, opts)
	require.NoError(t, err)
	checkAll()
	require.NoError(t, s.Flush())
	require.NoError(t, s.Compact())
	require.NoError(t, s.Verify())
	checkAll()
	require.NoError(t, s.Close())
	r, err := engine.Check(dir, engine.CheckOptions{})
	require.NoError(t, err)
	require.True(t, r.OK(), "%+v", r)
	require.Empty(t, r.Leaked)
}

func same(f *engine.Fork, want map[string]string) error {
	n := 0
	rows, errf := f.Scan(engine.Range{})
	for k, v := range rows {
		n++
		if w, ok := want[string(k)]; !ok || w != string(v) {
			return fmt.Errorf("scan: %s is %q, want %q (%v)", k, v, w, ok)
		}
	}
	if err := errf(); err != nil {
		return err
	}
	if n != len(want) {
		return fmt.Errorf("scan gives %d rows, want %d", n, len(want))
	}
	i := 0
	for k, w := range want {
		if i++; i > 200 {
			break
		}
		v, err := f.Get([]byte(k))
		if err != nil || string(v) != w {
			return fmt.Errorf("get %s: %q, %v, want %q", k, v, err, w)
		}
	}
	return nil
}
