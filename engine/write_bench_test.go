package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchStore is a store on the file system, without background work that the rows of
// a benchmark would begin.
func benchStore(b *testing.B) *Fork {
	s, err := Open(b.TempDir(), &Options{MemtableBytes: 1 << 30, MaxLogBytes: 4 << 30})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	f, err := s.Fork(MainFork)
	require.NoError(b, err)
	return f
}

// processorTime is what this process has used, in user and system mode.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSet writes rows one by one, unsynced.
func BenchmarkSet(b *testing.B) {
	f := benchStore(b)
	b.ReportAllocs()
	key, value := make([]byte, 16), make([]byte, 100)
	used := processorTime(b)
	n := uint64(0)
	for b.Loop() {
		n++
		binary.BigEndian.PutUint64(key, n*0x9e3779b97f4a7c15)
		if err := f.Set(key, value, NoSync); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-used)/float64(b.N), "cpu-ns/op")
}

// BenchmarkSyncedSet writes rows by several writers at once, each of which waits
// until its row is durable.
func BenchmarkSyncedSet(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			f := benchStore(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			used := processorTime(b)
			for range writers {
				wg.Go(func() {
					key, value := make([]byte, 16), make([]byte, 100)
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						binary.BigEndian.PutUint64(key, uint64(n)*0x9e3779b97f4a7c15)
						if err := f.Set(key, value); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(processorTime(b)-used)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/float64(f.s.Timings().Log.SyncTimes.Count), "rows/fsync")
		})
	}
}

// BenchmarkRecover opens a store whose rows, 16 + 100 bytes in random order and in
// batches of some length, are all in the log.
func BenchmarkRecover(b *testing.B) {
	const rows = 300_000
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			o := &Options{MemtableBytes: 1 << 30, MaxLogBytes: 4 << 30, Manual: true}
			dir := b.TempDir()
			s, err := Open(dir, o)
			require.NoError(b, err)
			f, err := s.Fork(MainFork)
			require.NoError(b, err)
			w, key, value := s.NewBatch(), make([]byte, 16), make([]byte, 100)
			for n := uint64(1); n <= rows; n++ {
				binary.BigEndian.PutUint64(key, n*0x9e3779b97f4a7c15)
				w.Set(f, key, value)
				if w.Len() == batch {
					require.NoError(b, w.Commit(NoSync))
				}
			}
			require.NoError(b, s.Close())
			o.ReadOnly = true
			b.SetBytes(rows * 116)
			used := processorTime(b)
			for b.Loop() {
				s, err := Open(dir, o)
				require.NoError(b, err)
				require.NoError(b, s.Close())
			}
			b.ReportMetric(float64(processorTime(b)-used)/float64(b.N)/rows, "cpu-ns/row")
		})
	}
}

// BenchmarkSetAmongGets is what two goroutines do that read rows at random and set one in
// twenty, unsynced: how long the sets take that take longest, and a get or set on the average.
func BenchmarkSetAmongGets(b *testing.B) {
	const rows, goroutines = 1 << 20, 2
	f := benchStore(b)
	value := make([]byte, 100)
	batch := f.s.NewBatch()
	for n := range uint64(rows) {
		batch.Set(f, binary.BigEndian.AppendUint64(nil, n*0x9e3779b97f4a7c15), value)
		if batch.Len() == 1000 || n == rows-1 {
			require.NoError(b, batch.Commit(NoSync))
		}
	}
	require.NoError(b, f.s.Flush())
	var took [goroutines][]time.Duration
	b.ResetTimer()
	var all sync.WaitGroup
	for g := range took {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range b.N {
				key := binary.BigEndian.AppendUint64(nil, r.Uint64N(rows)*0x9e3779b97f4a7c15)
				if i%20 > 0 {
					if _, err := f.Get(key); err != nil {
						b.Error(err)
						return
					}
					continue
				}
				begun := time.Now()
				if err := f.Set(key, value, NoSync); err != nil {
					b.Error(err)
					return
				}
				took[g] = append(took[g], time.Since(begun))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	sets := slices.Concat(took[:]...)
	slices.Sort(sets)
	for _, p := range []struct {
		part float64
		name string
	}{{0.5, "p50-set-ns"}, {0.99, "p99-set-ns"}, {0.999, "p99.9-set-ns"}} {
		b.ReportMetric(float64(sets[int(p.part*float64(len(sets)-1))]), p.name)
	}
}
