package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// buildTable makes table 7 in file 1 at offset.
func buildTable(t testing.TB, rows []iterator.Row, offset uint64, opts WriterOptions) ([]byte, Meta) {
	t.Helper()
	return buildTableOf(t, 7, rows, offset, opts)
}

func buildTableOf(t testing.TB, id ids.TableID, rows []iterator.Row, offset uint64, opts WriterOptions) ([]byte, Meta) {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, id, 1, offset, opts)
	for _, row := range rows {
		require.NoError(t, w.Add(row.Key, row.Kind, row.Value))
	}
	m, err := w.Finish()
	require.NoError(t, err)
	require.Equal(t, uint64(buf.Len()), m.Length)
	return append(make([]byte, offset), buf.Bytes()...), m
}

// keyShapes are kinds of key sets that are hard in different ways.
var keyShapes = []struct {
	name string
	make func(rng *rand.Rand) []byte
}{
	{"keys of one or two letters, the empty key, zeros behind zeros", func(rng *rand.Rand) []byte {
		key := make([]byte, rng.IntN(12))
		for i := range key {
			key[i] = byte(rng.IntN(2))
		}
		return key
	}},
	{"random keys of 16 bytes", func(rng *rand.Rand) []byte {
		key := make([]byte, 16)
		binary.BigEndian.PutUint64(key, rng.Uint64())
		binary.BigEndian.PutUint64(key[8:], rng.Uint64())
		return key
	}},
	{"a long common prefix and numbers", func(rng *rand.Rand) []byte {
		return fmt.Appendf(nil, "a/common/prefix/longer/than/a/head/%08d", rng.IntN(100000))
	}},
	{"equal heads and tails of any length", func(rng *rand.Rand) []byte {
		return append([]byte("same8byt"), bytes.Repeat([]byte{byte('a' + rng.IntN(3))}, rng.IntN(40))...)
	}},
	{"0xff bytes of any length", func(rng *rand.Rand) []byte {
		key := bytes.Repeat([]byte{0xff}, rng.IntN(20))
		return append(key, byte(rng.IntN(256)))
	}},
}

// randomRows makes up to n rows with keys of the given shape.
func randomRows(rng *rand.Rand, n int, makeKey func(*rand.Rand) []byte) []iterator.Row {
	byKey := map[string]iterator.Row{}
	for range n {
		row := iterator.Row{Key: makeKey(rng), Kind: iterator.Set}
		switch rng.IntN(10) {
		case 0, 1:
			row.Kind = iterator.Tombstone
		case 2:
			row.Value = make([]byte, rng.IntN(300))
			for i := range row.Value {
				row.Value[i] = byte(rng.Uint32())
			}
		case 3:
			row.Value = bytes.Repeat([]byte("v"), rng.IntN(2000))
		default:
			row.Value = fmt.Appendf(nil, "value of %x", row.Key)
		}
		byKey[string(row.Key)] = row
	}
	rows := make([]iterator.Row, 0, len(byKey))
	for _, row := range byKey {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b iterator.Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}

// sequentialRows makes n rows with 16-byte keys, each value 100 bytes of which
// half can be compressed away.
func sequentialRows(n int) []iterator.Row {
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([]iterator.Row, n)
	for i := range rows {
		value := make([]byte, 100)
		for j := 0; j < 50; j++ {
			value[j] = byte(rng.Uint32())
		}
		rows[i] = iterator.Row{Key: benchKey(i), Kind: iterator.Set, Value: value}
	}
	return rows
}

// benchKey spreads n over a 16-byte key so that order is kept and gaps are left.
func benchKey(n int) []byte {
	return fmt.Appendf(nil, "user%012d", n*2)
}
