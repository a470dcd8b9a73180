package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// layered is a memtable over an older layer that has every key of a small
// keyspace, next to a plain list of all that was done.
type layered struct {
	m    *Memtable
	lsn  ids.LSN
	done []deed
	keys int
}

// deed sets or deletes one key, or all in [lo, hi).
type deed struct {
	lsn    ids.LSN
	kind   iterator.Kind
	lo, hi int // numbers of keys; 0 and keys stand for open bounds
	value  string
}

const oldValue = "old"

func layerKey(i int) []byte { return fmt.Appendf(nil, "a/prefix/%04d", i) }

// bound is the key of a range's end, or nil where it is open.
func (l *layered) bound(i int) []byte {
	if i == 0 || i == l.keys {
		return nil
	}
	return layerKey(i)
}

func (l *layered) do(d deed) {
	d.lsn = l.lsn
	l.done = append(l.done, d)
	if d.kind == iterator.RangeDelete {
		l.m.AddRange(l.lsn, l.bound(d.lo), l.bound(d.hi))
		return
	}
	l.m.Add(l.lsn, layerKey(d.lo), d.kind, []byte(d.value))
}

// random does something small or, more rarely, something wide.
func (l *layered) random(rng *rand.Rand) {
	at := rng.IntN(l.keys)
	switch n := rng.IntN(10); {
	case n < 4:
		l.do(deed{kind: iterator.Set, lo: at, value: fmt.Sprint("set by ", len(l.done))})
	case n < 5:
		l.do(deed{kind: iterator.Tombstone, lo: at})
	case n < 9:
		l.do(deed{kind: iterator.RangeDelete, lo: at, hi: min(at+1+rng.IntN(4), l.keys)})
	default:
		l.do(deed{kind: iterator.RangeDelete, lo: at, hi: at + 1 + rng.IntN(l.keys-at)})
	}
}

// at is what there is for a reader at an LSN: values by number of key, "" for
// none; and which keys ranges cover.
func (l *layered) at(lsn ids.LSN) (values []string, covered []bool) {
	values, covered = make([]string, l.keys), make([]bool, l.keys)
	for i := range values {
		values[i] = oldValue
	}
	for _, d := range l.done {
		switch {
		case d.lsn > lsn:
		case d.kind == iterator.RangeDelete:
			for i := d.lo; i < d.hi; i++ {
				values[i], covered[i] = "", true
			}
		default:
			values[d.lo] = d.value
		}
	}
	return values, covered
}

// check compares everything that a reader at an LSN can ask.
func (l *layered) check(t *testing.T, lsn ids.LSN) {
	t.Helper()
	values, covered := l.at(lsn)
	var old, want []iterator.Row
	for i := range l.keys {
		key := layerKey(i)
		old = append(old, iterator.Row{Key: key, Kind: iterator.Set, Value: []byte(oldValue)})
		if values[i] != "" {
			want = append(want, iterator.Row{Key: key, Kind: iterator.Set, Value: []byte(values[i])})
		}
		if got := l.m.Covered(key, lsn); got != covered[i] {
			require.Fail(t, "covered is wrong", "key %d at %d: %v", i, lsn, got)
		}
		got := oldValue
		if value, kind, found := l.m.Get(key, lsn); found && kind == iterator.Set {
			got = string(value)
		} else if found || l.m.Covered(key, lsn) {
			got = ""
		}
		if got != values[i] {
			require.Fail(t, "wrong value", "key %d at %d: %q, want %q", i, lsn, got, values[i])
		}
	}
	spans := l.m.Spans(lsn)
	require.Equal(t, l.spans(covered), spans, "at %d", lsn)
	masked := iterator.NewMasked(iterator.NewSlice(old), spans)
	it := iterator.NewLive(iterator.NewMerge([]iterator.Iterator{l.m.NewIter(lsn), masked}), nil)
	require.Equal(t, want, collect(it))
}

// spans are the longest pieces of what is covered.
func (l *layered) spans(covered []bool) []iterator.Span {
	var spans []iterator.Span
	for i := 0; i < l.keys; i++ {
		if !covered[i] {
			continue
		}
		lo := i
		for i < l.keys && covered[i] {
			i++
		}
		spans = append(spans, iterator.Span{Lo: append([]byte{}, l.bound(lo)...), Hi: l.bound(i)})
	}
	return spans
}

func newLayered(keys int) *layered { return &layered{m: New(), keys: keys} }

// TestRangesAtEveryLSN compares random histories with the plain list at every LSN
// there was.
func TestRangesAtEveryLSN(t *testing.T) {
	for _, c := range []struct{ keys, deeds, seeds int }{{4, 20, 60}, {12, 60, 40}, {60, 150, 15}, {400, 600, 2}} {
		for seed := range c.seeds {
			t.Run(fmt.Sprintf("%d keys, seed %d", c.keys, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(seed), uint64(c.keys)))
				l := newLayered(c.keys)
				for range c.deeds {
					if rng.IntN(3) > 0 {
						l.lsn++
					}
					l.random(rng)
				}
				for lsn := range l.lsn + 2 {
					l.check(t, lsn)
				}
				l.check(t, MaxLSN)
				checkStructure(t, l.m)
				checkStructure(t, l.m.ranges.Load())
			})
		}
	}
}

func TestOpenIteratorsDoNotSeeLaterRanges(t *testing.T) {
	m := New()
	for i := range 100 {
		m.Add(1, layerKey(i), iterator.Set, []byte("v"))
	}
	before := collect(m.NewIter(1))
	it := m.NewIter(1)
	require.True(t, it.SeekGE(layerKey(40)))
	m.AddRange(2, layerKey(30), layerKey(80))
	require.Equal(t, before, collect(it))
	require.Equal(t, before, collect(m.NewIter(1)))
	require.Empty(t, m.Spans(1))
	require.Len(t, m.Spans(2), 1)
	require.Len(t, collect(iterator.NewLive(m.NewIter(2), nil)), 50)
}

func TestRangesMerged(t *testing.T) {
	for _, keys := range []int{5, 30, 300} {
		for seed := range uint64(40) {
			t.Run(fmt.Sprintf("%d keys, seed %d", keys, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(keys)))
				var inputs []*layered // oldest first
				var all []deed
				for range 3 {
					l := newLayered(keys)
					for range rng.IntN(40) {
						l.lsn++
						l.random(rng)
					}
					all = append(all, l.done...)
					inputs = append(inputs, l)
				}
				a, b, c := inputs[0], inputs[1], inputs[2]
				before := [][]iterator.Row{collect(b.m.NewIter(MaxLSN)), collect(a.m.NewIter(MaxLSN))}
				two := &layered{m: Merge(b.m, a.m), keys: keys, done: slices.Concat(a.done, b.done)}
				two.check(t, MaxLSN)
				three := &layered{m: Merge(c.m, two.m), keys: keys, done: all}
				three.check(t, MaxLSN)
				other := &layered{m: Merge(Merge(c.m, b.m), a.m), keys: keys, done: all}
				other.check(t, MaxLSN)
				checkStructure(t, three.m)
				require.Empty(t, three.m.Spans(0), "older versions are gone")
				a.check(t, MaxLSN)
				b.check(t, MaxLSN)
				require.Equal(t, before, [][]iterator.Row{collect(b.m.NewIter(MaxLSN)), collect(a.m.NewIter(MaxLSN))}, "an input has changed")
				if r := three.m.ranges.Load(); r != nil {
					require.Equal(t, len(three.m.Spans(MaxLSN)), r.Len(), "a fragment for each span")
				}
				for _, row := range collect(three.m.NewIter(MaxLSN)) {
					require.False(t, row.Kind == iterator.Tombstone && three.m.Covered(row.Key, MaxLSN), "a tombstone inside a range says nothing")
				}
			})
		}
	}
}

func TestBoundsThatAreOpen(t *testing.T) {
	m := New()
	require.False(t, m.HasRanges())
	require.Nil(t, m.Spans(MaxLSN))
	m.AddRange(1, nil, []byte("b"))
	require.True(t, m.HasRanges())
	require.Zero(t, m.Len())
	require.True(t, m.Covered(nil, 1))
	require.True(t, m.Covered([]byte("a"), 1))
	require.False(t, m.Covered([]byte("b"), 1))
	m.AddRange(2, []byte("y"), nil)
	require.True(t, m.Covered(bytes.Repeat([]byte{0xff}, MaxKeyBytes), 2))
	require.False(t, m.Covered([]byte("z"), 1))
	require.Equal(t, []iterator.Span{{Lo: []byte{}, Hi: []byte("b")}, {Lo: []byte("y")}}, m.Spans(2))
	m.AddRange(3, nil, nil)
	require.Equal(t, []iterator.Span{{Lo: []byte{}}}, m.Spans(3))
	require.Len(t, m.Spans(2), 2)
	held := m.Bytes()
	m.AddRange(4, []byte("c"), []byte("d"))
	m.AddRange(5, nil, nil)
	require.Equal(t, []iterator.Span{{Lo: []byte{}}}, m.Spans(5))
	require.Less(t, m.Bytes()-held, int64(200))
}

func TestARangeWritesNothingOverTombstones(t *testing.T) {
	m := New()
	for i := range 100 {
		m.Add(1, layerKey(i), iterator.Set, nil)
	}
	m.AddRange(2, nil, nil)
	require.Empty(t, collect(iterator.NewLive(m.NewIter(2), nil)))
	held, used := m.Bytes(), m.arena.used
	m.AddRange(3, nil, nil)
	m.AddRange(4, layerKey(20), layerKey(30))
	require.Equal(t, held, m.Bytes())
	require.Equal(t, used, m.arena.used)
}

func TestRowsIn(t *testing.T) {
	m := New()
	for i := range 300 {
		kind := iterator.Set
		if i%3 == 0 {
			kind = iterator.Tombstone
		}
		m.Add(1, layerKey(i), kind, nil)
	}
	require.Equal(t, 300, m.RowsIn(nil, nil, 1000))
	require.Equal(t, 100, m.RowsIn(nil, nil, 100))
	require.Equal(t, 20, m.RowsIn(layerKey(10), layerKey(30), 1000))
	require.Equal(t, 10, m.RowsIn(layerKey(290), nil, 1000))
	require.Equal(t, 0, m.RowsIn(layerKey(300), nil, 1000))
	require.Equal(t, 0, m.RowsIn([]byte("b"), nil, 1000))
	require.Equal(t, 0, m.RowsIn(nil, nil, 0))
}

// TestRangesCostLittle does what would be dear if each call looked at all earlier
// ranges or kept a fragment for each: what counts is the fragments made.
func TestRangesCostLittle(t *testing.T) {
	const n = 20_000
	key := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }
	for _, c := range []struct {
		name      string
		add       func(m *Memtable, i int)
		fragments int
		spans     int
		most      int64 // bytes
	}{
		{"each follows the one before", func(m *Memtable, i int) { m.AddRange(ids.LSN(i+1), key(i), key(i+1)) }, 1, 1, 100 * n},
		{"each precedes the one before", func(m *Memtable, i int) { m.AddRange(ids.LSN(i+1), key(n-i), key(n-i+1)) }, n, 1, 100 * n},
		{"each reaches further", func(m *Memtable, i int) { m.AddRange(ids.LSN(i+1), nil, key(i+1)) }, 1, 1, 100 * n},
		{"the same again", func(m *Memtable, i int) { m.AddRange(ids.LSN(i+1), key(3), key(7)) }, 1, 1, 500},
		{"apart from each other", func(m *Memtable, i int) { m.AddRange(ids.LSN(i+1), key(2*i), key(2*i+1)) }, n, n, 100 * n},
		{"all, after many apart", func(m *Memtable, i int) {
			if i < n/2 {
				m.AddRange(ids.LSN(i+1), key(2*i), key(2*i+1))
			} else {
				m.AddRange(ids.LSN(i+1), key(0), key(n))
			}
		}, n / 2, 1, 150 * n},
		{"from everywhere to the end, after many apart", func(m *Memtable, i int) {
			if i < n/2 {
				m.AddRange(ids.LSN(i+1), key(2*i), key(2*i+1))
			} else {
				m.AddRange(ids.LSN(i+1), key(2*(i-n/2)), key(n))
			}
		}, n / 2, 1, 150 * n},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New()
			for i := range n {
				c.add(m, i)
			}
			require.Equal(t, c.fragments, m.ranges.Load().Len())
			require.Len(t, m.Spans(MaxLSN), c.spans)
			require.LessOrEqual(t, m.Bytes(), c.most)
			if c.spans == 1 {
				it := m.ranges.Load().newIter(MaxLSN)
				require.True(t, it.First())
				require.Equal(t, m.Spans(MaxLSN)[0], spanOf(it.row), "a walk is one step long")
			}
			require.Equal(t, memtableBytes+m.ranges.Load().Bytes(), m.Bytes())
			frozen := Merge(m, New())
			require.Equal(t, c.spans, frozen.ranges.Load().Len())
			require.Equal(t, m.Spans(MaxLSN), frozen.Spans(MaxLSN))
		})
	}
}
