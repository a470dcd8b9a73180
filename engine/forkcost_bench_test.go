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
