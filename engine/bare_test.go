package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func queueStore(t *testing.T) (*Store, *Fork) {
	s, err := Open("db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	return s, f
}

func number(i int) []byte { return fmt.Appendf(nil, "%08d", i) }

func firstKey(t *testing.T, f *Fork, backward bool) string {
	it, err := f.NewIter(Range{})
	require.NoError(t, err)
	defer func() { require.NoError(t, it.Close()) }()
	move := it.First
	if backward {
		move = it.Last
	}
	if !move() {
		return ""
	}
	return string(it.Key())
}

// The cost of a seek is what it asks of the skipper: one question for every
// SkipEvery tombstones that it has walked over.
func TestASeekToTheHeadOfAQueueDoesNotWalkOverAllThatWasDeleted(t *testing.T) {
	for _, backward := range []bool{false, true} {
		t.Run(fmt.Sprintf("backward %v", backward), func(t *testing.T) {
			_, f := queueStore(t)
			const rows, live = 40 * iterator.SkipEvery, 10
			at := func(i int) []byte {
				if backward {
					return number(2*rows - i)
				}
				return number(i)
			}
			for i := range live {
				require.NoError(t, f.Set(at(i), nil, NoSync))
			}
			for i := range rows {
				require.NoError(t, f.Set(at(i+live), nil, NoSync))
				require.NoError(t, f.Delete(at(i), NoSync))
				if i%100 == 99 {
					require.Equal(t, string(at(i+1)), firstKey(t, f, backward))
				}
			}
			b := f.shared().bare.known.Load()
			require.NotNil(t, b)
			walked := 0
			for i := range rows {
				if !b.holds(at(i)) {
					walked++
				}
			}
			require.Less(t, walked, 4*iterator.SkipEvery, "tombstones that a seek has to walk over")
		})
	}
}

// Whatever is written, reset, frozen, forked and flushed, a walk with jumps gives
// what a plain model says, also in iterators that were opened before.
func TestBareStretchesHideNothing(t *testing.T) {
	const keys = 3 * iterator.SkipEvery
	jumps := 0
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s, f := queueStore(t)
		model := map[int]bool{}
		type opened struct {
			it   *Iterator
			want map[int]bool
		}
		var held []opened
		var kept *Fork
		var keptModel map[int]bool
		check := func(it *Iterator, want map[int]bool) {
			next := 0
			for ok := it.First(); ok; ok = it.Next() {
				for !want[next] {
					require.Less(t, next, keys)
					next++
				}
				require.Equal(t, string(number(next)), string(it.Key()))
				next++
			}
			require.NoError(t, it.Error())
			for ; next < keys; next++ {
				require.False(t, want[next], "row %d is missing", next)
			}
			last := keys - 1
			for ok := it.Last(); ok; ok = it.Prev() {
				for !want[last] {
					last--
				}
				require.Equal(t, string(number(last)), string(it.Key()))
				last--
			}
			for ; last >= 0; last-- {
				require.False(t, want[last], "row %d is missing", last)
			}
		}
		for i := range keys {
			require.NoError(t, f.Set(number(i), nil, NoSync))
			model[i] = true
		}
		for range 150 {
			switch rng.IntN(10) {
			case 0, 1, 2, 3:
				lo := rng.IntN(keys)
				for i := lo; i < min(keys, lo+2*iterator.SkipEvery); i++ {
					require.NoError(t, f.Delete(number(i), NoSync))
					delete(model, i)
				}
			case 4, 5:
				i := rng.IntN(keys)
				require.NoError(t, f.Set(number(i), nil, NoSync))
				model[i] = true
			case 6:
				it, err := f.NewIter(Range{})
				require.NoError(t, err)
				held = append(held, opened{it, maps.Clone(model)})
			case 7:
				name := fmt.Sprintf("f%d", rng.Uint64())
				c, err := f.Fork(name, NoSync)
				require.NoError(t, err)
				other, was := kept, keptModel
				kept, keptModel = c, maps.Clone(model)
				if other != nil && rng.IntN(2) == 0 {
					require.NoError(t, f.Reset(other, NoSync))
					model = maps.Clone(was)
				}
			case 8:
				if rng.IntN(4) == 0 {
					require.NoError(t, s.Flush())
				}
			case 9:
				for _, h := range held {
					check(h.it, h.want)
					require.NoError(t, h.it.Close())
				}
				held = nil
			}
			it, err := f.NewIter(Range{})
			require.NoError(t, err)
			check(it, model)
			if f.shared().bare.known.Load() != nil {
				jumps++
			}
			require.NoError(t, it.Close())
		}
		for _, h := range held {
			check(h.it, h.want)
			require.NoError(t, h.it.Close())
		}
	}
	require.Greater(t, jumps, 100)
}

// An iterator takes its view first and its LSN then. What is frozen and written in
// between is not in its view, though it is not newer than its LSN: so it must not
// tell others what is bare.
func TestAnIteratorThatHasMissedAWriteKeepsQuiet(t *testing.T) {
	const rows = 4 * iterator.SkipEvery
	var f *Fork
	armed := false
	s, err := Open("db", &Options{FS: crashfs.New(), Manual: true, Schedule: schedule.New(0, func(p schedule.Point) {
		if armed && p == schedule.IteratorOpening {
			armed = false
			_, err := f.Fork("other", NoSync)
			require.NoError(t, err)
			require.NoError(t, f.Set(number(rows/2), nil, NoSync))
		}
	})})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	f, err = s.Fork(MainFork)
	require.NoError(t, err)
	for i := range rows {
		require.NoError(t, f.Delete(number(i), NoSync))
	}
	require.NoError(t, f.Set(number(rows), nil, NoSync))
	armed = true
	firstKey(t, f, false)
	require.False(t, armed)
	require.Equal(t, string(number(rows/2)), firstKey(t, f, false))
	require.Equal(t, string(number(rows/2)), firstKey(t, f, false))
}

// A row that is written behind a walk, where it has found none, is not in what the
// walk makes known.
func TestAWriteDuringAWalkIsNotBare(t *testing.T) {
	for _, c := range []struct {
		name     string
		key      int // written during the walk
		backward bool
		lo, hi   int // what is known then, both -1 for nothing
	}{
		{"behind what it came to", 50, false, 10, 50},
		{"beyond its end", 95, false, 10, 90},
		{"where it began", 10, false, -1, -1},
		{"backward, behind what it came to", 50, true, 51, 91},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f := queueStore(t)
			require.NoError(t, f.Set(number(1), nil, NoSync))
			it, err := f.NewIter(Range{})
			require.NoError(t, err)
			defer it.Close()
			skip := &skipper{r: &f.shared().viewer, v: it.v, at: ids.LSN(s.visible.Load())}
			begin, end := number(10), number(90)
			if c.backward {
				begin, end = number(90), number(10)
			}
			_, ok := skip.Skip(begin, c.backward)
			require.False(t, ok)
			require.NoError(t, f.Set(number(c.key), nil, NoSync))
			skip.Skipped(end)
			known := f.shared().bare.known.Load()
			if c.lo < 0 {
				require.Nil(t, known)
				return
			}
			require.False(t, known.holds(number(c.lo-1)))
			require.True(t, known.holds(number(c.lo)))
			require.True(t, known.holds(number(c.hi-1)))
			require.False(t, known.holds(number(c.hi)))
		})
	}
}
