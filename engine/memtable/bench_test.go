package memtable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

const benchKeys = 500_000

// benchKey is the i-th of the keys, 16 bytes; scattered ones are random bytes,
// others have a prefix and digits.
func benchKey(dst []byte, i int, scattered bool) []byte {
	if scattered {
		h := uint64(i)*0x9e3779b97f4a7c15 + 1
		dst = binary.BigEndian.AppendUint64(dst[:0], h^h>>29)
		return binary.BigEndian.AppendUint64(dst, h*h)
	}
	return fmt.Appendf(dst[:0], "user%012d", i)
}

func benchTable(keys [][]byte) *Memtable {
	m := New()
	value := bytes.Repeat([]byte("v"), 100)
	for i, key := range keys {
		m.Add(ids.LSN(i), key, iterator.Set, value)
	}
	return m
}

func benchAllKeys(scattered bool) [][]byte {
	keys := make([][]byte, benchKeys)
	for i, at := range rand.New(rand.NewPCG(1, 1)).Perm(benchKeys) {
		keys[i] = benchKey(nil, at, scattered)
	}
	return keys
}

// forBothKeys runs a benchmark for two kinds of keys.
func forBothKeys(b *testing.B, run func(b *testing.B, keys [][]byte)) {
	for _, scattered := range []bool{true, false} {
		b.Run(fmt.Sprintf("random_bytes=%v", scattered), func(b *testing.B) {
			run(b, benchAllKeys(scattered))
		})
	}
}

// BenchmarkAdd fills memtables with 500 k rows of 16 + 100 bytes.
func BenchmarkAdd(b *testing.B) {
	forBothKeys(b, func(b *testing.B, keys [][]byte) {
		value := bytes.Repeat([]byte("v"), 100)
		b.ReportAllocs()
		m, i := New(), 0
		for b.Loop() {
			m.Add(ids.LSN(i), keys[i], iterator.Set, value)
			if i++; i == len(keys) {
				m, i = New(), 0
			}
		}
	})
}

func BenchmarkAddInOrder(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 100)
	b.ReportAllocs()
	m, i := New(), 0
	var key []byte
	for b.Loop() {
		key = benchKey(key, i, false)
		m.Add(ids.LSN(i), key, iterator.Set, value)
		if i++; i == benchKeys {
			m, i = New(), 0
		}
	}
}

func BenchmarkGet(b *testing.B) {
	forBothKeys(b, func(b *testing.B, keys [][]byte) {
		m := benchTable(keys)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % len(keys)
			if _, _, found := m.Get(keys[i], MaxLSN); !found {
				b.Fatal("not found")
			}
		}
	})
}

func BenchmarkGetMiss(b *testing.B) {
	forBothKeys(b, func(b *testing.B, keys [][]byte) {
		m := benchTable(keys[:len(keys)/2])
		missing := keys[len(keys)/2:]
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % len(missing)
			if _, _, found := m.Get(missing[i], MaxLSN); found {
				b.Fatal("found")
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	forBothKeys(b, func(b *testing.B, keys [][]byte) {
		it := benchTable(keys).NewIter(MaxLSN)
		b.ReportAllocs()
		for b.Loop() {
			if !it.Next() {
				it.First()
			}
		}
	})
}

// BenchmarkSmall makes memtables of a few rows, as a store with many forks does.
func BenchmarkSmall(b *testing.B) {
	for _, n := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			value := bytes.Repeat([]byte("v"), 100)
			var keys [][]byte
			for i := range n {
				keys = append(keys, benchKey(nil, i, true))
			}
			b.ReportAllocs()
			for b.Loop() {
				m := New()
				for i, key := range keys {
					m.Add(ids.LSN(i), key, iterator.Set, value)
				}
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	keys := benchAllKeys(true)[:40000]
	newer, older := benchTable(keys[:20000]), benchTable(keys[20000:])
	b.ReportAllocs()
	for b.Loop() {
		Merge(newer, older)
	}
}
