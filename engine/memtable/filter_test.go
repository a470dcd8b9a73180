package memtable

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// The sizes are those around which a filter changes its form.
func TestTheFilterKnowsEveryKeyFromItsAddOn(t *testing.T) {
	for _, c := range []struct {
		name string
		key  func(i int) []byte
	}{
		{"keys with a long prefix", func(i int) []byte { return fmt.Appendf(nil, "a/common/prefix/%08d", i) }},
		{"scattered keys", func(i int) []byte { return benchKey(nil, i, true) }},
		{"keys of one to three bytes", func(i int) []byte { return bytes.TrimRight([]byte{byte(i) | 1, byte(i >> 7), byte(i >> 14)}, "\x00") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, added := New(), [][]byte{}
			for i := range 12_000 {
				key := c.key(i)
				m.Add(ids.LSN(i+1), key, iterator.Set, nil)
				require.True(t, m.MayHave(hashOf(key)), "key %d, just added", i)
				added = append(added, key)
				if n := len(added); n <= 200 || n == 640 || n == 641 || n == 2688 || n == 2689 || i == 11_999 {
					for j, key := range added {
						require.True(t, m.MayHave(hashOf(key)), "key %d of %d", j, n)
					}
				}
			}
		})
	}
}

func TestTheFilterOfAMergeKnowsTheKeysOfBoth(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {1, 0}, {1, 1}, {8, 8}, {8, 9}, {16, 16}, {17, 1}, {1, 17}, {200, 3}, {5000, 4000}} {
		two := [2]*Memtable{New(), New()}
		for side, m := range two {
			for i := range c[side] {
				m.Add(ids.LSN(i+1), keyOf(3*i+side), iterator.Set, nil)
				m.Add(ids.LSN(i+1), keyOf(3*i+2), iterator.Tombstone, nil)
			}
		}
		m := Merge(two[0], two[1])
		for side, in := range two {
			for it := range c[side] {
				for _, key := range [][]byte{keyOf(3*it + side), keyOf(3*it + 2)} {
					require.True(t, in.MayHave(hashOf(key)))
					require.True(t, m.MayHave(hashOf(key)), "%v: key %q of side %d", c, key, side)
				}
			}
		}
	}
}

// Each lookup that the filter does not answer costs some hundred nanoseconds: so it is
// no use to be right only.
func TestTheFilterDeniesNearlyAllOtherKeys(t *testing.T) {
	share := func(m *Memtable) float64 {
		const tried = 20_000
		n := 0
		for i := range tried {
			if m.MayHave(hashOf(fmt.Appendf(nil, "not there %d", i))) {
				n++
			}
		}
		return float64(n) / tried
	}
	m, half := New(), New()
	require.Zero(t, share(m), "nothing is in an empty one")
	for i := range 50_000 {
		m.Add(ids.LSN(i+1), fmt.Appendf(nil, "user%012d", i), iterator.Set, nil)
		if i%2 == 0 {
			half.Add(ids.LSN(i+1), fmt.Appendf(nil, "else%012d", i), iterator.Set, nil)
		}
		switch i + 1 {
		case 1:
			require.Less(t, share(m), 0.01)
		case 4:
			require.Less(t, share(m), 0.05)
		case flatMax:
			require.Less(t, share(m), 0.25)
		case flatMax + 1, 100, 1000:
			require.Less(t, share(m), 0.02, "%d keys", i+1)
		}
	}
	require.Less(t, share(m), 0.03)
	require.Less(t, share(Merge(m, half)), 0.01)
}

func TestTheFilterTakesLittleMemory(t *testing.T) {
	for _, n := range []int{17, 129, 1000, 50_000, 130_000} {
		m := New()
		for i := range n {
			m.Add(ids.LSN(i+1), keyOf(i), iterator.Set, nil)
		}
		f := m.filter.Load()
		require.LessOrEqual(t, f.Bytes(), int64(10*n+400), "%d keys", n)
		require.GreaterOrEqual(t, f.Bytes(), int64(2*n), "the older ones count")
		require.Greater(t, m.Bytes(), f.Bytes()+m.arena.bytes)
	}
}

func BenchmarkMayHave(b *testing.B) {
	m := benchTable(benchAllKeys(false))
	hash := hashOf([]byte("missing"))
	for b.Loop() {
		hash = hash*0x9e3779b97f4a7c15 + 1
		m.MayHave(hash)
	}
}
