package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// benchRows is large enough that the rows do not fit into the processor's caches.
const benchRows = 500_000

func benchKey(dst []byte, i int) []byte { return fmt.Appendf(dst[:0], "user%012d", 2*i) }

// benchForks are made once and kept, so that many short rounds cost little.
var benchForks = map[int]*Fork{}

// benchFork is a fork of benchRows rows of 16 + 100 bytes, dealt at random to so
// many runs, and all of them in the block cache.
func benchFork(b *testing.B, runs int) *Fork {
	b.ReportAllocs()
	if f := benchForks[runs]; f != nil {
		return f
	}
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true, CacheBytes: 1 << 30, MemtableBytes: 1 << 30})
	require.NoError(b, err)
	f, err := s.Fork(MainFork)
	require.NoError(b, err)
	rng := rand.New(rand.NewPCG(1, 1))
	dealt := make([][]int, runs)
	for i := range benchRows {
		run := rng.IntN(runs)
		dealt[run] = append(dealt[run], i)
	}
	value := make([]byte, 100)
	var key []byte
	for _, rows := range dealt {
		for _, i := range rows {
			key = benchKey(key, i)
			for at := range value[:80] {
				value[at] = byte(rng.Uint32())
			}
			require.NoError(b, f.Set(key, value, NoSync))
		}
		require.NoError(b, s.Flush())
	}
	it, err := f.NewIter(Range{})
	require.NoError(b, err)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	require.Equal(b, benchRows, n)
	require.NoError(b, it.Close())
	benchForks[runs] = f
	return f
}

// forSomeRuns runs a benchmark over one run and over six.
func forSomeRuns(b *testing.B, run func(b *testing.B, f *Fork)) {
	for _, runs := range []int{1, 6} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			f := benchFork(b, runs)
			b.ResetTimer()
			run(b, f)
		})
	}
}

// benchWalk makes one operation of one row.
func benchWalk(b *testing.B, rng Range, start, step func(*Iterator) bool) {
	forSomeRuns(b, func(b *testing.B, f *Fork) {
		it, err := f.NewIter(rng)
		require.NoError(b, err)
		start(it)
		bytes := 0
		for b.Loop() {
			bytes += len(it.Key()) + len(it.Value())
			if !step(it) {
				start(it)
			}
		}
		require.Positive(b, bytes)
		require.NoError(b, it.Close())
	})
}

func BenchmarkScan(b *testing.B) {
	benchWalk(b, Range{}, (*Iterator).First, (*Iterator).Next)
}

func BenchmarkReverseScan(b *testing.B) {
	benchWalk(b, Range{}, (*Iterator).Last, (*Iterator).Prev)
}

func BenchmarkBoundedScan(b *testing.B) {
	benchWalk(b, Range{Lower: []byte("user0"), Upper: []byte("userx")}, (*Iterator).First, (*Iterator).Next)
}

// One operation is a seek and the 50 rows from there on, by an iterator that is
// there already.
func BenchmarkSeek50(b *testing.B) {
	forSomeRuns(b, func(b *testing.B, f *Fork) {
		it, err := f.NewIter(Range{})
		require.NoError(b, err)
		rng := rand.New(rand.NewPCG(2, 2))
		var key []byte
		for b.Loop() {
			key = benchKey(key, rng.IntN(benchRows-100))
			n := 0
			for ok := it.SeekGE(key); ok && n < 50; ok = it.Next() {
				n++
			}
			if n != 50 {
				b.Fatal("rows are missing")
			}
		}
		require.NoError(b, it.Close())
	})
}

// One operation is to open an iterator, seek, read a row and close it.
func BenchmarkOpenSeekClose(b *testing.B) {
	forSomeRuns(b, func(b *testing.B, f *Fork) {
		rng := rand.New(rand.NewPCG(2, 2))
		var key []byte
		for b.Loop() {
			key = benchKey(key, rng.IntN(benchRows))
			it, err := f.NewIter(Range{})
			if err != nil || !it.SeekGE(key) {
				b.Fatal("a row is missing")
			}
			if err := it.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGetHit(b *testing.B) {
	forSomeRuns(b, func(b *testing.B, f *Fork) {
		rng := rand.New(rand.NewPCG(2, 2))
		var key, value []byte
		var err error
		for b.Loop() {
			key = benchKey(key, rng.IntN(benchRows))
			if value, err = f.AppendGet(value[:0], key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGetMiss(b *testing.B) {
	forSomeRuns(b, func(b *testing.B, f *Fork) {
		rng := rand.New(rand.NewPCG(2, 2))
		var key, value []byte
		for b.Loop() {
			key = append(benchKey(key, rng.IntN(benchRows)), '+')
			if _, err := f.AppendGet(value[:0], key); err != ErrNotFound {
				b.Fatal(err)
			}
		}
	})
}
