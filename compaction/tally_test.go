package compaction

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// The tally is there to catch a merge that loses rows; here it watches some.
func TestTheTallyCatchesAMergeThat(t *testing.T) {
	type inputs = []iterator.Iterator
	for _, c := range []struct {
		name  string
		merge func(t *tally, in inputs)
		want  string // "" if nothing is wrong
	}{
		{"does everything right", func(t *tally, in inputs) {
			in[1].Next() // a of the older input gives way
			t.lead(0, []byte("a"))
			in[0].Next()
			t.lead(0, []byte("b"))
			in[0].Next()
			t.lead(1, []byte("c"))
			in[1].Next()
		}, ""},
		{"loses a row", func(t *tally, in inputs) {
			in[1].Next()
			t.lead(0, []byte("a"))
			in[0].Next()
			in[0].Next() // b was not seen
			t.lead(1, []byte("c"))
		}, "is stepped over"},
		{"loses two rows at once", func(_ *tally, in inputs) {
			in[0].Next()
			in[0].Next()
		}, "stepped over together"},
		{"prefers the older row", func(t *tally, in inputs) {
			in[0].Next()
			t.lead(1, []byte("a"))
		}, "gives way"},
		{"sees a row twice", func(t *tally, _ inputs) {
			t.lead(0, []byte("a"))
			t.lead(0, []byte("a"))
		}, "seen twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := newTally(iterators(
				[]iterator.Row{set("a", "1"), set("b", "2")},
				[]iterator.Row{set("a", "3"), set("c", "4")},
			))
			in := tl.iterators()
			for _, it := range in {
				it.First()
			}
			defer func() {
				broken, ok := recover().(invariant.Violation)
				require.Equal(t, c.want != "", ok)
				require.Contains(t, string(broken), c.want)
			}()
			c.merge(tl, in)
			require.Equal(t, uint64(4), tl.rows())
			require.Equal(t, uint64(1), tl.shadowed)
		})
	}
}
