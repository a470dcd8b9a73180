package engine_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// tableBytesOn adds up the table files on a disk.
func tableBytesOn(t *testing.T, disk *crashfs.FS) (total uint64) {
	for name := range tableFiles(disk) {
		data, err := disk.ReadFile(path.Join("/db", path.Base(name)))
		require.NoError(t, err)
		total += uint64(len(data))
	}
	return total
}

// Random trees with shared and private tables, several nodes' in one file. Each drop
// must give back what was foretold.
func TestADropFreesWhatWasForetold(t *testing.T) {
	freed, kept, packed := 0, 0, 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		disk := crashfs.New()
		o := small(disk)
		o.TableBytes = 1 << 10
		s := open(t, "/db", o)
		names, snaps := []string{engine.MainFork}, []string{}
		pick := func() *engine.Fork { return fork(t, s, names[rng.IntN(len(names))]) }
		for step := range 60 {
			switch rng.IntN(12) {
			case 0, 1, 2, 3, 4:
				f := pick()
				from, rows := rng.IntN(40), 1+rng.IntN(20)
				for i := from; i < from+rows; i++ {
					require.NoError(t, f.Set(fmt.Appendf(nil, "k%03d", i), fmt.Appendf(nil, "%0150d", rng.Uint64()), engine.NoSync))
				}
			case 5, 6, 7:
				made, err := pick().ForkMany([]string{fmt.Sprintf("f%da", step), fmt.Sprintf("f%db", step)}, engine.NoSync)
				require.NoError(t, err)
				names = append(names, made[0].Name(), made[1].Name())
			case 8:
				name := fmt.Sprintf("s%d", step)
				_, err := pick().Snapshot(name, engine.NoSync)
				require.NoError(t, err)
				snaps = append(snaps, name)
			case 9, 10:
				require.NoError(t, s.Flush())
			case 11:
				require.NoError(t, s.Compact())
			}
		}
		require.NoError(t, s.Flush())
		require.NoError(t, s.Settle())
		for len(names) > 1 || len(snaps) > 0 {
			before := tableBytesOn(t, disk)
			require.NoError(t, s.Verify())
			var sizes engine.TableSizes
			if n := rng.IntN(len(names) + len(snaps)); n < len(names) && len(names) > 1 {
				f := fork(t, s, names[n])
				info, err := f.Info()
				require.NoError(t, err)
				sizes = info.TableSizes
				names = append(names[:n], names[n+1:]...)
				require.NoError(t, f.Drop())
			} else if n -= len(names); n >= 0 {
				h, err := s.Snapshot(snaps[n])
				require.NoError(t, err)
				info, err := h.Info()
				require.NoError(t, err)
				sizes = info.TableSizes
				snaps = append(snaps[:n], snaps[n+1:]...)
				require.NoError(t, h.Drop())
			} else {
				continue
			}
			require.NoError(t, s.Settle())
			require.Equal(t, sizes.FreedBytes, before-tableBytesOn(t, disk), "seed %d", seed)
			require.LessOrEqual(t, sizes.ExclusiveBytes, sizes.ReferencedBytes)
			if sizes.FreedBytes > 0 {
				freed++
			} else {
				kept++
			}
			if sizes.FreedBytes < sizes.ExclusiveBytes {
				packed++
			}
		}
		info, err := fork(t, s, names[0]).Info()
		require.NoError(t, err)
		require.Equal(t, info.ReferencedBytes, info.ExclusiveBytes)
		require.Equal(t, s.Stats().TableBytes, info.ReferencedBytes)
		require.Equal(t, tableBytesOn(t, disk), info.FreedBytes)
		require.NoError(t, s.Close())
	}
	require.Greater(t, freed, 40)
	require.Greater(t, kept, 40)
	require.Greater(t, packed, 10, "some files hold tables of several forks")
}

func TestForksAreListedInPages(t *testing.T) {
	s := open(t, "/db", small(crashfs.New()))
	f := fork(t, s, engine.MainFork)
	want := append(runNames("a-", 25), runNames("b-", 25)...)
	_, err := f.ForkMany(want)
	require.NoError(t, err)
	list := func(o engine.ListOptions) (names []string) {
		for _, info := range s.ListForks(o) {
			names = append(names, info.Name)
		}
		return names
	}
	var paged []string
	after := ""
	for {
		page := list(engine.ListOptions{After: after, Limit: 7})
		require.LessOrEqual(t, len(page), 7)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		after = page[len(page)-1]
	}
	require.Equal(t, append(want[:50:50], engine.MainFork), paged)
	require.Equal(t, want[25:], list(engine.ListOptions{Prefix: "b-"}))
	require.Equal(t, want[35:38], list(engine.ListOptions{Prefix: "b-", After: want[34], Limit: 3}))
	require.Equal(t, want[25:27], list(engine.ListOptions{Prefix: "b-", After: "a", Limit: 2}), "after may be before the prefix")
	require.Empty(t, list(engine.ListOptions{Prefix: "b-", After: "c"}))
	require.Equal(t, want[1:3], list(engine.ListOptions{After: "a-0000x", Limit: 2}), "after need not exist")
	require.Equal(t, s.Forks(), s.ListForks(engine.ListOptions{}))
}
