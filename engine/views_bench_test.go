package engine

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkActiveForksOverADeletedBase makes forks over a base of which a tenth was
// deleted in shared nodes, lets each delete a row of its own, and reads through all
// of them. B/written-fork is what the delete takes in memory once it is flushed, a
// node and its vector; B/view is what reading adds, a view and the fork's own dead
// rows; MiB is all of the heap but cached blocks.
func BenchmarkActiveForksOverADeletedBase(b *testing.B) {
	for _, size := range []struct{ rows, forks int }{{300_000, 3_000}, {10_000_000, 100_000}} {
		b.Run(fmt.Sprintf("%d rows, %d forks", size.rows, size.forks), func(b *testing.B) {
			if size.rows > 1_000_000 && testing.Short() {
				b.Skip()
			}
			for b.Loop() {
				readActiveForks(b, size.rows, size.forks)
			}
		})
	}
}

func readActiveForks(b *testing.B, rows, forks int) {
	s, err := Open(b.TempDir(), &Options{Manual: true, MemtableBytes: 1 << 30, CacheBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	main, err := s.Fork(MainFork)
	must(err)
	key := func(i int) []byte { return fmt.Appendf(nil, "k%015d", i) }
	write := func(n int, add func(w *Batch, i int)) {
		const atOnce = 10_000
		for first := 0; first < n; first += atOnce {
			w := s.NewBatch()
			for i := first; i < min(first+atOnce, n); i++ {
				add(w, i)
			}
			must(w.Commit(NoSync))
		}
		must(s.Flush())
	}
	value := make([]byte, 100)
	write(rows, func(w *Batch, i int) { w.Set(main, key(i), value) })
	write(rows/10, func(w *Batch, i int) { w.Delete(main, key(10*i)) })

	all := make([]*Fork, forks)
	for i := range all {
		all[i], err = main.Fork(fmt.Sprint("f", i), NoSync)
		must(err)
	}
	memory := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) - s.cache.Stats().Bytes
	}
	_, _ = main.Get(key(1))
	idle := memory()
	write(forks, func(w *Batch, i int) { w.Delete(all[i], key(10*(i%(rows/10))+1)) })
	marked := memory()
	for i, f := range all {
		for _, c := range []struct {
			row  int
			dead bool
		}{{10*(i%(rows/10)) + 1, true}, {10 * (i % (rows / 10)), true}, {10*(i%(rows/10)) + 2, false}} {
			_, err := f.Get(key(c.row))
			if (err == nil) == c.dead {
				b.Fatalf("fork %d, row %d: %v", i, c.row, err)
			}
		}
	}
	active := memory()
	runtime.KeepAlive(all)
	b.ReportMetric(float64(marked-idle)/float64(forks), "B/written-fork")
	b.ReportMetric(float64(active-marked)/float64(forks), "B/view")
	b.ReportMetric(float64(active)/(1<<20), "MiB")
}
