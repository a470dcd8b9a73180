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

// history is a memtable next to all that was ever added to it.
type history struct {
	m        *Memtable
	lsn      ids.LSN
	versions map[string][]version // rising by LSN; of equal LSNs the last counts
}

type version struct {
	lsn   ids.LSN
	kind  iterator.Kind
	value []byte
}

func newHistory() *history { return &history{m: New(), versions: map[string][]version{}} }

// add adds at the current LSN; the caller raises that.
func (h *history) add(key []byte, kind iterator.Kind, value []byte) {
	h.m.Add(h.lsn, key, kind, value)
	h.versions[string(key)] = append(h.versions[string(key)], version{h.lsn, kind, value})
}

func (h *history) get(key string, at ids.LSN) (version, bool) {
	for _, v := range slices.Backward(h.versions[key]) {
		if v.lsn <= at {
			return v, true
		}
	}
	return version{}, false
}

// rows is what an iterator at an LSN must give.
func (h *history) rows(at ids.LSN) []iterator.Row {
	var rows []iterator.Row
	for key := range h.versions {
		if v, ok := h.get(key, at); ok {
			rows = append(rows, iterator.Row{Key: []byte(key), Kind: v.kind, Value: v.value})
		}
	}
	slices.SortFunc(rows, func(a, b iterator.Row) int { return bytes.Compare(a.Key, b.Key) })
	for i := range rows { // as collect gives them
		rows[i].Key = append(rows[i].Key[:0:0], rows[i].Key...)
		if len(rows[i].Key) == 0 {
			rows[i].Key = []byte{}
		}
		if len(rows[i].Value) == 0 {
			rows[i].Value = []byte{}
		}
	}
	return rows
}

func (h *history) checkGets(t *testing.T, at ids.LSN) {
	t.Helper()
	for key := range h.versions {
		for _, k := range []string{key, key + "\x00", key + "x"} {
			value, kind, found := h.m.Get([]byte(k), at)
			want, ok := h.get(k, at)
			if ok != found || want.kind != kind || !bytes.Equal(want.value, value) {
				require.Fail(t, "wrong version", "%q at %d: %q, %d, %v, want %q, %d, %v", k, at, value, kind, found, want.value, want.kind, ok)
			}
		}
	}
	require.Equal(t, len(h.versions), h.m.Len())
}

// heldIter is an iterator that stays open over later Adds, and what it must see.
type heldIter struct {
	it   iterator.Iterator
	rows []iterator.Row
	at   int // in rows; -1 = not valid
}

// step makes one random move and compares.
func (o *heldIter) step(t *testing.T, rng *rand.Rand, keyspace int) {
	t.Helper()
	var ok bool
	switch rng.IntN(12) {
	case 0:
		ok, o.at = o.it.First(), 0
	case 1:
		ok, o.at = o.it.Last(), len(o.rows)-1
	case 2, 3:
		key := keyOf(rng.IntN(keyspace))
		o.at, _ = slices.BinarySearchFunc(o.rows, key, func(r iterator.Row, k []byte) int { return bytes.Compare(r.Key, k) })
		if rng.IntN(2) == 0 {
			ok = o.it.SeekGE(key)
		} else {
			ok = o.it.SeekLT(key)
			o.at--
		}
	default:
		if o.at < 0 {
			if o.it.Next() || o.it.Prev() {
				require.Fail(t, "an invalid iterator has moved")
			}
			return
		}
		if rng.IntN(2) == 0 {
			ok = o.it.Next()
			o.at++
		} else {
			ok = o.it.Prev()
			o.at--
		}
	}
	if o.at >= len(o.rows) {
		o.at = -1
	}
	if ok != (o.at >= 0) || ok != o.it.Valid() {
		require.Fail(t, "wrong validity", "moved %v, valid %v, want %v", ok, o.it.Valid(), o.at >= 0)
	}
	if !ok {
		return
	}
	// require costs microseconds a call; most of these never fail.
	if want := o.rows[o.at]; !bytes.Equal(want.Key, o.it.Key()) || want.Kind != o.it.Kind() || !bytes.Equal(want.Value, o.it.Value()) {
		require.Fail(t, "wrong row", "%q, %d, %q, want %q, %d, %q", o.it.Key(), o.it.Kind(), o.it.Value(), want.Key, want.Kind, want.Value)
	}
}

func keyOf(i int) []byte {
	if i%3 == 0 {
		return fmt.Appendf(nil, "%d", i)
	}
	return fmt.Appendf(nil, "a/common/prefix/%05d", i)
}

// TestRandomHistory adds versions of random keys, while up to eight iterators of
// different LSNs are held open and moved; batches share an LSN.
func TestRandomHistory(t *testing.T) {
	for _, c := range []struct {
		keyspace, adds int
	}{{5, 200}, {25, 300}, {200, 1500}, {2000, 4000}} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%d keys, seed %d", c.keyspace, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(c.keyspace)))
				h := newHistory()
				var open []*heldIter
				movesOverLaterAdds := 0
				for i := range c.adds {
					if rng.IntN(3) > 0 {
						h.lsn++
					}
					if len(open) > 0 && open[len(open)-1].it.(*Iter).at >= h.lsn {
						h.lsn++ // what is added from now on must be younger than any iterator
					}
					if rng.IntN(4) == 0 {
						h.add(keyOf(rng.IntN(c.keyspace)), iterator.Tombstone, nil)
					} else {
						h.add(keyOf(rng.IntN(c.keyspace)), iterator.Set, fmt.Appendf(nil, "value %d", i))
					}
					if rng.IntN(c.adds/30) == 0 {
						at := h.lsn - min(h.lsn, ids.LSN(rng.IntN(3)*rng.IntN(c.adds)))
						open = append(open, &heldIter{it: h.m.NewIter(at), rows: h.rows(at), at: -1})
						slices.SortFunc(open, func(a, b *heldIter) int { return int(a.it.(*Iter).at) - int(b.it.(*Iter).at) })
						if len(open) > 8 {
							victim := rng.IntN(len(open))
							require.NoError(t, open[victim].it.Close())
							open = slices.Delete(open, victim, victim+1)
						}
					}
					for _, o := range open {
						if rng.IntN(4) == 0 {
							o.step(t, rng, c.keyspace)
							movesOverLaterAdds++
						}
					}
				}
				require.Greater(t, movesOverLaterAdds, c.adds/2)
				checkStructure(t, h.m)
				for range 5 {
					at := ids.LSN(rng.Uint64N(uint64(h.lsn) + 2))
					h.checkGets(t, at)
					require.Equal(t, h.rows(at), collect(h.m.NewIter(at)))
				}
			})
		}
	}
}

// TestMerge merges random histories, the newer of which overlaps the older.
func TestMerge(t *testing.T) {
	sharedSeen, copiedSeen := false, false
	for _, newerAdds := range []int{0, 1, 10, 40, 3000} {
		for _, olderAdds := range []int{0, 1, 10, 40, 3000} {
			for _, keyspace := range []int{8, 1000, 100000} {
				t.Run(fmt.Sprintf("%d over %d adds of %d keys", newerAdds, olderAdds, keyspace), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(newerAdds), uint64(olderAdds)))
					older, newer := newHistory(), newHistory()
					fill := func(h *history, adds int) {
						for i := range adds {
							h.lsn++
							if rng.IntN(4) == 0 {
								h.add(keyOf(rng.IntN(keyspace)), iterator.Tombstone, nil)
							} else {
								h.add(keyOf(rng.IntN(keyspace)), iterator.Set, fmt.Appendf(nil, "%d of %p", i, h))
							}
						}
					}
					fill(older, olderAdds)
					newer.lsn = older.lsn
					fill(newer, newerAdds)
					before := collect(older.m.NewIter(MaxLSN))
					m := Merge(newer.m, older.m)

					want := newHistory()
					want.m = m
					for _, h := range []*history{older, newer} {
						for key, versions := range h.versions {
							want.versions[key] = versions
						}
					}
					checkStructure(t, m)
					want.checkGets(t, MaxLSN)
					require.Equal(t, want.rows(MaxLSN), collect(m.NewIter(MaxLSN)))
					require.Equal(t, before, collect(older.m.NewIter(MaxLSN)), "an input has changed")
					require.LessOrEqual(t, m.Bytes(), 2*(older.m.Bytes()+newer.m.Bytes()))
					if len(m.published) > 0 && len(older.m.published) > 0 && &m.published[len(m.published)-1][0] == &older.m.published[len(older.m.published)-1][0] {
						sharedSeen = true
					} else if m.Len() > flatMax {
						copiedSeen = true
					}

					// A merged memtable is merged again.
					again := Merge(New(), Merge(newer.m, m))
					require.Equal(t, want.rows(MaxLSN), collect(again.NewIter(MaxLSN)))
				})
			}
		}
	}
	require.True(t, sharedSeen, "no merge has shared its inputs' entries")
	require.True(t, copiedSeen, "no merge has copied")
}

// TestMergeDoesNotKeepWhatIsOverwritten merges one small memtable after another
// over the same keys.
func TestMergeDoesNotKeepWhatIsOverwritten(t *testing.T) {
	m := New()
	for round := range 200 {
		next := New()
		for i := range 50 {
			next.Add(ids.LSN(round), keyOf(i), iterator.Set, []byte("overwritten in the same memtable"))
		}
		for i := range 50 {
			next.Add(ids.LSN(round+1), keyOf(i), iterator.Set, bytes.Repeat([]byte{byte(round)}, 100))
		}
		m = Merge(next, m)
	}
	require.Equal(t, 50, m.Len())
	require.Less(t, m.Bytes(), int64(50_000))
	require.Len(t, m.published, 1, "a copy goes into one chunk that fits")
}

// TestMergeForgetsOlderVersions reads at an LSN for which the inputs had other
// versions: the result must say that it has none, not take what lies where the
// input's older version was.
func TestMergeForgetsOlderVersions(t *testing.T) {
	older, newer := New(), New()
	for lsn := range ids.LSN(2) {
		for i := range 1000 {
			older.Add(1+lsn, keyOf(2*i), iterator.Set, bytes.Repeat([]byte("o"), int(1+99*lsn)))
			newer.Add(3+lsn, keyOf(2*i+1), iterator.Set, bytes.Repeat([]byte("n"), int(1+99*lsn)))
		}
	}
	m := Merge(newer, older)
	require.Same(t, &older.published[0][0], &m.published[len(newer.published)][0], "the entries should be shared here")
	for i := range 2000 {
		_, _, found := m.Get(keyOf(i), 1)
		require.False(t, found)
		value, _, found := m.Get(keyOf(i), MaxLSN)
		require.True(t, found)
		require.Equal(t, []string{"o", "n"}[i%2], string(value[:1]))
	}
	require.Empty(t, collect(m.NewIter(1)))
}
