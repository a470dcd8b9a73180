package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine/memtable"
)

// A node may hold very many range deletes. Their flush does not keep a Close waiting,
// and a flush that gave up says so, not that a table cannot be read.
func TestAFlushOfManyRangesGivesUpWhenAsked(t *testing.T) {
	m := newMarking(t, 1<<20)
	m.layer(MainFork, "abc")
	f := m.fork(MainFork)
	for i := range 1000 {
		require.NoError(t, f.DeleteRange(fmt.Appendf(nil, "a%04d", 2*i), fmt.Appendf(nil, "a%04d", 2*i+1), NoSync))
	}
	v, err := f.acquire()
	require.NoError(t, err)
	defer v.release()
	below := &view{s: m.s, own: v.layers(), dead: v.dead}
	asked, enough := 0, errors.New("enough")
	err = newResolver(below, 0, v.mem).deleteRanges(v.mem.Spans(memtable.MaxLSN), func() error {
		if asked++; asked == 5 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.NotErrorIs(t, err, errRanges)
	m.sound()
}
