package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// weaveScript makes runs of bytes, weaves over them, and walks.
type weaveScript struct {
	recordScript
	m     *marking
	rows  map[string]string // of the fork that is written to
	wrote int

	alike bool // all rows' keys begin with more than a head's bytes
}

// key is one of 256, of which many begin alike, in less than a head, in one, or in more; and some are
// the beginning of others.
func (s *weaveScript) key() []byte { return weaveKey(s.byte()) }

func weaveKey(b byte) []byte {
	begin := []string{"a", "aaaaaaaa", "aaaaaaaa\x00\x00", "b\xff"}[b>>6]
	end := []string{"", "\x00", "\x00\x00", "\x00a", "a", "ab", "b", "\xff"}[b&7]
	return []byte(begin + []string{"", "\x00", "0", "1", "a", "aaaaaaaa", "\xff", "\xff\xff"}[b>>3&7] + end)
}

// write does a few writes: stretches of keys are set or deleted, one by one or as a range.
func (s *weaveScript) write(f *Fork, most byte) {
	b := s.m.s.NewBatch()
	for range s.byte() % most {
		switch kind, from, n := s.byte(), s.byte(), s.byte(); {
		case kind%8 == 7:
			lo, hi := string(weaveKey(from)), string(weaveKey(n))
			if lo > hi {
				lo, hi = hi, lo
			}
			b.DeleteRange(f, []byte(lo), []byte(hi))
			maps.DeleteFunc(s.rows, func(k, _ string) bool { return lo <= k && k < hi })
		default:
			step := 1 + kind>>4
			for i := range n%96 + 1 {
				k := weaveKey(from + i*step)
				if s.alike {
					k = weaveKey((from+i*step)&0x3f | 0x80)
				}
				if kind%8 < 5 {
					s.wrote++
					s.rows[string(k)] = fmt.Sprintf("%d of %q", s.wrote, k)
					b.Set(f, k, []byte(s.rows[string(k)]))
				} else {
					b.Delete(f, k)
					delete(s.rows, string(k))
				}
			}
		}
	}
	require.NoError(s.m, b.Commit(NoSync))
}

// weave makes the weaves of some flats, from the oldest on, with room for more or fewer rows.
func (s *weaveScript) weave(which byte) {
	room := s.m.s.opts.TableCacheBytes
	if few := s.byte(); few >= 128 {
		s.m.s.opts.TableCacheBytes = weaveShare * weaveBytesARow * 4 * int64(few-127)
	}
	for i, f := range s.m.flatsInOrder(nil) {
		if which>>(i%8)&1 > 0 {
			s.m.weaveAt(f)
		}
	}
	s.m.s.opts.TableCacheBytes = room
}

// plain opens an iterator that merges the runs of a view, whatever is woven.
func (s *weaveScript) plain(f *Fork, r Range) *Iterator {
	all := map[*flat]*weave{}
	for fl := range s.m.flats() {
		all[fl] = fl.weave.Swap(nil)
	}
	it, err := f.NewIter(r)
	require.NoError(s.m, err)
	for fl, w := range all {
		fl.weave.Store(w)
	}
	require.Zero(s.m, it.stack.usedWovens)
	return it
}

// sameMove moves two iterators, and demands that they come to the same, and to row at of the
// fork's.
func (s *weaveScript) sameMove(keys []string, at int, what string, woven, plain *Iterator, move func(it *Iterator) bool) {
	m := s.m
	ok := move(woven)
	require.NoError(m, woven.Error(), what)
	require.Equal(m, move(plain), ok, what)
	require.Equal(m, ok, woven.Valid(), what)
	require.Equal(m, at >= 0 && at < len(keys), ok, "%s: row %d of %d", what, at, len(keys))
	if ok {
		require.Equal(m, keys[at], string(woven.Key()), what)
		require.Equal(m, s.rows[keys[at]], string(woven.Value()), "%s: key %q", what, keys[at])
		require.Equal(m, string(plain.Key()), string(woven.Key()), what)
		require.Equal(m, string(plain.Value()), string(woven.Value()), what)
	}
}

// walk follows the script with an iterator through weaves beside one that merges. It gives how many
// weaves it went through.
func (s *weaveScript) walk(f *Fork) int {
	r := Range{}
	switch bound := s.byte(); {
	case bound >= 240:
		r.Lower, r.Upper = s.key(), s.key()
		if string(r.Lower) > string(r.Upper) {
			r.Lower, r.Upper = r.Upper, r.Lower
		}
	case bound >= 230:
		r.Lower = s.key()
	case bound >= 220:
		r.Upper = s.key()
	}
	var keys []string
	for k := range s.rows {
		if k >= string(r.Lower) && (r.Upper == nil || k < string(r.Upper)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	woven, err := f.NewIter(r)
	require.NoError(s.m, err)
	plain := s.plain(f, r)
	walked := woven.stack.usedWovens
	at, last := -1, ""
	move := func(to int, what string, move func(it *Iterator) bool) {
		s.sameMove(keys, to, what+" after "+last, woven, plain, move)
		at, last = to, what
	}
	seek := func(k []byte, before bool) {
		to := sort.SearchStrings(keys, string(k))
		if before {
			move(to-1, fmt.Sprintf("SeekLT %q", k), func(it *Iterator) bool { return it.SeekLT(k) })
		} else {
			move(to, fmt.Sprintf("SeekGE %q", k), func(it *Iterator) bool { return it.SeekGE(k) })
		}
	}
	for range 64 {
		if len(s.rest) == 0 {
			break
		}
		switch op := s.byte(); op % 8 {
		case 0:
			move(0, "First", (*Iterator).First)
		case 1:
			move(len(keys)-1, "Last", (*Iterator).Last)
		case 2, 3:
			k := s.key()
			switch op >> 6 {
			case 0:
				k = append(k, 0)
			case 1:
				k = k[:len(k)-1]
			}
			seek(k, op%8 == 2)
		default:
			for range op>>3%16 + 1 {
				if at < 0 || at >= len(keys) {
					break
				}
				if op%8 < 6 {
					move(at+1, "Next", (*Iterator).Next)
				} else {
					move(at-1, "Prev", (*Iterator).Prev)
				}
			}
		}
	}
	for to, ok := 0, true; ok; to++ {
		ok = to < len(keys)
		if to == 0 {
			move(0, "First", (*Iterator).First)
		} else {
			move(to, "Next", (*Iterator).Next)
		}
	}
	for to, ok := len(keys)-1, true; ok; to-- {
		ok = to >= 0
		if to == len(keys)-1 {
			move(to, "Last", (*Iterator).Last)
		} else {
			move(to, "Prev", (*Iterator).Prev)
		}
	}
	require.NoError(s.m, woven.Close())
	require.NoError(s.m, plain.Close())
	return walked
}

// run makes a few runs and weaves, writes above them, and walks: what is above may be in memory or in
// tables, and mark rows of the weaves as dead. It gives through how many weaves it walked.
func (s *weaveScript) run(t *testing.T) (walked int) {
	shape := s.byte()
	s.m, s.alike = newMarking(t, 64<<(shape%8)), shape >= 192
	s.rows = map[string]string{}
	main := s.m.fork(MainFork)
	weaves := s.byte()
	for run := range 2 + s.byte()%6 {
		s.write(main, 6)
		s.m.makeFork(MainFork, fmt.Sprint("f", run))
		s.m.flush()
	}
	s.m.makeFork(MainFork, "top")
	s.m.view("top")
	s.weave(weaves)
	for round := range 1 + s.byte()%3 {
		walked += s.walk(main)
		above := s.byte()
		s.write(main, 4)
		if above%4 > 0 {
			s.m.makeFork(MainFork, fmt.Sprint("above", round))
		}
		switch above >> 6 {
		case 0:
			s.m.flush()
		case 1:
			s.m.flush()
			s.m.view("top")
			s.weave(above)
		}
	}
	walked += s.walk(main)
	require.NoError(t, s.m.s.Verify())
	return walked
}

// randomWeaveScript draws a script that is long enough to come to its end.
func randomWeaveScript(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 26))
	script := make([]byte, 100+rng.IntN(300))
	for i := range script {
		script[i] = byte(rng.Uint32())
	}
	return script
}

// FuzzWeave walks through weaves over a few runs with deletes, with more runs and memtables above, beside an
// iterator that merges: both come to the same rows, which are those of the fork.
func FuzzWeave(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(randomWeaveScript(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 500 {
			return
		}
		(&weaveScript{recordScript: recordScript{script}}).run(t)
	})
}

// What FuzzWeave begins with is of use: its walks go through weaves.
func TestWeaveScriptsWalkThroughWeaves(t *testing.T) {
	seeds, walked := 60, 0
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			walked += (&weaveScript{recordScript: recordScript{randomWeaveScript(uint64(seed))}}).run(t)
		})
	}
	t.Log(walked, "weaves")
	require.Greater(t, walked, seeds/2)
}
