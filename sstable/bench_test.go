package sstable

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// benchRows is small enough to be built in a moment, and its table is larger
// than a second-level cache.
const benchRows = 200_000

func benchReader(b *testing.B) *Reader {
	content, m := buildTable(b, sequentialRows(benchRows), 0, WriterOptions{})
	r := mustOpen(b, content, &m, 1<<30)
	it := r.NewIter(nil)
	for ok := it.First(); ok; ok = it.Next() {
	}
	b.ReportAllocs()
	b.ResetTimer()
	return r
}

// benchKeys are the keys of rows in random order, or keys between them.
func benchKeys(absent int) [][]byte {
	rng := rand.New(rand.NewPCG(2, 2))
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "user%012d", rng.IntN(benchRows-1)*2+absent)
	}
	return keys
}

func BenchmarkGetHit(b *testing.B) {
	keys := benchKeys(0)
	r := benchReader(b)
	var dst []byte
	for i := 0; b.Loop(); i++ {
		var found bool
		if dst, _, found, _ = r.Get(dst[:0], keys[i%len(keys)], nil); !found {
			b.Fatal("missing")
		}
	}
}

// Rows that are in none of the processor's caches, in more pages than it remembers: what is
// measured is how long memory takes.
func BenchmarkGetHitFar(b *testing.B) {
	const rows = 10 * benchRows
	content, m := buildTable(b, sequentialRows(rows), 0, WriterOptions{})
	r := mustOpen(b, content, &m, 1<<30)
	it := r.NewIter(nil)
	for ok := it.First(); ok; ok = it.Next() {
	}
	rng := rand.New(rand.NewPCG(3, 3))
	keys := make([]byte, 0, 16<<20)
	for len(keys) < cap(keys) {
		keys = append(keys, benchKey(rng.IntN(rows))...)
	}
	b.ReportAllocs()
	var dst []byte
	for i := 0; b.Loop(); i += 16 {
		i %= len(keys)
		var found bool
		if dst, _, found, _ = r.Get(dst[:0], keys[i:i+16], nil); !found {
			b.Fatal("missing")
		}
	}
}

func BenchmarkGetMiss(b *testing.B) {
	keys := benchKeys(1)
	r := benchReader(b)
	for i := 0; b.Loop(); i++ {
		if _, _, found, _ := r.Get(nil, keys[i%len(keys)], nil); found {
			b.Fatal("found")
		}
	}
}

func BenchmarkSeekGE(b *testing.B) {
	keys := benchKeys(1)
	it := benchReader(b).NewIter(nil)
	for i := 0; b.Loop(); i++ {
		if !it.SeekGE(keys[i%len(keys)]) {
			b.Fatal("missing")
		}
	}
}

func benchScan(b *testing.B, step func(*Iter) bool, start func(*Iter) bool) {
	it := benchReader(b).NewIter(nil)
	n := 0
	for b.Loop() {
		if !step(it) {
			start(it)
		}
		n += len(it.Key()) + len(it.Value())
	}
	if n == 0 {
		b.Fatal("nothing read")
	}
}

func BenchmarkNext(b *testing.B) { benchScan(b, (*Iter).Next, (*Iter).First) }
func BenchmarkPrev(b *testing.B) { benchScan(b, (*Iter).Prev, (*Iter).Last) }

// A block that must be read, checked and decoded; the file is in memory.
func BenchmarkGetUncached(b *testing.B) {
	keys := benchKeys(0)
	content, m := buildTable(b, sequentialRows(benchRows), 0, WriterOptions{})
	r := mustOpen(b, content, &m, 1)
	b.ReportAllocs()
	var dst []byte
	for i := 0; b.Loop(); i++ {
		dst, _, _, _ = r.Get(dst[:0], keys[i%len(keys)], nil)
	}
}

// One operation is one row; the filter is part of it.
func BenchmarkBuild(b *testing.B) {
	rows := sequentialRows(benchRows)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w := NewWriter(io.Discard, 1, 1, 0, WriterOptions{})
		b.StartTimer()
		for i := range rows {
			if err := w.Add(rows[i].Key, rows[i].Kind, rows[i].Value); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkOpen(b *testing.B) {
	content, m := buildTable(b, sequentialRows(benchRows), 0, WriterOptions{})
	fsys := newMemFS()
	fsys.put(1, content)
	tables := NewTables(fsys, "db", NewCache(1<<20), 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tables.Reader(&m); err != nil {
			b.Fatal(err)
		}
		tables.Forget(&m)
	}
	if bytes.Compare(m.Smallest, m.Largest) > 0 {
		b.Fatal("no table")
	}
}
