package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// benchDepths are forks whose path holds little above a base of benchRows rows:
// nothing, what ten thousand forks with a write each have left in memory, and eight
// small runs.
var benchDepths = []struct {
	name string
	grow func(b *testing.B, main *Fork, write func())
}{
	{"base", func(*testing.B, *Fork, func()) {}},
	{"memory chain", func(b *testing.B, main *Fork, write func()) {
		for i := range 10_000 {
			write()
			_, err := main.Fork(fmt.Sprint("f", i), NoSync)
			require.NoError(b, err)
			if i%100 == 0 {
				_, err = main.s.pass(nil, func(k compaction.Kind) bool { return k == compaction.KindConsolidate }, main.s.stopped)
				require.NoError(b, err)
			}
		}
		_, err := main.s.pass(nil, func(k compaction.Kind) bool { return k == compaction.KindConsolidate }, main.s.stopped)
		require.NoError(b, err)
	}},
	{"small runs", func(b *testing.B, main *Fork, write func()) {
		for i := range 8 {
			for range 20_000 >> i {
				write()
			}
			_, err := main.Fork(fmt.Sprint("f", i), NoSync)
			require.NoError(b, err)
			require.NoError(b, main.s.Flush())
		}
	}},
}

// benchDeep is the fork at one of the depths, with all in the cache, made once.
func benchDeep(b *testing.B, i int) *Fork {
	b.ReportAllocs()
	at := -1 - i
	if f := benchForks[at]; f != nil {
		return f
	}
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true, CacheBytes: 1 << 30, MemtableBytes: 1 << 30})
	require.NoError(b, err)
	f, err := s.Fork(MainFork)
	require.NoError(b, err)
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 100)
	for i := range benchRows {
		require.NoError(b, f.Set(benchKey(nil, i), value, NoSync))
	}
	require.NoError(b, s.Flush())
	benchDepths[i].grow(b, f, func() {
		require.NoError(b, f.Set(benchKey(nil, rng.IntN(benchRows)), value, NoSync))
	})
	it, err := f.NewIter(Range{})
	require.NoError(b, err)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	require.Equal(b, benchRows, n)
	require.NoError(b, it.Close())
	v, err := f.acquire()
	require.NoError(b, err)
	for fl := range v.flat.under() { // as lookups in a store with background work would
		s.mu.Lock()
		w := s.viewOfFlatLocked(fl)
		s.mu.Unlock()
		require.NoError(b, s.makeSieve(w))
		require.NoError(b, s.makeWeave(w))
		w.release()
	}
	b.Logf("%s: %d layers, %d bytes of sieves", benchDepths[i].name, len(v.layers()), s.mu.sieveBytes)
	v.release()
	benchForks[at] = f
	return f
}

// BenchmarkDepth reads through little: what a path costs that holds memtables and
// small runs above its base.
func BenchmarkDepth(b *testing.B) {
	for i, d := range benchDepths {
		for _, read := range []struct {
			name string
			once func(f *Fork, key, value []byte) bool
		}{
			{"get", func(f *Fork, key, value []byte) bool {
				_, err := f.AppendGet(value[:0], key)
				return err == nil
			}},
			{"miss", func(f *Fork, key, value []byte) bool {
				_, err := f.AppendGet(value[:0], append(key, 'x'))
				return err == ErrNotFound
			}},
			{"seek-50", func(f *Fork, key, _ []byte) bool {
				it, err := f.NewIter(Range{})
				if err != nil {
					return false
				}
				n := 0
				for ok := it.SeekGE(key); ok && n < 50; ok = it.Next() {
					n++
				}
				return it.Close() == nil
			}},
		} {
			b.Run(read.name+"/"+d.name, func(b *testing.B) {
				f := benchDeep(b, i)
				rng := rand.New(rand.NewPCG(2, 2))
				key, value := make([]byte, 0, 64), make([]byte, 0, 128)
				keys := make([][]byte, 4096)
				for i := range keys {
					keys[i] = append(make([]byte, 0, 64), benchKey(nil, rng.IntN(benchRows))...)
				}
				n := 0
				b.ResetTimer()
				least(b, 100, func() {
					key = append(key[:0], keys[n%len(keys)]...)
					n++
					if !read.once(f, key, value) {
						b.Fatal("a row is missing, or there is one too many")
					}
				})
			})
		}
		b.Run("scan/"+d.name, func(b *testing.B) {
			f := benchDeep(b, i)
			it, err := f.NewIter(Range{})
			require.NoError(b, err)
			it.First()
			least(b, 5000, func() {
				if !it.Next() {
					it.First()
				}
			})
			require.NoError(b, it.Close())
		})
	}
}

// least runs a benchmark and reports the fastest stretch of so many operations too: on a
// machine with other work it is the figure that repeats.
func least(b *testing.B, stretch int, once func()) {
	best := time.Duration(math.MaxInt64)
	for n, start := 0, time.Now(); b.Loop(); {
		once()
		if n++; n == stretch {
			now := time.Now()
			best, n, start = min(best, now.Sub(start)), 0, now
		}
	}
	b.ReportMetric(float64(best.Nanoseconds())/float64(stretch), "least-ns/op")
}
