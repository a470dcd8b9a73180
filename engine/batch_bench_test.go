package engine

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkBatch commits batches of 1000 rows, unsynced, whose keys rise from one to
// the next or come at random. Now and then it begins a new store, so that its rows
// stay as few as a memtable's.
func BenchmarkBatch(b *testing.B) {
	const rows, batches = 1000, 500
	for _, c := range []struct {
		name string
		key  func(n uint64) uint64
	}{
		{"rising", func(n uint64) uint64 { return n }},
		{"scattered", func(n uint64) uint64 { return n * 0x9e3779b97f4a7c15 }},
	} {
		b.Run(fmt.Sprintf("keys=%s", c.name), func(b *testing.B) {
			var w *Batch
			var f *Fork
			end := func() {
				if f != nil {
					require.NoError(b, f.s.Close())
					require.NoError(b, os.RemoveAll(f.s.dir))
				}
			}
			b.ReportAllocs()
			key, value := make([]byte, 16), make([]byte, 100)
			n := uint64(0)
			for done := 0; b.Loop(); done++ {
				if done%batches == 0 {
					b.StopTimer()
					end()
					s, err := Open(b.TempDir(), &Options{MemtableBytes: 1 << 30, MaxLogBytes: 4 << 30})
					require.NoError(b, err)
					f, err = s.Fork(MainFork)
					require.NoError(b, err)
					w = f.s.NewBatch()
					b.StartTimer()
				}
				for range rows {
					n++
					binary.BigEndian.PutUint64(key, c.key(n))
					w.Set(f, key, value)
				}
				if err := w.Commit(NoSync); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			end()
		})
	}
}
