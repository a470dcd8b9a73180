package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// beside is an iterator beside a list of the rows that it should give.
type beside struct {
	it    *Iterator
	keys  []string
	want  map[string]string
	at    int
	rng   Range
	name  string
	valid bool
	last  string // what it did last
}

// awkwardKey makes keys that begin alike, or differ in what an eight-byte head does not show.
func awkwardKey(rng *rand.Rand) []byte {
	alpha := []byte{0, 0, 'a', 'b', 0xff}
	n := 1 + rng.IntN(12)
	if rng.IntN(3) == 0 {
		n = 8 + rng.IntN(3)
	}
	k := make([]byte, n)
	for i := range k {
		k[i] = alpha[rng.IntN(len(alpha))]
	}
	if rng.IntN(3) > 0 { // many alike
		for i := range min(n, 7) {
			k[i] = 'a'
		}
	}
	return k
}

// step moves it at random, and finds what the list has there.
func (x *beside) step(t *testing.T, rng *rand.Rand, ctx string) {
	ok := false
	n := rng.IntN(24)
	if !x.valid && n >= 6 {
		n = rng.IntN(6)
	}
	what := ""
	switch {
	case n == 0:
		ok, x.at, what = x.it.First(), 0, "first"
	case n == 1:
		ok, x.at, what = x.it.Last(), len(x.keys)-1, "last"
	case n < 6:
		k := awkwardKey(rng)
		if len(x.keys) > 0 && rng.IntN(2) == 0 {
			k = []byte(x.keys[rng.IntN(len(x.keys))])
			switch rng.IntN(4) {
			case 0:
				k = append(k, 0)
			case 1:
				if len(k) > 1 {
					k = k[:len(k)-1]
				}
			}
		}
		if rng.IntN(20) == 0 {
			k = nil
		}
		if n < 4 {
			ok, x.at, what = x.it.SeekGE(k), sort.SearchStrings(x.keys, string(k)), fmt.Sprintf("seekge %q", k)
		} else {
			ok, x.at, what = x.it.SeekLT(k), sort.SearchStrings(x.keys, string(k))-1, fmt.Sprintf("seeklt %q", k)
		}
	case n < 15:
		ok, x.at, what = x.it.Next(), x.at+1, "next"
	default:
		ok, x.at, what = x.it.Prev(), x.at-1, "prev"
	}
	require.NoError(t, x.it.Error(), ctx)
	want := x.at >= 0 && x.at < len(x.keys)
	require.Equal(t, want, ok, "%s: %s %s row %d of %d after %s range %q", ctx, x.name, what, x.at, len(x.keys), x.last, x.rng)
	x.valid = ok
	if ok {
		require.Equal(t, x.keys[x.at], string(x.it.Key()), "%s %s %s after %s", ctx, x.name, what, x.last)
		require.Equal(t, x.want[x.keys[x.at]], string(x.it.Value()), "%s %s %s key %q", ctx, x.name, what, x.keys[x.at])
	}
	x.last = what
}

// Forks and snapshots with keys of every awkward shape are walked by iterators that stay open, while weaves
// of any scope are made and go again, runs are merged, and the store is closed and opened. All are
// at each step where a sorted list of the rows says.
func TestIteratorsAgreeWithListsWhateverIsWoven(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	made, walked := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			a, b := weaveAndWalk(t, seed)
			made, walked = made+a, walked+b
		})
	}
	require.Greater(t, made, 20*int(seeds))
	require.Greater(t, walked, 100*int(seeds))
}

// weaveAndWalk is one history. It gives how many weaves were made, and how many iterators walked
// through one.
func weaveAndWalk(t *testing.T, seed uint64) (made, walked int) {
	rng := rand.New(rand.NewPCG(seed, 77))
	tb := int64(300) << rng.IntN(6)
	m := newMarking(t, tb)
	s := m.s
	want := map[string]map[string]string{MainFork: {}}
	snaps := map[string]map[string]string{}
	var iters []*beside
	nextName := 0
	names := func() []string { return slices.Sorted(maps.Keys(want)) }
	open := func() {
		all := names()
		name := all[rng.IntN(len(all))]
		w := want[name]
		r := Range{}
		if rng.IntN(3) == 0 {
			lo, hi := awkwardKey(rng), awkwardKey(rng)
			if bytes.Compare(lo, hi) > 0 {
				lo, hi = hi, lo
			}
			if rng.IntN(3) > 0 {
				r.Lower = lo
			}
			if rng.IntN(3) > 0 {
				r.Upper = hi
			}
		}
		var it *Iterator
		var err error
		if len(snaps) > 0 && rng.IntN(4) == 0 {
			sn := slices.Sorted(maps.Keys(snaps))
			name = sn[rng.IntN(len(sn))]
			w = snaps[name]
			x, e := s.Snapshot(name)
			require.NoError(t, e)
			it, err = x.NewIter(r)
		} else {
			it, err = m.fork(name).NewIter(r)
		}
		if err != nil {
			require.ErrorContains(t, err, "bound")
			return
		}
		x := &beside{it: it, want: maps.Clone(w), at: -1, rng: r, name: name}
		for k := range w {
			if (r.Lower == nil || k >= string(r.Lower)) && (r.Upper == nil || k < string(r.Upper)) {
				x.keys = append(x.keys, k)
			}
		}
		sort.Strings(x.keys)
		if it.stack.usedWovens > 0 {
			walked++
		}
		iters = append(iters, x)
	}
	weave := func() {
		room := s.opts.TableCacheBytes
		if rng.IntN(3) == 0 {
			s.opts.TableCacheBytes = weaveShare * weaveBytesARow * int64(20+rng.IntN(400))
		}
		var all []*flat
		s.mu.Lock()
		for _, f := range s.mu.flats {
			all = append(all, f)
		}
		s.mu.Unlock()
		slices.SortFunc(all, func(a, b *flat) int { return int(a.node.ID) - int(b.node.ID) })
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, f := range all {
			if f.weave.Load() != nil || rng.IntN(3) == 0 {
				continue
			}
			s.mu.Lock()
			if f.refs == 0 {
				s.mu.Unlock()
				continue
			}
			v := s.viewOfFlatLocked(f)
			s.mu.Unlock()
			require.NoError(t, s.makeWeave(v))
			if f.weave.Load() != nil {
				made++
			}
			v.release()
		}
		s.opts.TableCacheBytes = room
		require.NoError(t, s.Settle())
		require.NoError(t, s.Verify())
	}
	opt := []WriteOption{NoSync}
	for step := range 80 {
		ctx := fmt.Sprint("seed ", seed, " step ", step)
		all := names()
		name := all[max(0, len(all)-1-rng.IntN(4))]
		if rng.IntN(4) == 0 {
			name = all[rng.IntN(len(all))]
		}
		f, rows := m.fork(name), want[name]
		count := 1 + rng.IntN(30)
		if rng.IntN(10) == 0 {
			count = 200
		}
		keys := slices.Sorted(maps.Keys(rows))
		for range count {
			k := awkwardKey(rng)
			if len(keys) > 0 && rng.IntN(2) == 0 {
				k = []byte(keys[rng.IntN(len(keys))])
			}
			switch n := rng.IntN(32); {
			case n == 0:
				hi := append(bytes.Clone(k), 0)
				if rng.IntN(2) == 0 {
					hi = awkwardKey(rng)
				}
				if bytes.Compare(k, hi) > 0 {
					k, hi = hi, k
				}
				if rng.IntN(60) == 0 {
					k = nil
				}
				require.NoError(t, f.DeleteRange(k, hi, opt...))
				maps.DeleteFunc(rows, func(x, _ string) bool { return x >= string(k) && x < string(hi) })
			case n < 11:
				require.NoError(t, f.Delete(k, opt...))
				delete(rows, string(k))
			default:
				v := fmt.Sprint("v", step, "-", rng.IntN(1000))
				require.NoError(t, f.Set(k, []byte(v), opt...))
				rows[string(k)] = v
			}
		}
		if len(want) < 14 {
			child := fmt.Sprintf("f%03d", nextName)
			nextName++
			_, err := f.Fork(child)
			require.NoError(t, err)
			want[child] = maps.Clone(rows)
		}
		if rng.IntN(6) == 0 {
			sn := fmt.Sprintf("s%03d", nextName)
			nextName++
			_, err := f.Snapshot(sn)
			require.NoError(t, err)
			snaps[sn] = maps.Clone(rows)
		}
		if len(want) > 5 && rng.IntN(5) == 0 {
			victim := all[rng.IntN(len(all))]
			if victim != MainFork {
				require.NoError(t, m.fork(victim).Drop())
				delete(want, victim)
			}
		}
		switch n := rng.IntN(30); {
		case n < 12:
			require.NoError(t, s.Flush())
		case n == 12:
			require.NoError(t, s.Compact())
		case n == 13:
			require.NoError(t, s.Settle())
		case n == 14 && step > 20:
			for _, x := range iters {
				require.NoError(t, x.it.Close())
			}
			iters = nil
			m.reopen(tb)
			s = m.s
		}
		for range 3 {
			open()
		}
		if rng.IntN(2) == 0 {
			weave()
		}
		for range 2 {
			open()
		}
		for _, x := range iters {
			for range 30 {
				x.step(t, rng, ctx)
			}
		}
		for len(iters) > 12 {
			i := rng.IntN(len(iters))
			require.NoError(t, iters[i].it.Close())
			iters = slices.Delete(iters, i, i+1)
		}
	}
	for _, x := range iters {
		require.NoError(t, x.it.Close())
	}
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	return made, walked
}
