package iterator_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/iterator/itertest"
)

// The same iterators are used over other rows again and again: nothing of what was
// before may show.
func TestAnIteratorThatIsResetIsANewOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var concat iterator.Concat
	var merge iterator.Merge
	var bounded iterator.Bounded
	var live iterator.Live
	for range 300 {
		rows := itertest.Rows(1+rng.IntN(60), rng.Uint64())
		var inputs []iterator.Iterator
		concat.Reset(halves{rows[:len(rows)/2], rows[len(rows)/2:]})
		inputs = append(inputs, &concat)
		for range rng.IntN(4) {
			inputs = append(inputs, iterator.NewSlice(rows[rng.IntN(len(rows)):]))
		}
		merge.Reset(inputs)
		bound := func() []byte {
			switch rng.IntN(4) {
			case 0:
				return nil
			case 1:
				return []byte{}
			}
			return bytes.Clone(rows[rng.IntN(len(rows))].Key)
		}
		lower, upper := bound(), bound()
		bounded.Reset(&merge, lower, upper)
		live.Reset(&bounded, nil)
		var want []iterator.Row
		for _, r := range rows {
			if r.Kind == iterator.Set && bytes.Compare(r.Key, lower) >= 0 && (upper == nil || bytes.Compare(r.Key, upper) < 0) {
				want = append(want, r)
			}
		}
		var got []iterator.Row
		for ok := live.First(); ok; ok = live.Next() {
			got = append(got, iterator.Row{Key: bytes.Clone(live.Key()), Kind: live.Kind(), Value: bytes.Clone(live.Value())})
			if rng.IntN(100) == 0 {
				want = want[:len(got)] // closed in the middle
				break
			}
		}
		require.Equal(t, len(want), len(got), "[%q, %q)", lower, upper)
		for i := range want {
			require.Equal(t, string(want[i].Key), string(got[i].Key))
			require.Equal(t, string(want[i].Value), string(got[i].Value))
		}
		require.NoError(t, live.Close())
	}
}

// halves are two tables, of which one may be empty.
type halves [2][]iterator.Row

func (h halves) alive() (tables [][]iterator.Row) {
	for _, rows := range h {
		if len(rows) > 0 {
			tables = append(tables, rows)
		}
	}
	return tables
}

func (h halves) Len() int { return len(h.alive()) }

func (h halves) Bounds(i int) (smallest, largest []byte) {
	rows := h.alive()[i]
	return rows[0].Key, rows[len(rows)-1].Key
}

func (h halves) Open(i int) (iterator.Iterator, error) { return iterator.NewSlice(h.alive()[i]), nil }
