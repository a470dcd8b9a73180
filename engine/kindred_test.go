package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/stretchr/testify/require"
)

// kindred makes forks of one another over a base of many tables, at random, with deletes
// and range deletes, and looks at them every 20 steps. A step writes up to writes rows,
// and one in flushes ends with a flush. Some end with merges.
func (m *marking) kindred(rng *rand.Rand, writes, flushes int, look func()) {
	for k := 0; k < 300; k += 2 {
		key, value := fmt.Sprintf("k%03d", k), fmt.Sprintf("%0200d", k)
		require.NoError(m, m.fork(MainFork).Set([]byte(key), []byte(value), NoSync))
		m.want[MainFork][key] = value
	}
	m.flush()
	names := []string{MainFork}
	for step := range 60 {
		name := names[len(names)-1-rng.IntN(min(3, len(names)))]
		f, rows := m.fork(name), m.want[name]
		for range 1 + rng.IntN(writes) {
			k := fmt.Sprintf("k%03d", rng.IntN(300))
			switch n := rng.IntN(16); {
			case n == 0:
				require.NoError(m, f.DeleteRange([]byte(k), []byte(k+"x")))
				delete(rows, k)
			case n < 4:
				require.NoError(m, f.Delete([]byte(k)))
				delete(rows, k)
			default:
				v := fmt.Sprint("v", step)
				require.NoError(m, f.Set([]byte(k), []byte(v)))
				rows[k] = v
			}
		}
		if len(names) < 30 {
			child := fmt.Sprint("f", len(names))
			m.makeFork(name, child)
			names = append(names, child)
		}
		switch {
		case rng.IntN(flushes) == 0:
			m.flush()
		case rng.IntN(30) == 0:
			require.NoError(m, m.s.Compact())
		}
		if step%20 == 19 {
			look()
		}
	}
}

// requireKindred looks up in each fork of kindred what it has and what it has not, which
// makes their views.
func (m *marking) requireKindred() {
	m.Helper()
	for name, rows := range m.want {
		for k := range 300 {
			key := fmt.Sprintf("k%03d", k)
			got, err := m.fork(name).Get([]byte(key))
			if value, ok := rows[key]; ok {
				require.NoError(m, err, "%s of %s", key, name)
				require.Equal(m, value, string(got), "%s of %s", key, name)
			} else {
				require.ErrorIs(m, err, ErrNotFound, "%s of %s is %q", key, name, got)
			}
		}
	}
}

// flatsInOrder are all flats that views use, from the oldest on, or in any order.
func (m *marking) flatsInOrder(rng *rand.Rand) []*flat {
	all := slices.SortedFunc(maps.Keys(m.flats()), func(a, b *flat) int { return cmp.Compare(a.node.ID, b.node.ID) })
	if rng != nil {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return all
}

// forgetViews lets go of the views of all forks, and with them of all flats.
func (m *marking) forgetViews() {
	for name := range m.want {
		f := m.fork(name).inTree()
		m.s.mu.Lock()
		m.s.forgetForkViewLocked(f)
		m.s.mu.Unlock()
	}
	require.Empty(m, m.flats())
}
