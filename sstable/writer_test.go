package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/FastFilter/xorfilter"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
)

func TestWriterRefusesTheCallersMistakes(t *testing.T) {
	for _, c := range []struct {
		name  string
		key   []byte
		kind  iterator.Kind
		value []byte
		want  string
	}{
		{"the same key again", []byte("m"), iterator.Set, nil, "does not come after"},
		{"a smaller key", []byte("a"), iterator.Set, nil, "does not come after"},
		{"the empty key behind another", nil, iterator.Set, nil, "does not come after"},
		{"a key that is too long", bytes.Repeat([]byte("z"), MaxKeyBytes+1), iterator.Set, nil, "over the limit"},
		{"a value that is too long", []byte("z"), iterator.Set, make([]byte, MaxValueBytes+1), "over the limit"},
		{"an unknown kind", []byte("z"), 3, nil, "unknown kind"},
		{"a tombstone with a value", []byte("z"), iterator.Tombstone, []byte("v"), "tombstone with a value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWriter(&bytes.Buffer{}, 1, 1, 0, WriterOptions{})
			require.NoError(t, w.Add([]byte("m"), iterator.Set, []byte("v")))
			require.ErrorContains(t, w.Add(c.key, c.kind, c.value), c.want)
			require.ErrorContains(t, w.Add([]byte("zz"), iterator.Set, nil), c.want, "the error stays")
			_, err := w.Finish()
			require.ErrorContains(t, err, c.want, "and there is no table")
		})
	}
	for _, blockBytes := range []int{-1, MaxBlockBytes + 1} {
		w := NewWriter(&bytes.Buffer{}, 1, 1, 0, WriterOptions{BlockBytes: blockBytes})
		require.ErrorContains(t, w.Add(nil, iterator.Set, nil), "block size")
	}
	t.Run("no rows", func(t *testing.T) {
		var buf bytes.Buffer
		_, err := NewWriter(&buf, 1, 1, 0, WriterOptions{}).Finish()
		require.ErrorContains(t, err, "no rows")
		require.Zero(t, buf.Len())
	})
	t.Run("after Finish", func(t *testing.T) {
		w := NewWriter(&bytes.Buffer{}, 1, 1, 0, WriterOptions{})
		require.NoError(t, w.Add([]byte("m"), iterator.Set, nil))
		_, err := w.Finish()
		require.NoError(t, err)
		require.ErrorIs(t, w.Add([]byte("n"), iterator.Set, nil), errFinished)
		_, err = w.Finish()
		require.ErrorIs(t, err, errFinished)
	})
}

func TestWriterCopiesWhatItIsGiven(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf, 7, 1, 0, WriterOptions{BlockBytes: 100})
	key, value := make([]byte, 3), make([]byte, 3)
	for i := range 50 {
		copy(key, fmt.Sprintf("k%02d", i))
		copy(value, fmt.Sprintf("v%02d", i))
		require.NoError(t, w.Add(key, iterator.Set, value))
	}
	copy(key, "???")
	m, err := w.Finish()
	require.NoError(t, err)
	r := mustOpen(t, buf.Bytes(), &m, 1)
	require.NoError(t, r.Verify())
	got, _, _, err := r.Get(nil, []byte("k17"), nil)
	require.NoError(t, err)
	require.Equal(t, "v17", string(got))
}

// limitedWriter fails once it has taken that many bytes.
type limitedWriter struct {
	left  int
	err   error
	short bool
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		if w.short {
			return w.left, nil
		}
		return w.left, w.err
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriterPassesOnEveryWriteError(t *testing.T) {
	rows := damageRows()
	content, _ := buildTable(t, rows, 0, WriterOptions{BlockBytes: 200})
	full := errors.New("disk full")
	for n := range len(content) {
		for _, short := range []bool{false, true} {
			w := NewWriter(&limitedWriter{left: n, err: full, short: short}, 7, 1, 0, WriterOptions{BlockBytes: 200})
			var err error
			for _, row := range rows {
				if err = w.Add(row.Key, row.Kind, row.Value); err != nil {
					break
				}
			}
			_, finishErr := w.Finish()
			require.Error(t, finishErr)
			if err != nil {
				require.Equal(t, err, finishErr)
			}
			if !short {
				require.ErrorIs(t, finishErr, full)
			}
		}
	}
}

func TestEstimateIsNearTheSize(t *testing.T) {
	for _, n := range []int{1, 10, 1000, 20000} {
		rows := sequentialRows(n)
		for i := range rows { // not to be compressed
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for j := range rows[i].Value {
				rows[i].Value[j] = byte(rng.Uint32())
			}
		}
		var buf bytes.Buffer
		w := NewWriter(&buf, 1, 1, 0, WriterOptions{})
		var last uint64
		for _, row := range rows {
			require.NoError(t, w.Add(row.Key, row.Kind, row.Value))
			require.GreaterOrEqual(t, w.EstimatedBytes()+2*DefaultBlockBytes, last)
			last = w.EstimatedBytes()
		}
		require.Equal(t, uint64(n), w.Rows())
		m, err := w.Finish()
		require.NoError(t, err)
		require.InEpsilon(t, m.Length, last, 0.2)
	}
}

func TestBlocksStayWithinTheirSize(t *testing.T) {
	for _, shape := range keyShapes {
		t.Run(shape.name, func(t *testing.T) {
			rows := randomRows(rand.New(rand.NewPCG(4, 4)), 2000, shape.make)
			content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 1000})
			r := mustOpen(t, content, &m, 1)
			small := 0
			for i := range r.index.entries {
				raw, count := r.index.entries[i].rawBytes, r.index.rowsOf(i, m.Rows)
				require.True(t, raw <= 1000-partTrailerBytes || count == 1, "block %d: %d rows, %d bytes", i, count, raw)
				if raw < 300 {
					small++
				}
			}
			require.Less(t, small*4, len(r.index.entries)+8, "blocks are filled")
		})
	}
}

func TestCompressionMustPay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	noise := make([]byte, 10000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for _, c := range []struct {
		name     string
		zeros    int // of 10000 bytes
		packed   bool
		overhead int
	}{
		{"noise stays raw", 0, false, 0},
		{"a saving of 11 % stays raw", 1000, false, 0},
		{"a saving of 15 % is taken", 1700, true, 0},
		{"zeros are packed", 10000, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := slices.Clone(noise)
			clear(raw[:c.zeros])
			stored, how := compress([]byte("before"), raw)
			require.Equal(t, "before", string(stored[:6]))
			require.Equal(t, c.packed, how == codecSnappy)
			back, err := decompress(&Meta{}, 0, stored[6:], how, len(raw), passing)
			require.NoError(t, err)
			require.True(t, bytes.Equal(raw, back))
			for _, wrong := range []int{len(raw) - 1, len(raw) + 1, 0} {
				_, err = decompress(&Meta{}, 0, stored[6:], how, wrong, passing)
				require.Error(t, err)
			}
		})
	}
}

func TestSeparatorIsShortAndBetween(t *testing.T) {
	for _, c := range []struct{ last, next, want string }{
		{"abc", "abd", "abc"},
		{"abcdef", "abx", "abd"},
		{"abcdef", "abd", "abcdef"},
		{"abcdef", "abdz", "abd"},
		{"abc", "abcd", "abc"},
		{"", "a", ""},
		{"a\xff\xff", "b", "a\xff\xff"},
		{"a\xff\xff", "bcd", "b"},
		{"a\xff\xff", "c", "b"},
	} {
		require.Equal(t, c.want, string(appendSeparator(nil, []byte(c.last), []byte(c.next))), "%q %q", c.last, c.next)
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for _, shape := range keyShapes {
		for range 2000 {
			a, b := shape.make(rng), shape.make(rng)
			if bytes.Compare(a, b) > 0 {
				a, b = b, a
			}
			if bytes.Equal(a, b) {
				continue
			}
			s := appendSeparator(nil, a, b)
			require.LessOrEqual(t, string(a), string(s))
			require.Less(t, string(s), string(b))
			require.LessOrEqual(t, len(s), len(a))
		}
	}
}

// Keys of equal hash must not make a key invisible, nor must a filter that
// cannot be built.
func TestFilterThatCannotBeBuilt(t *testing.T) {
	for _, c := range []struct {
		name     string
		failures int
		filtered bool
	}{
		{"at the first attempt: tried again with unique hashes", 1, true},
		{"at both: the table goes without", 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			w := NewWriter(&buf, 7, 1, 0, WriterOptions{})
			left := c.failures
			w.populate = func(hashes []uint64) (*xorfilter.BinaryFuse8, error) {
				if left--; left >= 0 {
					return nil, errors.New("too many iterations")
				}
				require.True(t, slices.IsSorted(hashes))
				require.Len(t, hashes, 99, "equal hashes are handed over once")
				return xorfilter.PopulateBinaryFuse8(hashes)
			}
			rows := sequentialRows(100)
			for _, row := range rows {
				require.NoError(t, w.Add(row.Key, row.Kind, row.Value))
			}
			w.hashes[0] = w.hashes[1] // as if the first two keys had one hash
			m, err := w.Finish()
			require.NoError(t, err)
			r := mustOpen(t, buf.Bytes(), &m, 1)
			require.Equal(t, c.filtered, r.filter.memoryBytes() > 0)
			absent := []byte("user000000000101")
			if !c.filtered {
				require.True(t, r.MayContain(absent))
				require.NoError(t, r.Verify())
			}
			_, _, found, err := r.Get(nil, absent, nil)
			require.NoError(t, err)
			require.False(t, found)
		})
	}
}

func TestFilterKnowsItsKeysAndFewOthers(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 10, 100, 10000} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = KeyHash(benchKey(i))
		}
		built := buildFilter(slices.Clone(hashes), xorfilter.PopulateBinaryFuse8)
		f, err := decodeFilter(built.appendTo(nil))
		require.NoError(t, err)
		wrong := 0
		for i := range 10000 {
			if i < n {
				require.True(t, f.mayContain(hashes[i]))
			}
			if f.mayContain(KeyHash(fmt.Appendf(nil, "absent %d", i))) {
				wrong++
			}
		}
		require.Less(t, wrong, 80, "%d keys: 0.4 %% of 10000 are 40", n)
	}
}
