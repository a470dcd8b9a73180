package forktree

import (
	"strconv"
	"testing"

	"github.com/tinedb/tine/internal/ids"
)

// BenchmarkFreezeAndFork is what a fork of a dirty parent costs the tree.
func BenchmarkFreezeAndFork(b *testing.B) {
	names := names(b.N)
	t := New()
	f := &Fork{ID: 1, Name: "main", MemtableID: 1}
	t.AddFork(f)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		f.Mem, f.Low = count(1), ids.LSN(i+1)
		t.Freeze(f, ids.LSN(i+2), ids.NodeID(2*i+2))
		t.AddFork(&Fork{ID: ids.ForkID(i + 2), Name: names[i], Top: f.Top, MemtableID: ids.NodeID(2*i + 3)})
	}
}

// BenchmarkDropAndRelease is what a dropped fork with one node of its own costs.
func BenchmarkDropAndRelease(b *testing.B) {
	names := names(b.N)
	t := New()
	path := chain(t, 10)
	forks := make([]*Fork, b.N)
	for i := range forks {
		id := ids.NodeID(2*i + 100)
		forks[i] = &Fork{ID: ids.ForkID(i + 2), Name: names[i], Top: path[0], MemtableID: id}
		t.AddFork(forks[i])
		forks[i].Mem, forks[i].Low = count(1), 50
		t.Freeze(forks[i], 51, id+1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, f := range forks {
		t.DropFork(f)
		t.Release(16)
	}
}

// BenchmarkClaim is a claim on four nodes, given back at once.
func BenchmarkClaim(b *testing.B) {
	t := New()
	path := chain(t, 4)
	b.ReportAllocs()
	for b.Loop() {
		t.Unclaim(t.Claim(path))
	}
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "agent-" + strconv.Itoa(i)
	}
	return out
}
