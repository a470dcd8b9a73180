package crashfs_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// smallStore has the size of a store in a crash test: ~100 KB in twelve files,
// a preallocated log with an unsynced tail, a few pending names.
func smallStore(b *testing.B) *crashfs.FS {
	fs := crashfs.New()
	data := make([]byte, 8<<10)
	for i := range 12 {
		if err := fs.WriteFile(fmt.Sprintf("%06d.sst", i), data); err != nil {
			b.Fatal(err)
		}
	}
	f, err := fs.Create("000001.wal")
	if err != nil {
		b.Fatal(err)
	}
	_ = f.Preallocate(1 << 20)
	for i := range 100 {
		_, _ = f.WriteAt(data[:60], int64(i*60))
	}
	_ = fs.Remove("000003.sst")
	return fs
}

func BenchmarkPowerLoss(b *testing.B) {
	fs := smallStore(b)
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		fs.PowerLoss(r)
	}
}

func BenchmarkAfterKill(b *testing.B) {
	fs := smallStore(b)
	for b.Loop() {
		fs.AfterKill()
	}
}
