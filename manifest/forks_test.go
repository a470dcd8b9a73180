package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

// plainForks is a set of forks as one would write it without thinking of memory.
type plainForks map[ids.ForkID]Fork

func (p plainForks) byID() []Fork {
	return slices.SortedFunc(maps.Values(p), func(a, b Fork) int { return cmp.Compare(a.ID, b.ID) })
}

func (p plainForks) byName() []Fork {
	return slices.SortedFunc(maps.Values(p), func(a, b Fork) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

func requireSame(t *testing.T, p plainForks, set *Forks) {
	t.Helper()
	require.Equal(t, len(p), set.Len())
	require.Equal(t, p.byID(), slices.Collect(set.All()))
	require.Equal(t, p.byName(), set.Names("", "", -1))
	for id, f := range p {
		got, ok := set.Get(id)
		require.True(t, ok)
		require.Equal(t, f, got)
		require.Equal(t, uint32(id)*3, set.Note(id), "a note goes with its fork")
	}
}

func randomName(random *rand.Rand) string {
	switch random.IntN(4) {
	case 0:
		return fmt.Sprintf("run-%06d", random.IntN(2000))
	case 1:
		return strings.Repeat("a", random.IntN(128)) + fmt.Sprint(random.IntN(3))
	default:
		return fmt.Sprintf("%x", random.Uint64()>>random.IntN(60))
	}
}

func TestForksAreTheSameAsAMapOfThem(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		set, plain := &Forks{}, plainForks{}
		id := ids.ForkID(0)
		for phase := range 6 {
			for range 1500 {
				switch k := random.IntN(10); {
				case k < 6 && phase%2 == 0 || k < 2 || len(plain) == 0:
					id += 1 + ids.ForkID(random.IntN(3))
					f := Fork{ID: id, Name: randomName(random), Parent: id / 2, Top: ids.NodeID(id) * 7, Memtable: ids.NodeID(id) * 8, CreatedUnixNano: -int64(id), CreatedLSN: ids.LSN(id)}
					if taken := set.HasName(f.Name); taken || random.IntN(2) == 0 {
						set.Put(f)
						set.SetNote(id, uint32(id)*3)
					} else { // something may come between the question and the fork
						if set.Len() > 0 && random.IntN(3) == 0 {
							other := anyFork(random, set)
							require.True(t, set.Drop(other))
							delete(plain, other)
						}
						if random.IntN(3) == 0 {
							set.HasName(randomName(random))
						}
						set.Add(f, uint32(id)*3)
						set.Settle(id)
					}
					plain[id] = f
				case k < 8:
					gone := anyFork(random, set)
					if random.IntN(2) == 0 {
						require.True(t, set.Drop(gone))
					} else {
						set.SetNote(gone, 0)
						mark := random.IntN(2) == 0
						if mark {
							set.Owe(gone)
						} else {
							set.Settle(gone)
						}
						top, owed, ok := set.Take(gone)
						require.True(t, ok)
						require.Equal(t, mark, owed)
						require.Equal(t, plain[gone].Top, top)
					}
					require.False(t, set.Drop(gone))
					_, _, ok := set.Take(gone)
					require.False(t, ok)
					delete(plain, gone)
				case k < 9:
					f := plain[anyFork(random, set)]
					f.Name = randomName(random)
					set.Put(f)
					plain[f.ID] = f
				default:
					f := plain[anyFork(random, set)]
					f.Top, f.Memtable = f.Top+1, f.Memtable+1
					set.Repoint(f.ID, f.Top, f.Memtable)
					plain[f.ID] = f
				}
			}
			requireSame(t, plain, set)
			clone := set.Clone()
			clone.Put(Fork{ID: 1 << 40, Name: "of the clone"})
			clone.Drop(anyFork(random, clone))
			requireSame(t, plain, set)
		}
		for len(plain) > 0 {
			gone := anyFork(random, set)
			require.True(t, set.Drop(gone))
			delete(plain, gone)
		}
		requireSame(t, plain, set)
		require.LessOrEqual(t, len(set.chunks), 2, "the memory of what is dropped is given back")
		require.Empty(t, set.byID.pages)
		require.Empty(t, set.byName.pages)
	}
}

func anyFork(random *rand.Rand, set *Forks) ids.ForkID {
	return set.record(uint32(random.IntN(set.Len()))).id
}

func TestForksAreListedInPortions(t *testing.T) {
	set, plain := &Forks{}, plainForks{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		f := Fork{ID: ids.ForkID(2*i + 1), Parent: ids.ForkID(i), Name: fmt.Sprintf("%c-%04d", 'a'+rune(i%3), random.IntN(1e4)*2000+i)}
		set.Put(f)
		plain[f.ID] = f
	}
	var byID []Fork
	for after := ids.ForkID(0); ; {
		some := set.After(after, 7)
		if len(some) == 0 {
			break
		}
		byID = append(byID, some...)
		after = some[len(some)-1].ID + ids.ForkID(len(byID)%2) // between two ids, too
	}
	require.Equal(t, plain.byID(), byID)

	var tops int
	for after, more := ids.ForkID(0), true; more; {
		after, more = set.Tops(after, 9, func(ids.NodeID) { tops++ })
	}
	require.Equal(t, 2000, tops)

	byID = byID[:0]
	for after, more := ids.ForkID(0), true; more; {
		after, more = set.Parents(after, 9, func(id, parent ids.ForkID) {
			require.Equal(t, plain[id].Parent, parent)
			byID = append(byID, plain[id])
		})
	}
	require.Equal(t, plain.byID(), byID)

	for _, prefix := range []string{"", "a-", "b-", "b-1", "c", "d", "b-12345678901234567890"} {
		want := slices.DeleteFunc(plain.byName(), func(f Fork) bool { return !strings.HasPrefix(f.Name, prefix) })
		var got []Fork
		for after := ""; ; {
			some := set.Names(prefix, after, 11)
			if len(some) == 0 {
				break
			}
			require.LessOrEqual(t, len(some), 11)
			got = append(got, some...)
			after = some[len(some)-1].Name
		}
		require.Equal(t, len(want), len(got), "prefix %q", prefix)
		if len(want) > 0 {
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, plain.byName()[0].Name, set.Names("a", "A", 1)[0].Name, "the start may lie before the prefix")
	require.Empty(t, set.Names("a", "b", 1), "or behind it")
}

func TestForksFindNames(t *testing.T) {
	set := forksOf(Fork{ID: 3, Name: "b"}, Fork{ID: 1, Name: "bb"}, Fork{ID: 2, Name: "a"})
	for _, name := range []string{"a", "b", "bb"} {
		f, ok := set.Named(name)
		require.True(t, ok)
		require.Equal(t, name, f.Name)
	}
	for _, name := range []string{"", "aa", "bbb", "c", strings.Repeat("b", 300)} {
		_, ok := set.Named(name)
		require.False(t, ok, name)
	}
	set.Put(Fork{ID: 4, Name: "b"}) // in the middle of a transaction
	f, _ := set.Named("b")
	require.Equal(t, ids.ForkID(3), f.ID)
	a, b, ok := set.Namesakes()
	require.True(t, ok)
	require.Equal(t, []ids.ForkID{3, 4}, []ids.ForkID{a.ID, b.ID})
	set.Put(Fork{ID: 3, Name: "free"})
	f, _ = set.Named("b")
	require.Equal(t, ids.ForkID(4), f.ID)
	_, _, ok = set.Namesakes()
	require.False(t, ok)
}

func TestNoForksAreAnEmptySet(t *testing.T) {
	var none *Forks
	for _, set := range []*Forks{none, {}, none.Clone(), (&Forks{}).Clone()} {
		require.Zero(t, set.Len())
		_, ok := set.Get(1)
		require.False(t, ok)
		_, ok = set.Named("a")
		require.False(t, ok)
		require.False(t, set.Drop(1))
		require.Empty(t, set.After(0, 9))
		require.Empty(t, set.Names("", "", 9))
		require.Empty(t, slices.Collect(set.All()))
	}
}
