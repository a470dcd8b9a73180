package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// same asserts that two memtables hold the same for who reads after the last write.
func same(t *testing.T, want, got *Memtable, keys [][]byte) {
	t.Helper()
	checkStructure(t, got)
	require.Equal(t, want.Len(), got.Len())
	require.Equal(t, want.Spans(MaxLSN), got.Spans(MaxLSN))
	rows := collect(want.NewIter(MaxLSN))
	if loaded := collect(got.NewIter(MaxLSN)); len(rows) != len(loaded) {
		require.Fail(t, "rows differ", "%d and %d", len(rows), len(loaded))
	} else {
		for i := range rows {
			if !bytes.Equal(rows[i].Key, loaded[i].Key) || rows[i].Kind != loaded[i].Kind || !bytes.Equal(rows[i].Value, loaded[i].Value) {
				require.Fail(t, "rows differ", "%v and %v", rows[i], loaded[i])
			}
		}
	}
	for _, key := range keys {
		value, kind, found := want.Get(key, MaxLSN)
		v, k, ok := got.Get(key, MaxLSN)
		if ok != found || k != kind || !bytes.Equal(v, value) {
			require.Fail(t, "a lookup differs", "%q", key)
		}
	}
}

func TestALoadedMemtableIsLikeOneFilledRowByRow(t *testing.T) {
	random := func(r *rand.Rand, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	shapes := map[string]func(r *rand.Rand, i int) []byte{
		"random":                     func(r *rand.Rand, i int) []byte { return random(r, 1+r.IntN(20)) },
		"in order":                   func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "user%08d", i) },
		"backwards":                  func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "user%08d", 1<<20-i) },
		"one that differs in length": func(r *rand.Rand, i int) []byte { return bytes.Repeat([]byte{0}, i%300) },
		"equal heads":                func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "k%d-12345678-%d", i%3, r.IntN(4000)) },
		"few, written often":         func(r *rand.Rand, i int) []byte { return fmt.Appendf(nil, "%d", r.IntN(3*loadAbove)) },
	}
	for name, shape := range shapes {
		for _, n := range []int{0, 1, flatMax, loadAbove, loadAbove + 1, 6 * loadAbove} {
			for _, ranges := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d rows, range deletes %v", name, n, ranges), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(n), 7))
					want, l := New(), NewLoader()
					lsn := ids.LSN(0)
					var keys [][]byte
					fill := func(m interface {
						Add(ids.LSN, []byte, iterator.Kind, []byte)
						AddRange(ids.LSN, []byte, []byte)
					}, from int) {
						for i := from; i < from+n; i++ {
							if r.IntN(3) > 0 { // others share the one of the row before
								lsn++
							}
							key, value, kind := shape(r, i), random(r, r.IntN(40)), iterator.Set
							switch {
							case r.IntN(10) == 0:
								value, kind = nil, iterator.Tombstone
							case r.IntN(500) == 0: // a chunk of its own
								value = random(r, 1<<18)
							}
							keys = append(keys, key)
							want.Add(lsn, key, kind, value)
							m.Add(lsn, key, kind, value)
							if ranges && i%(2*loadAbove) == 2*loadAbove-1 {
								lo := shape(r, i)
								hi := append(bytes.Clone(lo), 0xff)
								want.AddRange(lsn, lo, hi)
								m.AddRange(lsn, lo, hi)
							}
						}
					}
					fill(l, 0)
					same(t, want, l.Memtable(), keys)
					fill(l, n) // a loader may go on
					m := l.Memtable()
					same(t, want, m, keys)
					fill(m, 2*n) // and then it is one like others
					same(t, want, m, keys)
					bytes := m.Bytes()
					m.countBytes()
					require.Equal(t, bytes, m.Bytes())
				})
			}
		}
	}
}

// What is loaded is loaded in one go: the tree of many rows is made once.
func TestALoaderDoesNotInsertRowByRow(t *testing.T) {
	l := NewLoader()
	for i := range 10 * loadAbove {
		l.Add(ids.LSN(i+1), fmt.Appendf(nil, "%08d", i*7919%1_000_000), iterator.Set, []byte("v"))
	}
	require.LessOrEqual(t, l.m.keys, loadAbove)
	require.Equal(t, 10*loadAbove, l.Memtable().Len())
	require.Empty(t, l.late)

	// A range delete looks into the tree. Many of them must not make it anew each time.
	l.AddRange(1<<20, []byte("1"), []byte("2"))
	l.Add(1<<20, []byte("3"), iterator.Set, nil)
	require.Empty(t, l.late)
}

// BenchmarkLoad fills a memtable of 300 000 rows in random order at once, which
// BenchmarkAdd does row by row.
func BenchmarkLoad(b *testing.B) {
	const rows = 300_000
	value := make([]byte, 100)
	for b.Loop() {
		l := NewLoader()
		var key [16]byte
		for i := range uint64(rows) {
			x := i * 0x9e3779b97f4a7c15
			for at := range 8 {
				key[at] = byte(x >> (56 - 8*at))
			}
			l.Add(ids.LSN(i+1), key[:], iterator.Set, value)
		}
		l.Memtable()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
