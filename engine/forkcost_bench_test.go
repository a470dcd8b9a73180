package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

// BenchmarkFork makes unsynced forks of a fork that is clean, or into which one row was
// put before each, and drops them.
func BenchmarkFork(b *testing.B) {
	store := func(b *testing.B) (*engine.Store, *engine.Fork) {
		s, err := engine.Open(b.TempDir(), nil)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, s.Close()) })
		main, err := s.Fork(engine.MainFork)
		require.NoError(b, err)
		return s, main
	}
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("f%d", i)
		}
		return out
	}
	b.Run("clean", func(b *testing.B) {
		_, main := store(b)
		all := names(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		times := make([]time.Duration, b.N)
		for i := range b.N {
			begun := time.Now()
			_, err := main.Fork(all[i], engine.NoSync)
			times[i] = time.Since(begun)
			require.NoError(b, err)
		}
		b.StopTimer()
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2]), "ns-median")
	})
	b.Run("put-and-fork", func(b *testing.B) {
		_, main := store(b)
		all := names(b.N)
		value := make([]byte, 100)
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			require.NoError(b, main.Set([]byte(all[i]), value, engine.NoSync))
			_, err := main.Fork(all[i], engine.NoSync)
			require.NoError(b, err)
		}
	})
	// Of some rows the last is put in the timed part; forks of another fork go before
	// it, for a fork that comes after nothing but puts has its code to fetch from memory.
	for _, rows := range []int{1, 100, 9000} {
		b.Run(fmt.Sprint("put-and-fork/rows-", rows), func(b *testing.B) {
			s, main := store(b)
			other, err := main.Fork("other", engine.NoSync)
			require.NoError(b, err)
			value := make([]byte, 100)
			puts, forks := make([]time.Duration, b.N), make([]time.Duration, b.N)
			for i := range b.N {
				for j := range rows - 1 {
					require.NoError(b, main.Set(fmt.Appendf(nil, "key%012d", (i*rows+j)*7919%1000003), value, engine.NoSync))
				}
				for j := range 3 {
					require.NoError(b, other.Set([]byte("key"), value, engine.NoSync))
					f, err := other.Fork(fmt.Sprint("warm", j), engine.NoSync)
					require.NoError(b, err)
					require.NoError(b, f.Drop(engine.NoSync))
				}
				name := fmt.Sprint("f", i)
				begun := time.Now()
				err := main.Set([]byte("key"), value, engine.NoSync)
				put := time.Now()
				f, forkErr := main.Fork(name, engine.NoSync)
				puts[i], forks[i] = put.Sub(begun), time.Since(put)
				require.NoError(b, err)
				require.NoError(b, forkErr)
				require.NoError(b, f.Drop(engine.NoSync))
				require.NoError(b, s.Settle())
			}
			slices.Sort(puts)
			slices.Sort(forks)
			b.ReportMetric(float64(puts[b.N/2]), "ns-put-median")
			b.ReportMetric(float64(forks[b.N/2]), "ns-fork-median")
		})
	}
	b.Run("drop", func(b *testing.B) {
		_, main := store(b)
		forks := make([]*engine.Fork, b.N)
		for i, name := range names(b.N) {
			f, err := main.Fork(name, engine.NoSync)
			require.NoError(b, err)
			forks[i] = f
		}
		b.ReportAllocs()
		b.ResetTimer()
		for _, f := range forks {
			require.NoError(b, f.Drop(engine.NoSync))
		}
	})
}
