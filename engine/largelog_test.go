package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Memtables of many rows are not filled row by row when a store opens. What comes out
// must be the same: for who reads, who forks, and who goes on writing.
func TestALargeLogIsRecoveredAsItWas(t *testing.T) {
	const rows = 4000
	fs := crashfs.New()
	o := &Options{FS: fs, Manual: true, MemtableBytes: 1 << 30}
	s, err := Open("/db", o)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(3, 3))
	write := func(s *Store, r *rand.Rand) {
		b := s.NewBatch()
		for i := range rows {
			for _, name := range s.forkNames(t) {
				f, err := s.Fork(name)
				require.NoError(t, err)
				n := r.IntN(2 * rows)
				key := fmt.Appendf(nil, "row-%05d", n)
				switch x := r.IntN(1000); {
				case x < 100:
					b.Delete(f, key)
				case x == 100 && name != MainFork:
					b.DeleteRange(f, key, fmt.Appendf(nil, "row-%05d", n+r.IntN(200)))
				default:
					b.Set(f, key, fmt.Appendf(nil, "%s %d", name, i))
				}
			}
			if i%7 == 0 {
				require.NoError(t, b.Commit(NoSync))
			}
		}
		require.NoError(t, b.Commit())
	}
	write(s, r)
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	_, err = f.Fork("child")
	require.NoError(t, err)
	write(s, r)

	o.FS = fs.AfterKill()
	again, err := Open("/db", o)
	require.NoError(t, err)
	equal := func() {
		for _, name := range s.forkNames(t) {
			require.Equal(t, s.rowsOf(t, name), again.rowsOf(t, name), name)
		}
		require.NoError(t, again.Verify())
	}
	equal()
	write(s, rand.New(rand.NewPCG(4, 4)))
	write(again, rand.New(rand.NewPCG(4, 4)))
	equal()
	require.NoError(t, again.Flush())
	equal()
	require.NoError(t, again.Close())
	require.NoError(t, s.Close())
}

func (s *Store) forkNames(t *testing.T) []string {
	if _, err := s.Fork("child"); err != nil {
		return []string{MainFork}
	}
	return []string{MainFork, "child"}
}

// rowsOf gives what a scan of a fork finds, and asks for each row once more.
func (s *Store) rowsOf(t *testing.T, name string) (rows []string) {
	f, err := s.Fork(name)
	require.NoError(t, err)
	it, err := f.NewIter(Range{})
	require.NoError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		rows = append(rows, fmt.Sprintf("%s=%s", it.Key(), it.Value()))
		got, err := f.Get(it.Key())
		require.NoError(t, err)
		require.Equal(t, string(it.Value()), string(got))
	}
	require.NoError(t, it.Close())
	return rows
}
