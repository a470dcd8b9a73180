package forktree

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

// idleForks makes n forks of one, of which nobody uses any, and tells how long their
// names are together.
func idleForks(n int) (t *Tree, nameBytes uint64) {
	t = New()
	t.AddIdleFork(manifest.Fork{ID: 1, Name: "main", Memtable: 2})
	for i := range n {
		name := "agent-" + strconv.Itoa(i)
		nameBytes += uint64(len(name))
		t.AddIdleFork(manifest.Fork{ID: ids.ForkID(2*i + 3), Name: name, Parent: 1, Memtable: ids.NodeID(2*i + 4), CreatedLSN: ids.LSN(i + 1)})
		if i%512 == 0 {
			t.TakeTransaction()
		}
	}
	t.TakeTransaction()
	return t, nameBytes
}

// BenchmarkMillionIdleForks tells what each of a million forks costs that nobody uses,
// in bytes beside its name and in time of the garbage collector for all of them.
func BenchmarkMillionIdleForks(b *testing.B) {
	const forks = 1_000_000
	for b.Loop() {
		before := heapBytes()
		begun := time.Now()
		t, nameBytes := idleForks(forks)
		b.ReportMetric(float64(time.Since(begun).Nanoseconds())/forks, "ns/fork")
		b.ReportMetric(float64(heapBytes()-before-nameBytes)/forks, "B/fork")
		begun = time.Now()
		runtime.GC()
		b.ReportMetric(float64(time.Since(begun).Microseconds())/1000, "ms/GC")
		runtime.KeepAlive(t)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
