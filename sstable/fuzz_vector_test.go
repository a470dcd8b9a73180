package sstable

import (
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// FuzzDecodeVector: whatever decodes is a set of rows of its table, as many as it
// says, and is stored in the same bytes again. The input is tried as it is and
// with a right checksum, without which nothing would ever decode.
func FuzzDecodeVector(f *testing.F) {
	for _, v := range storedVectors() {
		f.Add(v.AppendTo(nil, 1, 2))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		before := allocated()
		_, _, _, _, _ = DecodeVector(b)
		if len(b) >= vectorFixedBytes+checksumBytes {
			end := len(b) - checksumBytes
			sealed := le64(b[:end], xxhash.Sum64(b[:end]))
			requireGoodVector(t, sealed)
		}
		// A container is up to 8 KiB from 2 bytes at the most: none is made larger
		// than what it takes in b.
		require.Less(t, allocated()-before, uint64(20*len(b))+4<<20, "allocated")
	})
}

func le64(b []byte, n uint64) []byte {
	out := append([]byte(nil), b...)
	for i := range 8 {
		out = append(out, byte(n>>(8*i)))
	}
	return out
}

func requireGoodVector(t *testing.T, b []byte) {
	t.Helper()
	node, table, v, rest, err := DecodeVector(b)
	if err != nil {
		require.Nil(t, v)
		return
	}
	require.Equal(t, b[:len(b)-len(rest)], v.AppendTo(nil, node, table))
	require.NotZero(t, v.Dead())
	require.LessOrEqual(t, v.Dead(), v.Rows())
	if v.Whole() {
		return
	}
	set := v.Bitmap()
	require.Equal(t, v.Dead(), set.GetCardinality())
	require.Less(t, uint64(set.Maximum()), v.Rows())
	again := NewVector(v.Rows(), set)
	require.True(t, v.Equal(again), "in the form that would be chosen for it")
	require.True(t, UnionVectors(v, again).Equal(v))
	if v.Rows() > 1<<20 {
		return
	}
	d := NewDead(v)
	n := uint64(0)
	for i := uint64(0); i < v.Rows(); i++ {
		if set.Contains(uint32(i)) != d.Contains(i) {
			require.Failf(t, "wrong", "row %d", i)
		}
		if d.Contains(i) {
			n++
		}
	}
	require.Equal(t, v.Dead(), n)
}

// FuzzRemap: a merge by script, in which each byte pair takes a row of some table
// on or not, begins tables and leaps over rows; each mark lands where its row is.
func FuzzRemap(f *testing.F) {
	f.Add([]byte("\x03\x10\x20\x40\x00\x01\x02\x80\x04\x05\x06\xc0\x07\x00\x01\x02"), uint64(1))
	f.Add([]byte("\x01\xff\x00\x00\x00\x00\x00\x00\x80\x00\x80\x00"), uint64(2))
	f.Add([]byte("\x02\x80\x80\x40\x00\x41\x00\x3f\x01\x3e\x01\x3f\x3f\x3f\x3f\xff\xff"), uint64(3))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		if len(script) < 2 || len(script) > 1000 {
			return
		}
		p := newPlainRemap()
		next := make([]int, 1+int(script[0])%6)
		script = script[1:]
		for i := range next {
			rows := 1
			if i < len(script) {
				rows += int(script[i]) * int(script[i]) // up to a chunk; the places fill more
			}
			p.from(rows)
		}
		p.begin()
		for _, op := range script {
			k := int(op) % len(next)
			s := p.sources[k]
			switch op >> 6 {
			case 0: // a stretch of rows is kept
				for range int(op) + 1 {
					if next[k] < len(s.to) {
						p.keep(s, next[k])
						next[k]++
					}
				}
			case 1: // a row is kept, and some are dropped
				if next[k] < len(s.to) {
					p.keep(s, next[k])
				}
				next[k] += 1 + int(op&7)
			case 2: // many rows are dropped
				next[k] += 1 << (op & 15)
			case 3:
				if len(p.outputs) < 40 {
					p.begin()
				}
			}
		}
		m := p.b.Finish()
		rng := rand.New(rand.NewPCG(seed, 0))
		for i, s := range p.sources {
			require.Equal(t, ids.TableID(s.table), m.Consumed()[i])
			shape := markShapes[(seed+uint64(i))%uint64(len(markShapes))].make
			p.requireTranslates(t, m, s, randomMarks(rng, len(s.to), shape))
		}
		require.Positive(t, m.Bytes())
	})
}
