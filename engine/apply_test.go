package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/wal"
)

// logStore opens a store that does nothing by itself, and gives a way to read what a
// restart makes of a fork's log.
func logStore(t *testing.T) (*Fork, func(f *Fork) map[string]string) {
	fs := crashfs.New()
	s, err := Open("/db", &Options{FS: fs, Manual: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	return f, func(f *Fork) map[string]string {
		t.Helper()
		require.NoError(t, s.Verify())
		again, err := Open("/db", &Options{FS: fs.PowerLossAll(), Manual: true})
		require.NoError(t, err)
		defer again.Close()
		require.NoError(t, again.Verify())
		f, err = again.Fork(f.Name())
		require.NoError(t, err)
		return contentOf(t, f)
	}
}

func contentOf(t *testing.T, f *Fork) map[string]string {
	content := map[string]string{}
	rows, failed := f.Scan(Range{})
	for key, value := range rows {
		content[string(key)] = string(value)
	}
	require.NoError(t, failed())
	return content
}

// Rows go into a memtable by groups, and a range delete stands somewhere among them:
// first, last, where a group ends, or beside another one.
func TestBatchesOfAnyLengthAreAppliedInTheirOrder(t *testing.T) {
	const group = memtable.GroupRows
	for _, n := range []int{0, 1, 2, group - 1, group, group + 1, 2 * group, 2*group + 5} {
		for _, ranges := range [][]int{nil, {0}, {n / 2}, {n}, {group}, {group, 2 * group}, {1, 1, 2}, {group - 1, group + 1}} {
			t.Run(fmt.Sprintf("%d rows with range deletes before %v", n, ranges), func(t *testing.T) {
				f, replayed := logStore(t)
				b := f.s.NewBatch()
				want := map[string]string{}
				for round := range 3 { // the second one writes over the first, the third lies above
					rangesAt := func(i int) {
						for _, at := range ranges {
							if at == i && i <= n {
								b.DeleteRange(f, fmt.Appendf(nil, "%06d", round/2*1000+i-min(i, 3)), fmt.Appendf(nil, "%06d", round/2*1000+i+1))
								for j := i - min(i, 3); j <= i; j++ {
									delete(want, fmt.Sprintf("%06d", round/2*1000+j))
								}
							}
						}
					}
					for i := range n {
						rangesAt(i)
						key := fmt.Sprintf("%06d", round/2*1000+i)
						if i%7 == 6 {
							b.Delete(f, []byte(key))
							delete(want, key)
							continue
						}
						want[key] = fmt.Sprintf("%d of round %d", i, round)
						b.Set(f, []byte(key), []byte(want[key]))
					}
					rangesAt(n)
					require.NoError(t, b.Commit())
					require.Equal(t, want, contentOf(t, f))
				}
				require.Equal(t, want, replayed(f))
			})
		}
	}
}

func TestOperationsThatAreCutShortAreAnError(t *testing.T) {
	var ops []byte
	for i := range 2 * memtable.GroupRows {
		ops = wal.AppendOp(ops, iterator.Set, fmt.Appendf(nil, "%06d", i), []byte("value"))
	}
	one := len(ops) / (2 * memtable.GroupRows)
	for _, end := range []int{1, one - 1, one + 1, 2*one - 1, memtable.GroupRows*one + 1, len(ops) - 1} {
		require.ErrorIs(t, applyOps(memtable.New(), 1, ops[:end]), wal.ErrBadPayload, "%d bytes", end)
	}
	m := memtable.New()
	require.NoError(t, applyOps(m, 1, ops))
	require.Equal(t, 2*memtable.GroupRows, m.Len())
}

// The operations of a batch go from the batch into the log's buffer: the store's own room
// for a payload holds the front of the record only.
func TestABatchIsNotCopiedOnItsWayToTheLog(t *testing.T) {
	f, replayed := logStore(t)
	other, err := f.Fork("other")
	require.NoError(t, err)
	b := f.s.NewBatch()
	for round := range 2 { // a batch is used again
		for i := range 600 {
			b.Set([]*Fork{f, other}[i%2], fmt.Appendf(nil, "%06d", i*(round+1)), make([]byte, 40))
		}
		require.Greater(t, b.Bytes(), 32<<10)
		require.NoError(t, b.Commit())
		f.s.mu.Lock()
		require.Less(t, cap(f.s.mu.scratch), 1<<10)
		f.s.mu.Unlock()
	}
	for _, x := range []*Fork{f, other} {
		content := contentOf(t, x)
		require.Greater(t, len(content), 300)
		require.Equal(t, content, replayed(x))
	}
}
