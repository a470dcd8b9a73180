package itertest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tinedb/tine/internal/iterator"
)

// Row is one expected row.
type Row = iterator.Row

// Run opens iterators with open and tests that each of them walks exactly rows,
// which are in strictly rising key order, as the Iterator interface demands. It
// opens a few dozen iterators and closes all of them. It takes some milliseconds
// for a hundred rows, and well under a second for 10 000.
func Run(t *testing.T, rows []Row, open func() iterator.Iterator) {
	t.Helper()
	for i := 1; i < len(rows); i++ {
		if string(rows[i-1].Key) >= string(rows[i].Key) {
			t.Fatalf("the expected rows %d and %d are not in rising order: %q, %q", i-1, i, rows[i-1].Key, rows[i].Key)
		}
	}
	cases := []struct {
		name string
		run  func(w *walker)
	}{
		{"a new iterator stands on no row and does not step", testNew},
		{"a walk forward gives every row once and ends", testForward},
		{"a walk backward gives every row once and ends", testBackward},
		{"past an end it stays invalid until it is positioned", testPastEnds},
		{"a seek before, at and behind each key finds its neighbours", testSeeks},
		{"every short sequence of moves gives what a slice gives", testSequences},
		{"a random walk that turns often gives what a slice gives", testRandomWalk},
		{"a random walk of steps and few seeks gives what a slice gives", testLongWalk},
		{"it can be closed anywhere, and twice", testClose},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWalker(t, rows, open)
			defer w.close()
			c.run(w)
		})
	}
	t.Run("it need not be told where to leave its rows", func(t *testing.T) {
		w := newPlainWalker(t, rows, open)
		defer w.close()
		testLongWalk(w)
	})
	t.Run("two iterators do not disturb each other", func(t *testing.T) {
		a, b := newWalker(t, rows, open), newWalker(t, rows, open)
		defer a.close()
		defer b.close()
		rng := rand.New(rand.NewPCG(7, 7))
		for range 300 {
			a.random(rng, 80)
			b.random(rng, 80)
			a.check()
		}
	})
}

func testNew(w *walker) {
	w.check()
	w.next()
	w.prev()
	w.check()
}

func testForward(w *walker) {
	for ok := w.first(); ok; ok = w.next() {
	}
}

func testBackward(w *walker) {
	for ok := w.last(); ok; ok = w.prev() {
	}
}

func testPastEnds(w *walker) {
	w.last()
	for range 3 {
		w.next()
		w.prev()
	}
	w.first()
	for range 3 {
		w.prev()
		w.next()
	}
	w.seekLT(nil)
	w.next()
	w.first()
	w.last()
	w.next()
	w.last()
	w.first()
	w.prev()
	w.first()
}

func testSeeks(w *walker) {
	for _, key := range w.probes() {
		w.seekGE(key)
		w.prev()
		w.seekGE(key)
		w.next()
		w.seekLT(key)
		w.next()
		w.seekLT(key)
		w.prev()
		w.seekLT(key)
		w.seekGE(key)
		w.seekLT(key)
	}
}

// testSequences starts at a row, makes each sequence of up to four steps and
// turns, and seeks from there.
func testSequences(w *walker) {
	stride := max(1, len(w.rows)/25)
	for from := 0; from < len(w.rows); from += stride {
		for steps := range 1 << 4 {
			w.seekGE(w.rows[from].Key)
			for bit := range 4 {
				if steps>>bit&1 == 0 {
					w.next()
				} else {
					w.prev()
				}
			}
		}
	}
}

func testRandomWalk(w *walker) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		w.random(rng, 60)
	}
}

func testLongWalk(w *walker) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 60 {
		w.random(rng, 0)
		forward := rng.IntN(2) == 0
		for range rng.IntN(150) {
			if rng.IntN(40) == 0 {
				forward = !forward
			}
			if forward {
				w.next()
			} else {
				w.prev()
			}
		}
	}
}

func testClose(w *walker) {
	for _, move := range []func(*walker) bool{nil, (*walker).first, (*walker).last, func(w *walker) bool {
		w.last()
		return w.next()
	}} {
		other := newWalker(w.t, w.rows, w.open)
		if move != nil {
			move(other)
		}
		other.close()
		other.close()
	}
}

// probes gives keys around the rows' keys, all of them for small sets.
func (w *walker) probes() [][]byte {
	keys := [][]byte{nil, {}, {0}, {0xff}, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}
	stride := max(1, len(w.rows)/200)
	for i := 0; i < len(w.rows); i += stride {
		keys = append(keys, around(w.rows[i].Key)...)
	}
	if n := len(w.rows); n > 0 {
		keys = append(keys, around(w.rows[n-1].Key)...)
	}
	return keys
}

// around gives key, the first key behind it, and some close before and behind.
func around(key []byte) [][]byte {
	after := append(append([]byte{}, key...), 0)
	keys := [][]byte{key, after, append(append([]byte{}, key...), 0xff)}
	if n := len(key); n > 0 {
		keys = append(keys, key[:n-1])
		if last := key[n-1]; last > 0 {
			before := append([]byte{}, key...)
			before[n-1]--
			keys = append(keys, before, append(before[:n:n], 0xff))
		}
		if last := key[n-1]; last < 0xff {
			behind := append([]byte{}, key...)
			behind[n-1]++
			keys = append(keys, behind)
		}
	}
	return keys
}

// Rows makes n rows in key order whose keys share prefixes of many lengths,
// whose values differ in length, and of which about every fifth is a tombstone.
// The same seed gives the same rows.
func Rows(n int, seed uint64) []Row {
	rng := rand.New(rand.NewPCG(seed, seed))
	rows := make([]Row, n)
	for i := range rows {
		key := fmt.Appendf(nil, "key/%03d/%02d", i/20, i%20)
		if i%7 == 0 {
			key = append(key, "/deeper/by/far/than/its/neighbours"...)
		}
		rows[i] = Row{Key: key, Kind: iterator.Tombstone}
		if rng.IntN(5) > 0 {
			rows[i].Kind = iterator.Set
			rows[i].Value = fmt.Appendf(nil, "value %d %0*d", i, rng.IntN(60), 0)
		}
	}
	return rows
}
