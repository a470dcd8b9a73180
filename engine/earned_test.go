package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where tests want it, the first reader makes a weave and a sieve even without workers, and
// without a flush being due; where nobody does, none is made.
func TestReadersMakeWhatTheyEarnedWhereTestsWantIt(t *testing.T) {
	for _, eager := range []bool{false, true} {
		t.Run(fmt.Sprint("eager ", eager), func(t *testing.T) {
			m := newMarking(t, 1<<20)
			walked := 0
			if eager {
				m.s.opts.Schedule = m.s.opts.Schedule.Eager(func() { walked++ })
			}
			for run := range 4 {
				for i := range 200 {
					require.NoError(t, m.fork(MainFork).Set(fmt.Appendf(nil, "k%04d", i), fmt.Append(nil, run), NoSync))
				}
				m.makeFork(MainFork, fmt.Sprint("f", run))
				m.flush()
			}
			m.makeFork(MainFork, "top")
			m.s.opts.MemtableBytes = 1
			require.NoError(t, m.fork("f0").Set([]byte("above all that memory may take"), nil, NoSync))
			read := func() {
				rows, failed := m.fork("top").Scan(Range{})
				n := 0
				for range rows {
					n++
				}
				require.NoError(t, failed())
				require.Equal(t, 200, n)
				for i := range 500 {
					_, err := m.fork("top").Get(fmt.Appendf(nil, "k%04dx", i))
					require.ErrorIs(t, err, ErrNotFound)
				}
			}
			read()
			require.Zero(t, walked)
			read()
			st := m.s.Stats()
			require.Equal(t, eager, st.Weaves > 0)
			require.Equal(t, eager, st.Sieves > 0)
			require.Equal(t, eager, walked > 0)
			require.NoError(t, m.s.Verify())
		})
	}
}
