package iterator_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

func outside(rows []iterator.Row, spans []iterator.Span) []iterator.Row {
	var out []iterator.Row
	for _, r := range rows {
		hidden := false
		for _, s := range spans {
			hidden = hidden || bytes.Compare(r.Key, s.Lo) >= 0 && (s.Hi == nil || bytes.Compare(r.Key, s.Hi) < 0)
		}
		if !hidden {
			out = append(out, r)
		}
	}
	return out
}

func TestMaskedConforms(t *testing.T) {
	rows := itertest.Rows(60, 8)
	key := func(i int) []byte { return rows[i].Key }
	behind := func(i int) []byte { return append(bytes.Clone(key(i)), 0) }
	type spans = []iterator.Span
	for _, c := range []struct {
		name  string
		spans spans
	}{
		{"no span", nil},
		{"a span from row to row", spans{{key(10), key(20)}}},
		{"a span that begins and ends between rows", spans{{behind(10), behind(20)}}},
		{"a span with one row", spans{{key(10), behind(10)}}},
		{"a span between two rows", spans{{behind(10), key(11)}}},
		{"a span from the start", spans{{nil, key(20)}}},
		{"a span to the end", spans{{key(20), nil}}},
		{"both ends are hidden", spans{{nil, key(20)}, {key(40), nil}}},
		{"one row is left", spans{{nil, key(20)}, {behind(20), nil}}},
		{"everything is hidden by one span", spans{{nil, nil}}},
		{"everything is hidden by touching spans", spans{{nil, key(20)}, {key(20), key(21)}, {key(21), nil}}},
		{"touching spans", spans{{key(10), key(20)}, {key(20), behind(25)}, {behind(25), key(30)}}},
		{"spans between each other's rows", spans{{key(10), key(11)}, {key(12), key(13)}, {key(14), key(15)}}},
		{"many spans between two rows", spans{{behind(10), append(behind(10), 1)}, {append(behind(10), 2), append(behind(10), 3)}, {append(behind(10), 4), key(11)}}},
		{"spans before all rows and behind them", spans{{[]byte("\x00"), []byte("\x01")}, {[]byte("\x02"), []byte("\x03")}, {[]byte("\xff\xff"), nil}}},
		{"an empty span", spans{{key(10), key(10)}, {key(12), key(12)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			itertest.Run(t, outside(rows, c.spans), func() iterator.Iterator {
				return iterator.NewMasked(iterator.NewSlice(rows), c.spans)
			})
		})
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for n := range 60 {
		t.Run(fmt.Sprintf("random spans %d", n), func(t *testing.T) {
			spans := randomSpans(rng, rows)
			itertest.Run(t, outside(rows, spans), func() iterator.Iterator {
				return iterator.NewMasked(iterator.NewSlice(rows), spans)
			})
		})
	}
}

// randomSpans cuts the keys at rows and next to them, and makes some of the
// pieces spans.
func randomSpans(rng *rand.Rand, rows []iterator.Row) []iterator.Span {
	var cuts [][]byte
	for range 1 + rng.IntN(30) {
		cut := bytes.Clone(rows[rng.IntN(len(rows))].Key)
		switch rng.IntN(3) {
		case 0:
			cut = append(cut, 0)
		case 1:
			cut[len(cut)-1]--
		}
		cuts = append(cuts, cut)
	}
	sort.Slice(cuts, func(i, j int) bool { return bytes.Compare(cuts[i], cuts[j]) < 0 })
	var spans []iterator.Span
	from := []byte(nil)
	for _, cut := range cuts {
		if rng.IntN(2) == 0 && bytes.Compare(from, cut) < 0 {
			spans = append(spans, iterator.Span{Lo: from, Hi: cut})
		}
		from = cut
	}
	if rng.IntN(2) == 0 {
		spans = append(spans, iterator.Span{Lo: from})
	}
	return spans
}

func TestMaskedReadsNoMoreThanOneRowOfASpan(t *testing.T) {
	rows := itertest.Rows(60, 3)
	spans := []iterator.Span{{Lo: rows[10].Key, Hi: rows[30].Key}, {Lo: rows[30].Key, Hi: rows[50].Key}}
	below := &touched{Iterator: iterator.NewSlice(rows)}
	it := iterator.NewMasked(below, spans)
	inside := func() (n int) {
		for _, k := range below.keys {
			if k >= string(rows[10].Key) && k < string(rows[50].Key) {
				n++
			}
		}
		below.keys = nil
		return n
	}
	for ok := it.First(); ok; ok = it.Next() {
	}
	require.Equal(t, 1, inside(), "a walk sees the row that it runs into")
	for ok := it.Last(); ok; ok = it.Prev() {
	}
	require.Equal(t, 1, inside())
	for _, at := range []int{10, 20, 30, 49} {
		require.True(t, it.SeekGE(rows[at].Key))
		require.Equal(t, rows[50].Key, it.Key())
		require.True(t, it.SeekLT(rows[at+1].Key))
		require.Equal(t, rows[9].Key, it.Key())
	}
	require.Zero(t, inside(), "a seek goes straight to the end of the spans")

	open := iterator.NewMasked(below, []iterator.Span{{Hi: rows[20].Key}, {Lo: rows[40].Key}})
	moves := below.moves
	require.False(t, open.SeekLT(rows[20].Key))
	require.False(t, open.SeekLT(nil), "no key is before the empty one")
	require.False(t, open.SeekGE(rows[40].Key))
	require.LessOrEqual(t, below.moves-moves, 1, "a seek without a result must not touch the rows")
	require.True(t, open.First())
	require.Equal(t, rows[20].Key, open.Key())
	require.True(t, open.Last())
	require.Equal(t, rows[39].Key, open.Key())
	for _, k := range below.keys {
		require.GreaterOrEqual(t, k, string(rows[20].Key))
		require.Less(t, k, string(rows[40].Key))
	}
}

func TestMaskedStopsAtAnError(t *testing.T) {
	rows := itertest.Rows(30, 4)
	run := cut(rows, 10)
	run.failOpen = 1
	it := iterator.NewMasked(run.iter(), []iterator.Span{{Lo: rows[5].Key, Hi: rows[12].Key}})
	require.True(t, it.SeekGE(rows[4].Key))
	require.False(t, it.Next())
	requireStuck(t, it)
	require.Zero(t, run.open)
}
