package engine_test

import (
	"fmt"
	"path"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// The disk takes the new table and will not give it back. The old ones must not go for
// it, whoever marks rows of them.
func TestAMergeWhoseTableCannotBeReadLeavesTheOldOnes(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	s := open(t, "/db", &engine.Options{FS: faults, Manual: true})
	f := fork(t, s, engine.MainFork)
	want := map[string]string{}
	for range 2 {
		for i := range 300 {
			k, v := fmt.Sprintf("k%05d", i), fmt.Sprintf("%0100d", i+len(want))
			require.NoError(t, f.Set([]byte(k), []byte(v)))
			want[k] = v
		}
		require.NoError(t, s.Flush())
	}
	agent, err := f.Fork("agent")
	require.NoError(t, err)
	require.NoError(t, agent.Delete([]byte("k00007")))
	require.NoError(t, s.Flush())

	var before []string
	for _, name := range disk.Names() {
		before = append(before, path.Base(name))
	}
	isNew := func(name string) bool { return isTable(name) && !slices.Contains(before, path.Base(name)) }
	faults.Inject(faultfs.Rule{Op: faultfs.OpRead, Match: isNew, Err: syscall.EIO, Sticky: true})
	require.ErrorIs(t, s.Compact(), syscall.EIO)
	require.NoError(t, same(f, want), "the old tables are read")
	require.Zero(t, s.Stats().Merges)
	faults.Clear()

	require.NoError(t, s.Verify(), "the new table is gone")
	require.NoError(t, s.Compact())
	require.NotZero(t, s.Stats().Merges)
	require.NoError(t, same(f, want))
	delete(want, "k00007")
	require.NoError(t, same(agent, want))
	require.NoError(t, s.Verify())
	require.NoError(t, s.Close())
}
