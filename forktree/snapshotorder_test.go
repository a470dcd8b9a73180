package forktree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// Snapshots come, go and are renamed, in order and out of it; every page of every list is
// compared with that of a sorted list of the names.
func TestSnapshotsAreFoundByNameAndListedInOrder(t *testing.T) {
	for _, order := range []string{"rising", "falling", "any"} {
		t.Run(order, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			tree := New()
			var names []string
			next := ids.SnapshotID(1)
			check := func() {
				require.NoError(t, tree.Verify(nil, nil))
				slices.Sort(names)
				for _, prefix := range []string{"", "s", "s1", "t", "zz"} {
					for _, after := range []string{"", "s", "s2", names[len(names)/2], names[len(names)-1], "zzz"} {
						for _, limit := range []int{0, 1, 7, 1 << 20} {
							var want []string
							for _, name := range names {
								if name > after && strings.HasPrefix(name, prefix) && len(want) < limit {
									want = append(want, name)
								}
							}
							var got []string
							for _, s := range tree.SnapshotsWithPrefix(prefix, after, limit) {
								got = append(got, s.Name)
							}
							require.Equal(t, want, got, "%q after %q, %d", prefix, after, limit)
						}
					}
				}
			}
			for i := range 2000 {
				n := i
				switch order {
				case "falling":
					n = 9999 - i
				case "any":
					n = int(r.Uint32())
				}
				name := fmt.Sprintf("s%010d", n)
				tree.AddSnapshot(&Snapshot{ID: next, Name: name})
				next++
				names = append(names, name)
			}
			if order == "rising" {
				require.Len(t, tree.snapOrder.pages, (2000+snapshotPage-1)/snapshotPage)
			}
			check()
			for _, i := range r.Perm(2000)[:1000] {
				s := tree.SnapshotByName(names[i])
				require.Equal(t, names[i], s.Name)
				names[i] = fmt.Sprintf("t%d", i)
				tree.RenameSnapshot(s, names[i])
			}
			check()
			for len(names) > 3 {
				i := r.IntN(len(names))
				tree.DropSnapshot(tree.SnapshotByName(names[i]))
				require.Nil(t, tree.SnapshotByName(names[i]))
				names = slices.Delete(names, i, i+1)
				if len(names)%250 == 0 {
					check()
				}
			}
			require.LessOrEqual(t, len(tree.snapOrder.pages), 2, "pages that are rather empty are joined")
			check()
		})
	}
}
