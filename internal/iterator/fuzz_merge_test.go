package iterator_test

import (
	"bytes"
	"fmt"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
)

// FuzzMerge deals keys to up to six inputs, merges them under bounds, and moves
// the result and a place in a sorted slice alike. Of rows, each byte gives a key
// (low five bits) and which inputs have it next to the one before (the rest);
// each byte of moves is one move.
func FuzzMerge(f *testing.F) {
	f.Add(uint8(3), []byte("\x01\x22\x43\x64\x85\x01\x22"), []byte{0, 4, 5, 4, 5, 5, 5}, uint8(0), uint8(0))
	f.Add(uint8(6), []byte("\xe1\xe1\xe1\xe2\xe2\x41\x5f\x9c"), []byte{1, 5, 5, 4, 4, 0x42, 0x33, 4, 5}, uint8(2), uint8(30))
	f.Add(uint8(0), []byte{}, []byte{0, 1, 2, 3, 4, 5}, uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, inputs uint8, rows, moves []byte, lower, upper uint8) {
		if len(rows) > 256 || len(moves) > 256 {
			return
		}
		dealt, want := dealBytes(int(inputs)%7, rows)
		var lo, hi []byte
		if lower > 0 {
			lo = keyOfByte(lower % 32)
		}
		if upper > 0 {
			hi = keyOfByte(upper % 32)
		}
		if lo != nil && hi != nil && bytes.Compare(lo, hi) > 0 {
			lo, hi = hi, lo
		}
		want = within(want, lo, hi)
		it := iterator.NewBounded(iterator.NewMerge(slices(dealt)), lo, hi)
		var row iterator.Row
		it.Into(&row)
		at := -1
		for _, move := range moves {
			key := keyOfByte(move >> 3)
			ge := sort.Search(len(want), func(i int) bool { return bytes.Compare(want[i].Key, key) >= 0 })
			var ok bool
			switch move & 7 {
			case 0:
				ok, at = it.First(), 0
			case 1:
				ok, at = it.Last(), len(want)-1
			case 2:
				ok, at = it.SeekGE(key), ge
			case 3:
				ok, at = it.SeekLT(key), ge-1
			case 4, 6:
				ok = it.Prev()
				at = max(at, 0) - 1
			default:
				ok = it.Next()
				if at >= 0 {
					at++
				}
			}
			if at >= len(want) {
				at = -1
			}
			require.Equal(t, at >= 0, ok, "move %d", move)
			require.Equal(t, ok, it.Valid())
			if ok {
				require.Equal(t, string(want[at].Key), string(it.Key()))
				require.Equal(t, want[at].Kind, it.Kind())
				require.Equal(t, string(want[at].Value), string(it.Value()))
				require.Equal(t, string(want[at].Key), string(row.Key))
				require.Equal(t, want[at].Kind, row.Kind)
				require.Equal(t, string(want[at].Value), string(row.Value))
			}
		}
		require.NoError(t, it.Error())
		require.NoError(t, it.Close())
	})
}

// keyOfByte gives keys of which many share more than a head, and some less.
func keyOfByte(b byte) []byte {
	key := fmt.Appendf(nil, "%03d", b)
	if b%4 > 0 {
		key = fmt.Appendf(nil, "%d/much/that/is/shared/%03d", b%4/3, b)
	}
	return key[:len(key)-2+int(b%3)]
}

// dealBytes gives the inputs' rows, and the rows of all of them together: of
// equal keys the one of the first input.
func dealBytes(inputs int, rows []byte) (dealt [][]iterator.Row, union []iterator.Row) {
	dealt = make([][]iterator.Row, inputs)
	if inputs == 0 {
		return dealt, nil
	}
	held := make([]map[string]bool, inputs)
	for i := range held {
		held[i] = map[string]bool{}
	}
	input := 0
	for n, b := range rows {
		key := keyOfByte(b & 0x1f)
		for range 1 + b>>6 {
			input = (input + int(b>>5&1) + 1) % inputs
			if held[input][string(key)] {
				continue
			}
			held[input][string(key)] = true
			row := iterator.Row{Key: key, Kind: iterator.Set, Value: fmt.Appendf(nil, "%d of input %d", n, input)}
			if n%5 == 4 {
				row = iterator.Row{Key: key, Kind: iterator.Tombstone}
			}
			dealt[input] = append(dealt[input], row)
		}
	}
	newest := map[string]bool{}
	for _, rows := range dealt {
		sort.Slice(rows, func(i, j int) bool { return bytes.Compare(rows[i].Key, rows[j].Key) < 0 })
		for _, row := range rows {
			if !newest[string(row.Key)] {
				newest[string(row.Key)] = true
				union = append(union, row)
			}
		}
	}
	sort.Slice(union, func(i, j int) bool { return bytes.Compare(union[i].Key, union[j].Key) < 0 })
	return dealt, union
}
