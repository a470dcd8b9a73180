package memtable

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// FuzzMemtable does a script to a memtable and to a map of all versions. Each
// step is one byte that says what to do, for an Add with how many bytes of the
// script come next as the key; keys share their beginnings, as keys do. A script of
// odd length adds the rows between two other steps together.
func FuzzMemtable(f *testing.F) {
	f.Add([]byte{0x10, 'a', 0x81, 0x10, 'b', 0x02, 0x20, 'a', 'b', 0x03, 0x03, 0x11, 'a', 0x03, 0x04})
	f.Add(bytes.Repeat([]byte{0x30, 'x', 'y', 'z', 0x81, 0x31, 0xff, 0, 1, 0x02}, 12))
	many := []byte{}
	for i := range 160 {
		many = append(many, 0x28, byte(i*37), byte(i), 0x01)
	}
	f.Add(many)
	rising := []byte{}
	for i := range 200 { // 401 bytes: together
		rising = append(rising, 0x18, byte(i))
	}
	f.Add(append(rising, 0x01))
	f.Fuzz(func(t *testing.T, script []byte) {
		h, older := newHistory(), (*history)(nil)
		h.lsn = 1
		var open []*heldIter
		rng := rand.New(rand.NewPCG(uint64(len(script)), 3))
		key := []byte("a/common/prefix/")
		together, group := len(script)%2 == 1, []iterator.Row(nil)
		for len(script) > 0 {
			step := script[0]
			script = script[1:]
			if k := step & 7; k >= 1 && k <= 4 {
				h.addRows(group)
				group = nil
			}
			switch step & 7 {
			case 0, 5, 6, 7: // add; one kind in four is a tombstone
				n := min(int(step>>4), len(script))
				at := min(len(key), int(step>>3&1)*16) // behind the prefix, or anywhere
				key = append(key[:at:at], script[:n]...)
				script = script[n:]
				if len(open) > 0 && open[len(open)-1].it.(*Iter).at >= h.lsn {
					h.lsn++ // what is added is younger than any iterator
				}
				row := iterator.Row{Key: slices.Clone(key), Kind: iterator.Set, Value: slices.Clone(script[:min(len(script), 5)])}
				if step&7 == 7 {
					row.Kind, row.Value = iterator.Tombstone, nil
				}
				if together {
					group = append(group, row)
				} else {
					h.add(row.Key, row.Kind, row.Value)
				}
			case 1:
				h.lsn++
			case 2:
				if len(open) < 4 {
					open = append(open, &heldIter{it: h.m.NewIter(h.lsn), rows: h.rows(h.lsn), at: -1})
				}
			case 3:
				for _, o := range open {
					o.step(t, rng, 8)
					o.seek(t, key)
				}
			case 4: // what there is becomes the older of two
				if older == nil && len(open) == 0 {
					older, h = h, newHistory()
					h.lsn = older.lsn + 1
				}
			}
		}
		h.addRows(group)
		checkStructure(t, h.m)
		for _, at := range []ids.LSN{0, 1, h.lsn / 2, h.lsn, MaxLSN} {
			h.checkGets(t, at)
			require.Equal(t, h.rows(at), collect(h.m.NewIter(at)))
		}
		if older != nil {
			merged := &history{m: Merge(h.m, older.m), versions: older.versions}
			for key, versions := range h.versions {
				merged.versions[key] = append(merged.versions[key], versions...)
			}
			checkStructure(t, merged.m)
			merged.checkGets(t, MaxLSN)
			require.Equal(t, merged.rows(MaxLSN), collect(merged.m.NewIter(MaxLSN)))
		}
	})
}

// seek moves to both sides of a key and compares.
func (o *heldIter) seek(t *testing.T, key []byte) {
	t.Helper()
	at, _ := slices.BinarySearchFunc(o.rows, key, func(r iterator.Row, k []byte) int { return bytes.Compare(r.Key, k) })
	require.Equal(t, at > 0, o.it.SeekLT(key))
	if at > 0 {
		require.True(t, bytes.Equal(o.rows[at-1].Key, o.it.Key()))
	}
	require.Equal(t, at < len(o.rows), o.it.SeekGE(key))
	o.at = -1
	if at < len(o.rows) {
		o.at = at
		require.True(t, bytes.Equal(o.rows[at].Key, o.it.Key()))
	}
}

// FuzzRanges does a script of sets, deletes and range deletes to a memtable over an
// older layer, and to a plain list; now and then what there is becomes the older of
// two memtables that are merged in the end. A step is three bytes: what, and two
// numbers of keys.
func FuzzRanges(f *testing.F) {
	f.Add([]byte{3, 2, 9, 0, 5, 0, 3, 4, 6, 1, 7, 0, 2, 0, 0, 3, 0, 12})
	f.Add([]byte{3, 2, 4, 2, 0, 0, 3, 6, 8, 2, 0, 0, 3, 1, 11, 2, 0, 0, 3, 4, 6})
	f.Add([]byte{3, 5, 6, 2, 0, 0, 3, 6, 9, 2, 0, 0, 3, 0, 5, 4, 0, 0, 3, 2, 3, 0, 2, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		const keys = 16
		if len(script) > 600 {
			return
		}
		l, older := newLayered(keys), (*layered)(nil)
		for ; len(script) >= 3; script = script[3:] {
			a, b := int(script[1])%keys, int(script[2])%(keys+1)
			switch script[0] % 8 {
			case 0:
				l.do(deed{kind: iterator.Set, lo: a, value: string(rune('a' + b))})
			case 1:
				l.do(deed{kind: iterator.Tombstone, lo: a})
			case 2:
				l.lsn++
			case 4:
				if older == nil {
					older, l = l, newLayered(keys)
					l.lsn = older.lsn + 1
				}
			default:
				if a < b {
					l.do(deed{kind: iterator.RangeDelete, lo: a, hi: b})
				}
			}
		}
		first := ids.LSN(0)
		if older != nil {
			first = older.lsn
		}
		for lsn := first; lsn <= l.lsn; lsn++ {
			l.check(t, lsn)
		}
		if older != nil {
			older.check(t, MaxLSN)
			merged := &layered{m: Merge(l.m, older.m), keys: keys, done: slices.Concat(older.done, l.done)}
			merged.check(t, MaxLSN)
			checkStructure(t, merged.m)
		}
	})
}
