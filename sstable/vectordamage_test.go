package sstable

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
)

// storedVectors has every form that a vector can be stored in.
func storedVectors() map[string]*Vector {
	rng := rand.New(rand.NewPCG(8, 8))
	stretch, offsets := roaring.New(), roaring.New()
	stretch.AddRange(100, 5000)
	for i := range uint64(5) {
		offsets.AddRange(i<<16+7, i<<16+7000)
		offsets.Add(uint32(i<<16 + 9000))
	}
	dense := make(marks, 70_000)
	dense.each(rng, 0.5)
	return map[string]*Vector{
		"one row":                      NewVector(10, roaring.BitmapOf(3)),
		"a list":                       NewVector(300_000, roaring.BitmapOf(1, 5, 70_000, 70_001, 200_000)),
		"bits":                         dense.vector(),
		"runs without offsets":         NewVector(10_000, stretch),
		"runs with offsets":            NewVector(1_000_000, offsets),
		"every row":                    WholeVector(10_000),
		"the largest table, one row":   NewVector(MaxRows, roaring.BitmapOf(MaxRows-1)),
		"the largest table, all of it": WholeVector(MaxRows),
	}
}

func requireRefused(t *testing.T, b []byte, what ...any) error {
	t.Helper()
	node, table, v, rest, err := DecodeVector(b)
	require.Error(t, err, what...)
	require.Nil(t, v)
	require.Nil(t, rest)
	require.Zero(t, node)
	require.Zero(t, table)
	return err
}

func TestEverySingleBitFlipOfAVectorIsFound(t *testing.T) {
	for name, v := range storedVectors() {
		t.Run(name, func(t *testing.T) {
			stored := v.AppendTo(nil, 3, 4)
			step := max(1, len(stored)*8/5000)
			for bit := 0; bit < len(stored)*8; bit += step {
				stored[bit/8] ^= 1 << (bit % 8)
				requireRefused(t, stored, "bit %d", bit)
				stored[bit/8] ^= 1 << (bit % 8)
			}
			_, _, _, _, err := DecodeVector(stored)
			require.NoError(t, err)
		})
	}
}

func TestEveryTruncationOfAVectorIsFound(t *testing.T) {
	for name, v := range storedVectors() {
		t.Run(name, func(t *testing.T) {
			stored := v.AppendTo(nil, 3, 4)
			for n := range len(stored) {
				requireRefused(t, stored[:n], "%d bytes", n)
			}
			require.NotPanics(t, func() { requireRefused(t, stored[1:]) })
		})
	}
}

// resealVector changes a stored vector and gives it a right checksum and length.
func resealVector(stored []byte, change func(header, bitmap []byte) []byte) []byte {
	stored = slices.Clone(stored)
	bitmap := slices.Clone(stored[vectorFixedBytes : len(stored)-checksumBytes])
	header := stored[:vectorFixedBytes]
	bitmap = change(header, bitmap)
	binary.LittleEndian.PutUint32(header[4:], uint32(len(bitmap)))
	sealed := append(slices.Clone(header), bitmap...)
	return binary.LittleEndian.AppendUint64(sealed, xxhash.Sum64(sealed))
}

// A vector whose checksum is right may still lie: a bug, or a hostile file.
func TestVectorThatLiesIsFound(t *testing.T) {
	le := binary.LittleEndian
	vectors := storedVectors()
	both := func(header func([]byte), bitmap func([]byte) []byte) func(h, b []byte) []byte {
		return func(h, b []byte) []byte {
			if header != nil {
				header(h)
			}
			if bitmap != nil {
				return bitmap(b)
			}
			return b
		}
	}
	header := func(change func([]byte)) func(h, b []byte) []byte { return both(change, nil) }
	bitmap := func(change func([]byte)) func(h, b []byte) []byte {
		return both(nil, func(b []byte) []byte { change(b); return b })
	}
	for _, c := range []struct {
		name, of string
		change   func(header, bitmap []byte) []byte
		want     string
	}{
		{"version 0", "one row", header(func(h []byte) { le.PutUint16(h, 0) }), "format 0"},
		{"an unknown form", "one row", header(func(h []byte) { le.PutUint16(h[2:], 3) }), "unknown form"},
		{"no form", "one row", header(func(h []byte) { le.PutUint16(h[2:], 0) }), "unknown form"},
		{"a whole table of which rows are alive", "one row", header(func(h []byte) { le.PutUint16(h[2:], 2) }), "form of a whole table"},
		{"a whole table with a bitmap", "every row", both(nil, func([]byte) []byte { return []byte{1} }), "form of a whole table"},
		{"a bitmap of every row", "every row", header(func(h []byte) { le.PutUint16(h[2:], 1) }), "a bitmap for all"},
		{"no dead rows", "one row", header(func(h []byte) { le.PutUint32(h[28:], 0) }), "0 of 10 rows"},
		{"more dead rows than rows", "one row", header(func(h []byte) { le.PutUint32(h[28:], 11) }), "11 of 10 rows"},
		{"no rows", "one row", header(func(h []byte) { le.PutUint64(h[24:], 0) }), "0 of 0 rows"},
		{"a number of dead rows that the bitmap has not", "one row", header(func(h []byte) { le.PutUint32(h[28:], 2) }), "the header says 2"},
		{"fewer dead rows than the bitmap has", "a list", header(func(h []byte) { le.PutUint32(h[28:], 4) }), "the header says 4"},
		{"a dead row behind the last", "one row", header(func(h []byte) { le.PutUint32(h[24:], 3) }), "row 3 is dead in a table of 3"},
		{"a container behind the last row", "a list", header(func(h []byte) { le.PutUint32(h[24:], 100_000) }), "containers for 100000 rows"},
		{"an empty bitmap", "one row", both(nil, func([]byte) []byte { return nil }), "begins with 00000000"},
		{"an empty roaring bitmap", "one row", both(nil, func([]byte) []byte {
			b, _ := roaring.New().ToBytes()
			return b
		}), "of 0 containers"},
		{"an unknown cookie", "one row", bitmap(func(b []byte) { b[0] += 2 }), "begins with"},
		{"a huge number of containers", "one row", bitmap(func(b []byte) { le.PutUint32(b[4:], 1<<31) }), "containers for 10 rows"},
		{"a bitmap cut short in its header", "one row", both(nil, func(b []byte) []byte { return b[:9] }), "ends in its header"},
		{"a bitmap cut short in a container", "a list", both(nil, func(b []byte) []byte { return b[:len(b)-1] }), "ends in container"},
		{"a bitmap with bytes left over", "a list", both(nil, func(b []byte) []byte { return append(b, 0) }), "1 bytes over"},
		{"containers in the wrong order", "a list", bitmap(func(b []byte) { le.PutUint16(b[8+4:], 0) }), "in place 1"},
		{"a container where none can be", "a list", bitmap(func(b []byte) { le.PutUint16(b[8+8:], 5) }), "in place 2"},
		{"an offset that is wrong", "a list", bitmap(func(b []byte) { b[8+12+4]++ }), "not where its offset says"},
		{"an offset that is wrong, with runs", "runs with offsets", bitmap(func(b []byte) { b[4+1+20]++ }), "not where its offset says"},
		{"a mark of a container that is not there", "runs without offsets", bitmap(func(b []byte) { b[4] |= 0x80 }), "marks container 7"},
		{"rows in a list that do not rise", "a list", bitmap(func(b []byte) { le.PutUint16(b[8+12+12:], 5) }), "sort"},
		{"rows in a list out of order", "a list", bitmap(func(b []byte) { le.PutUint16(b[8+12+12:], 6) }), "sort"},
		{"bits that are not as many as stated", "bits", bitmap(func(b []byte) { b[len(b)/2] ^= 1 }), "bitmap container"},
		{"a run that is longer than stated", "runs without offsets", bitmap(func(b []byte) { b[len(b)-2]++ }), "members in its runs"},
		{"no runs", "runs without offsets", both(nil, func(b []byte) []byte {
			b[len(b)-6], b[len(b)-5] = 0, 0
			return b[:len(b)-4]
		}), "has 0 runs"},
		{"a run over the end of its container", "runs without offsets", bitmap(func(b []byte) { le.PutUint16(b[len(b)-4:], 65_000) }), "bitmap: "},
		{"more runs than there can be", "runs without offsets", bitmap(func(b []byte) { le.PutUint16(b[len(b)-6:], 2048) }), "2048 runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := vectors[c.of]
			require.NotNil(t, v)
			stored := v.AppendTo(nil, 3, 4)
			_, _, _, _, err := DecodeVector(resealVector(stored, func(_, b []byte) []byte { return b }))
			require.NoError(t, err, "before")
			err = requireRefused(t, resealVector(stored, c.change))
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, errs.ErrNewerFormat)
		})
	}
}

// Runs that overlap or are out of order are what roaring itself must find.
func TestVectorWithOddRunsIsFound(t *testing.T) {
	for name, runs := range map[string][][2]uint16{
		"out of order": {{100, 9}, {0, 9}},
		"equal":        {{100, 9}, {100, 9}},
		"overlapping":  {{100, 9}, {105, 9}},
		"touching":     {{100, 9}, {110, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			le := binary.LittleEndian
			packed := le.AppendUint32(nil, roaringCookieRuns)
			packed = append(packed, 1)
			packed = le.AppendUint16(packed, 0)
			packed = le.AppendUint16(packed, 19)
			packed = le.AppendUint16(packed, 2)
			for _, run := range runs {
				packed = le.AppendUint16(le.AppendUint16(packed, run[0]), run[1])
			}
			require.NoError(t, checkBitmapLayout(packed, 1000, 20))
			v := &Vector{rows: 1000, dead: 20, bitmap: packed}
			requireRefused(t, v.AppendTo(nil, 1, 1))
		})
	}
}

func TestVectorOfANewerFormatIsNotDamage(t *testing.T) {
	stored := NewVector(10, roaring.BitmapOf(3)).AppendTo(nil, 3, 4)
	stored[0] = 2
	require.NotErrorIs(t, requireRefused(t, stored), errs.ErrNewerFormat, "a damaged version is damage")
	newer := resealVector(stored, func(h, b []byte) []byte { return b })
	require.ErrorIs(t, requireRefused(t, newer), errs.ErrNewerFormat)
}

// What a hostile vector claims is not allocated, and checking it ends.
func TestHostileVectorCostsLittle(t *testing.T) {
	le := binary.LittleEndian
	packed := le.AppendUint32(nil, roaringCookieRuns)
	packed = append(packed, 1)
	packed = le.AppendUint16(packed, 0)
	packed = le.AppendUint16(packed, 65_534)
	packed = le.AppendUint16(packed, 65_535)
	for range 65_535 {
		packed = append(packed, 0, 0, 0, 0)
	}
	for name, v := range map[string]*Vector{
		"a container of 65535 runs": {rows: MaxRows, dead: 65_535, bitmap: packed},
		"65536 containers in a few bytes": {rows: MaxRows, dead: 1, bitmap: le.AppendUint32(
			le.AppendUint32(nil, roaringCookieNoRuns), 65_536)},
	} {
		t.Run(name, func(t *testing.T) {
			stored := v.AppendTo(nil, 1, 1)
			before := allocated()
			requireRefused(t, stored)
			require.Less(t, allocated()-before, uint64(1<<20))
		})
	}
}

func TestTablesOfTooManyRowsAreRefused(t *testing.T) {
	t.Run("by the writer", func(t *testing.T) {
		w := NewWriter(nil, 1, 1, 0, WriterOptions{})
		w.meta.Rows, w.last = MaxRows, []byte("a")
		require.ErrorContains(t, w.Add([]byte("b"), 1, nil), fmt.Sprint(uint64(MaxRows)))
	})
	t.Run("by the reader", func(t *testing.T) {
		p := Properties{Rows: MaxRows, Blocks: 1, BlockBytes: 1, Smallest: []byte("a"), Largest: []byte("b")}
		_, err := decodeProperties(p.appendTo(nil))
		require.NoError(t, err)
		p.Rows++
		_, err = decodeProperties(p.appendTo(nil))
		require.ErrorContains(t, err, "rows")
	})
}
