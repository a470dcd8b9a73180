package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

func TestIteratorConforms(t *testing.T) {
	for _, n := range []int{0, 1, 2, flatMax, flatMax + 1, fanout, fanout + 1, 5000} {
		t.Run(fmt.Sprintf("%d keys added in random order", n), func(t *testing.T) {
			rows := itertest.Rows(n, 1)
			m := New()
			for i, at := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
				m.Add(ids.LSN(i+1), rows[at].Key, rows[at].Kind, rows[at].Value)
			}
			checkStructure(t, m)
			itertest.Run(t, rows, func() iterator.Iterator { return m.NewIter(MaxLSN) })
		})
		t.Run(fmt.Sprintf("%d keys with younger versions and keys around them", n), func(t *testing.T) {
			rows := itertest.Rows(n, 2)
			m := New()
			for _, row := range rows {
				m.Add(1, row.Key, iterator.Set, []byte("older"))
			}
			for i, row := range rows {
				m.Add(ids.LSN(i+2), row.Key, row.Kind, row.Value)
			}
			at := ids.LSN(n + 2)
			for _, row := range rows {
				m.Add(at+1, row.Key, iterator.Set, []byte("younger"))
				m.Add(at+1, append(bytes.Clone(row.Key), 'x'), iterator.Set, []byte("younger"))
			}
			checkStructure(t, m)
			itertest.Run(t, rows, func() iterator.Iterator { return m.NewIter(at) })
		})
	}
}

func TestKeysThatHeadsCannotTellApart(t *testing.T) {
	long := bytes.Repeat([]byte("p"), 300)
	var keys [][]byte
	for i := range 300 {
		zeros := bytes.Repeat([]byte{0}, i)
		keys = append(keys,
			zeros,                               // padding of a head looks like these
			append(bytes.Clone(long), zeros...), // so do these behind a prefix
			append(append(bytes.Clone(long), zeros...), 1),
			bytes.Repeat([]byte{0xff}, i+1))
	}
	keys = append(keys, bytes.Repeat([]byte("k"), MaxKeyBytes), append(bytes.Repeat([]byte("k"), MaxKeyBytes-1), 'j'))
	for seed := range uint64(5) {
		h := newHistory()
		rng := rand.New(rand.NewPCG(seed, seed))
		for _, i := range rng.Perm(len(keys)) {
			h.add(keys[i], iterator.Set, fmt.Appendf(nil, "%d", i))
		}
		checkStructure(t, h.m)
		h.checkGets(t, h.lsn)
		rows := h.rows(h.lsn)
		if seed == 0 {
			itertest.Run(t, rows, func() iterator.Iterator { return h.m.NewIter(MaxLSN) })
		}
		require.Equal(t, rows, collect(h.m.NewIter(MaxLSN)))
	}
}

func TestKeysInRisingAndFallingOrderAndInStretches(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		name  string
		order func(i int) int
		fill  float64 // the least average filling of a leaf
	}{
		{"rising", func(i int) int { return i }, 0.99},
		{"falling", func(i int) int { return n - 1 - i }, 0.45},
		{"from the middle outwards", func(i int) int { return n/2 + (i+1)/2*(1-i%2*2) }, 0.45},
		{"ten rising stretches in turn", func(i int) int { return i%10*(n/10) + i/10 }, 0.45},
		{"scattered", func(i int) int { return i * 7919 % n }, 0.6},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New()
			for i := range n {
				m.Add(ids.LSN(i), fmt.Appendf(nil, "user%09d", c.order(i)), iterator.Set, nil)
			}
			require.Equal(t, n, m.Len())
			leaves := checkStructure(t, m)
			require.Greater(t, float64(n)/float64(leaves*fanout), c.fill)
			it := m.NewIter(MaxLSN)
			i := 0
			for ok := it.First(); ok; ok = it.Next() {
				require.Equal(t, fmt.Sprintf("user%09d", i), string(it.Key()))
				i++
			}
			require.Equal(t, n, i)
		})
	}
}

func TestOfTwoAddsWithOneLSNTheLaterCounts(t *testing.T) {
	m := New()
	key := []byte("k")
	m.Add(5, key, iterator.Set, []byte("a"))
	m.Add(7, key, iterator.Set, []byte("b"))
	m.Add(7, key, iterator.Tombstone, nil)
	m.Add(7, key, iterator.Set, []byte("c"))
	for at, want := range map[ids.LSN]string{4: "", 5: "a", 6: "a", 7: "c", MaxLSN: "c"} {
		value, _, found := m.Get(key, at)
		require.Equal(t, want != "", found, "at %d", at)
		require.Equal(t, want, string(value), "at %d", at)
	}
	require.Equal(t, 1, m.Len())
}

func TestAddCopiesAndGetGivesMemoryThatStays(t *testing.T) {
	m := New()
	key, value := []byte("key"), []byte("value")
	m.Add(1, key, iterator.Set, value)
	copy(key, "xxx")
	copy(value, "xxxxx")
	got, kind, found := m.Get([]byte("key"), 1)
	require.True(t, found)
	require.Equal(t, iterator.Set, kind)
	require.Equal(t, "value", string(got))
	for i := range 1000 {
		m.Add(ids.LSN(i+1), []byte("key"), iterator.Set, fmt.Appendf(nil, "other %d", i))
	}
	require.Equal(t, "value", string(got))
	again, _, _ := m.Get([]byte("key"), 500)
	require.Equal(t, "other 499", string(again))
}

func TestAppendingToWhatIsReadOverwritesNothing(t *testing.T) {
	m := New()
	for i := range 200 {
		m.Add(1, fmt.Appendf(nil, "key %03d", i), iterator.Set, fmt.Appendf(nil, "value %03d", i))
	}
	it := m.NewIter(1)
	for ok := it.First(); ok; ok = it.Next() {
		_ = append(it.Key(), "longer than a whole entry, so that it would hit the next"...)
		_ = append(it.Value(), "longer than a whole entry, so that it would hit the next"...)
	}
	for i := range 200 {
		value, _, found := m.Get(fmt.Appendf(nil, "key %03d", i), 1)
		require.True(t, found)
		require.Equal(t, fmt.Sprintf("value %03d", i), string(value))
	}
}

// TestPrefixesThatDifferOnlyAtTheirStart has nodes whose long prefix is the same
// as that of other keys but for its first bytes, so that looking at its end only
// is not enough.
func TestPrefixesThatDifferOnlyAtTheirStart(t *testing.T) {
	key := func(group byte, i int) []byte {
		return fmt.Appendf(bytes.Repeat([]byte{group}, 20), "the same/%05d", i)
	}
	t.Run("in a tree of one leaf", func(t *testing.T) {
		h := newHistory()
		for i := range 40 {
			h.add(key('m', 10+i), iterator.Set, nil)
		}
		for _, group := range []byte("azn") {
			h.add(key(group, 30), iterator.Set, nil)
			checkStructure(t, h.m)
			h.checkGets(t, MaxLSN)
		}
	})
	t.Run("in the first leaf of a node whose separators have another prefix", func(t *testing.T) {
		h := newHistory()
		i := 9000
		for ; h.m.Len() < 1000 || h.m.tree.first.count != fanout/2+1; i-- {
			h.add(key('m', i), iterator.Set, nil)
		}
		for j := range fanout/2 + 1 { // one more than there is room for: those split off
			h.add(key('a', 300*j), iterator.Set, nil)
		}
		require.Equal(t, byte('m'), h.m.published.key(h.m.tree.root.refs[0])[0])
		require.Equal(t, h.m.tree.root.prefixBytes, h.m.tree.first.prefixBytes, "the root's prefix must be as long as the leaf's")
		h.add(key('m', i), iterator.Set, nil) // goes there too, behind all
		checkStructure(t, h.m)
		h.checkGets(t, MaxLSN)
	})
}

// TestFallingKeysBehindAFullLeaf adds keys that each belong at the very end of a
// full leaf, which must not get a leaf each.
func TestFallingKeysBehindAFullLeaf(t *testing.T) {
	m := New()
	for i := range 10 * fanout {
		m.Add(1, fmt.Appendf(nil, "k%09d", i*10000), iterator.Set, nil)
	}
	for i := range 1000 {
		m.Add(1, fmt.Appendf(nil, "k%09d", (fanout-1)*10000+9999-i), iterator.Set, nil)
	}
	require.Less(t, checkStructure(t, m), 10+2*1000/fanout+5)
}

func TestValuesThatFillMostOfAChunkWasteLittle(t *testing.T) {
	m := New()
	for i := range 20 {
		m.Add(1, fmt.Appendf(nil, "%d", i), iterator.Set, make([]byte, 600<<10))
	}
	require.Less(t, m.Bytes(), int64(20*600<<10*110/100))
}

func TestLargeRows(t *testing.T) {
	m := New()
	var want []iterator.Row
	for i, size := range []int{0, 1, 100, 70 << 10, 300 << 10, 1 << 20, 5 << 20, 10, MaxValueBytes, 200} {
		row := iterator.Row{Key: fmt.Appendf(nil, "k%d", i), Kind: iterator.Set, Value: bytes.Repeat([]byte{byte(i)}, size)}
		want = append(want, row)
		m.Add(ids.LSN(i), row.Key, row.Kind, row.Value)
	}
	got := collect(m.NewIter(MaxLSN))
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, bytes.Equal(want[i].Value, got[i].Value), "row %d", i)
	}
	require.Less(t, m.Bytes(), int64(MaxValueBytes+9<<20), "a large value must not make other chunks large")
}

func TestMistakesOfTheEnginePanic(t *testing.T) {
	for name, add := range map[string]func(m *Memtable){
		"an LSN that falls": func(m *Memtable) { m.Add(2, []byte("a"), iterator.Set, nil); m.Add(1, []byte("b"), iterator.Set, nil) },
		"rows with an LSN that falls": func(m *Memtable) {
			m.AddRows(2, risingRows(flatMax+1))
			m.AddRows(1, []iterator.Row{{Key: []byte("x"), Kind: iterator.Set}})
		},
		"a row among others that is of another kind": func(m *Memtable) {
			rows := risingRows(flatMax + 1 + GroupRows)
			rows[flatMax+5].Kind = iterator.RangeDelete
			m.AddRows(1, rows)
		},
		"a key that is too long":   func(m *Memtable) { m.Add(1, make([]byte, MaxKeyBytes+1), iterator.Set, nil) },
		"a value that is too long": func(m *Memtable) { m.Add(1, nil, iterator.Set, make([]byte, MaxValueBytes+1)) },
		"a tombstone with a value": func(m *Memtable) { m.Add(1, nil, iterator.Tombstone, []byte("v")) },
		"an Add to a merged one":   func(m *Memtable) { Merge(m, New()).Add(1, []byte("a"), iterator.Set, nil) },
		"a row of another kind":    func(m *Memtable) { m.Add(1, []byte("a"), iterator.RangeDelete, []byte("b")) },
		"a row below a range's LSN": func(m *Memtable) {
			m.AddRange(2, []byte("x"), nil)
			m.Add(1, []byte("a"), iterator.Set, nil)
		},
		"a range with an LSN that falls": func(m *Memtable) { m.Add(2, []byte("a"), iterator.Set, nil); m.AddRange(1, nil, nil) },
		"a range without keys":           func(m *Memtable) { m.AddRange(1, []byte("a"), []byte("a")) },
		"a range up to nothing":          func(m *Memtable) { m.AddRange(1, nil, []byte{}) },
		"a range with a long bound":      func(m *Memtable) { m.AddRange(1, nil, make([]byte, MaxKeyBytes+1)) },
		"a range in a merged one":        func(m *Memtable) { Merge(m, New()).AddRange(1, nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { require.IsType(t, invariant.Violation(""), recover()) }()
			add(New())
		})
	}
}

func TestBytesOfSmallMemtables(t *testing.T) {
	require.Less(t, unsafe.Sizeof(Memtable{}), uintptr(200))
	require.LessOrEqual(t, unsafe.Sizeof(leaf{})+8, uintptr(1024), "a leaf must not leave its size class")
	require.Equal(t, uintptr(64), 8+unsafe.Offsetof(leaf{}.slots)+unsafe.Offsetof(slots{}.heads)+8*headsInFirstLine)
	value := bytes.Repeat([]byte("v"), 100)
	for _, c := range []struct {
		keys  int
		least int64
		most  int64
	}{
		{0, 100, 200},
		{1, 250, 400},
		{2, 400, 700},
		{10, 1500, 3500},
		{17, 3500, 6500},
		{1000, 132000, 310000},
		{50000, 6_600_000, 9_200_000},
	} {
		m := New()
		last := m.Bytes()
		for i := range c.keys {
			m.Add(ids.LSN(i), fmt.Appendf(nil, "user%012d", i), iterator.Set, value)
			require.GreaterOrEqual(t, m.Bytes(), last)
			last = m.Bytes()
		}
		require.GreaterOrEqual(t, m.Bytes(), c.least, "%d keys", c.keys)
		require.LessOrEqual(t, m.Bytes(), c.most, "%d keys", c.keys)
	}
}

// collect reads all rows of it, copies them and closes it.
func collect(it iterator.Iterator) []iterator.Row {
	var rows []iterator.Row
	for ok := it.First(); ok; ok = it.Next() {
		rows = append(rows, iterator.Row{Key: bytes.Clone(it.Key()), Kind: it.Kind(), Value: bytes.Clone(it.Value())})
	}
	it.Close()
	return rows
}

// checkStructure asserts the invariants of the tree, and returns its number of
// leaves.
func checkStructure(t *testing.T, m *Memtable) (leaves int) {
	t.Helper()
	if m.tree == nil {
		require.Len(t, m.flat, m.keys)
		return 0
	}
	require.Nil(t, m.flat)
	c := m.published
	checkSlots := func(s *slots, lower, upper []byte) {
		for i := range int(s.count) {
			key := c.key(s.refs[i])
			if head(key, int(s.prefixBytes)) != s.heads[i] || tail(key, int(s.prefixBytes)) != s.prefixTail ||
				sharedBytes(key, c.key(s.refs[0])) < int(s.prefixBytes) {
				require.Fail(t, "head or prefix does not fit the key", "%q", key)
			}
			if lower != nil && bytes.Compare(key, lower) < 0 || upper != nil && bytes.Compare(key, upper) >= 0 ||
				i > 0 && bytes.Compare(c.key(s.refs[i-1]), key) >= 0 {
				require.Fail(t, "key at the wrong place", "%q", key)
			}
		}
	}
	keys := 0
	var before *leaf
	depthOfLeaves := -1
	checkLeaf := func(l *leaf, depth int, lower, upper []byte) {
		require.Positive(t, l.count)
		require.True(t, l.prev == before)
		require.True(t, before == nil || before.next == l)
		if depthOfLeaves < 0 {
			depthOfLeaves = depth
			require.True(t, m.tree.first == l)
		}
		require.Equal(t, depthOfLeaves, depth)
		checkSlots(&l.slots, lower, upper)
		keys += int(l.count)
		before = l
		leaves++
	}
	var checkInner func(n *inner, depth int, lower, upper []byte)
	checkInner = func(n *inner, depth int, lower, upper []byte) {
		checkSlots(&n.slots, lower, upper)
		for i := range int(n.count) + 1 {
			lo, hi := lower, upper
			if i > 0 {
				lo = c.key(n.refs[i-1])
			}
			if i < int(n.count) {
				hi = c.key(n.refs[i])
			}
			if n.leaves != nil {
				checkLeaf(n.leaves[i], depth+1, lo, hi)
			} else {
				checkInner(n.inners[i], depth+1, lo, hi)
			}
		}
	}
	if m.tree.root == nil {
		checkLeaf(m.tree.first, 0, nil, nil)
	} else {
		checkInner(m.tree.root, 0, nil, nil)
	}
	require.True(t, m.tree.last == before && before.next == nil)
	require.Equal(t, m.keys, keys)
	return leaves
}
