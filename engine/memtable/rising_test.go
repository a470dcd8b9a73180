package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// addRows adds rows together at the current LSN.
func (h *history) addRows(rows []iterator.Row) {
	h.m.AddRows(h.lsn, rows)
	for _, row := range rows {
		h.versions[string(row.Key)] = append(h.versions[string(row.Key)], version{h.lsn, row.Kind, bytes.Clone(row.Value)})
	}
}

// check asserts that the memtable holds its history, for readers of any time.
func (h *history) check(t *testing.T) {
	t.Helper()
	checkStructure(t, h.m)
	for _, at := range []ids.LSN{0, 1, h.lsn / 3, h.lsn / 2, max(h.lsn, 1) - 1, h.lsn, MaxLSN} {
		h.checkGets(t, at)
		require.Equal(t, h.rows(at), collect(h.m.NewIter(at)))
	}
	for key := range h.versions {
		if !h.m.MayHave(hashOf([]byte(key))) {
			require.Fail(t, "the filter lacks a key", "%q", key)
		}
	}
}

// risingRows are n rows whose keys rise.
func risingRows(n int) (rows []iterator.Row) {
	for i := range n {
		rows = append(rows, iterator.Row{Key: fmt.Appendf(nil, "user%09d", i), Kind: iterator.Set, Value: fmt.Append(nil, i)})
	}
	return rows
}

func TestRowsThatAreAddedTogetherAreLikeRowsAddedOneByOne(t *testing.T) {
	const upTo = 1 << 20
	for _, c := range []struct {
		name string
		next func(rng *rand.Rand, before int) int // the number of the next key, after another
	}{
		{"rising", func(_ *rand.Rand, before int) int { return before + 1 }},
		{"rising, some twice", func(rng *rand.Rand, before int) int { return before + rng.IntN(3) }},
		{"rising, and now and then one from before", func(rng *rand.Rand, before int) int {
			if rng.IntN(20) == 0 {
				return before - rng.IntN(100)
			}
			return before + 1 + rng.IntN(5)
		}},
		{"falling", func(_ *rand.Rand, before int) int { return before - 1 }},
		{"of a few keys", func(rng *rand.Rand, _ int) int { return rng.IntN(300) }},
		{"at random", func(rng *rand.Rand, _ int) int { return rng.IntN(upTo) }},
		{"in stretches that rise, anywhere", func(rng *rand.Rand, before int) int {
			if rng.IntN(40) == 0 {
				return rng.IntN(upTo)
			}
			return before + 1
		}},
	} {
		for _, most := range []int{1, 2, GroupRows - 1, GroupRows, GroupRows + 1, 4 * GroupRows} {
			t.Run(fmt.Sprintf("%s, %d at once at most", c.name, most), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(most), 11))
				h, single := newHistory(), New()
				at := upTo / 2
				for len(h.versions) < 200 || h.lsn < 40 {
					h.lsn++
					rows := make([]iterator.Row, 1+rng.IntN(most))
					for i := range rows {
						at = c.next(rng, at)
						rows[i] = iterator.Row{Key: fmt.Appendf(nil, "user%09d", at), Kind: iterator.Set, Value: fmt.Appendf(nil, "%d of %d", i, h.lsn)}
						if rng.IntN(8) == 0 {
							rows[i].Kind, rows[i].Value = iterator.Tombstone, nil
						}
						single.Add(h.lsn, rows[i].Key, rows[i].Kind, rows[i].Value)
					}
					h.addRows(rows)
				}
				h.check(t)
				require.Equal(t, single.Bytes(), h.m.Bytes())
			})
		}
	}
}

// What is not seen to rise is right as well, and slow.
func TestHowManyRowsGoInTogether(t *testing.T) {
	rows := risingRows(flatMax + 4*GroupRows)
	m := New()
	require.Zero(t, m.rising(rows), "the flat form is short")
	m.AddRows(1, rows[:flatMax+1])
	more := rows[flatMax+1:]
	require.Equal(t, GroupRows, m.rising(more), "readers do not wait for more")
	require.Equal(t, 5, m.rising(more[:5]))
	require.Equal(t, 2, m.rising([]iterator.Row{more[3], more[7], more[7], more[8]}))
	require.Equal(t, 2, m.rising([]iterator.Row{more[3], more[7], more[6], more[8]}))
	require.Equal(t, 1, m.rising([]iterator.Row{more[0], rows[flatMax]}))
	require.Zero(t, m.rising(rows[flatMax:]), "the first one is there")
	m.AddRows(2, more)
	require.Zero(t, m.rising(more))
	require.Greater(t, float64(m.Len())/float64(checkStructure(t, m)*fanout), 0.7, "leaves stay full")
}

// A group may end the flat form, fill a leaf, or fill the filter, at any of its rows.
func TestGroupsOfRisingRowsOnTopOfAnyNumberOfRows(t *testing.T) {
	rows := risingRows(5*fanout + 4*GroupRows)
	for there := range 3*fanout + 2*GroupRows { // more than the first filter's keys
		h := newHistory()
		h.lsn = 1
		for _, row := range rows[:there] {
			h.add(row.Key, iterator.Set, row.Value)
		}
		for _, n := range []int{GroupRows, 3, fanout + 1} {
			h.lsn++
			h.addRows(rows[len(h.versions):][:n])
		}
		checkStructure(t, h.m)
		h.checkGets(t, MaxLSN)
		h.checkGets(t, 2)
	}
}

func TestAKeyThatIsTheLastOneAlreadyIsReplaced(t *testing.T) {
	for _, there := range []int{1, flatMax, flatMax + 1, fanout - 1, fanout, fanout + 1, 2*fanout + 5} {
		h := newHistory()
		for i := range there {
			h.lsn++
			h.add(fmt.Appendf(nil, "k%05d", i), iterator.Set, []byte("first"))
		}
		last := fmt.Appendf(nil, "k%05d", there-1)
		h.lsn++
		h.add(last, iterator.Set, []byte("second"))
		h.lsn++
		h.addRows([]iterator.Row{{Key: last, Kind: iterator.Set, Value: []byte("third")}, {Key: last, Kind: iterator.Tombstone}})
		h.lsn++
		h.addRows([]iterator.Row{
			{Key: last, Kind: iterator.Set, Value: []byte("fourth")},
			{Key: append(last, 0), Kind: iterator.Set, Value: []byte("behind it")},
			{Key: append(last, 0), Kind: iterator.Set, Value: []byte("behind it, again")},
			{Key: append(last, 0, 0), Kind: iterator.Set, Value: []byte("the last")},
		})
		require.Equal(t, there+2, h.m.Len())
		h.check(t)
	}
}

func TestRangeDeletesBetweenRowsThatRise(t *testing.T) {
	const keys = 400
	l := newLayered(keys)
	for at := 0; at+50 < keys; at += 30 {
		l.lsn++
		var rows []iterator.Row
		for i := at; i < at+40; i++ { // the first ten are those that the round before has deleted
			d := deed{lsn: l.lsn, kind: iterator.Set, lo: i, value: fmt.Sprint("round ", at)}
			l.done = append(l.done, d)
			rows = append(rows, iterator.Row{Key: layerKey(i), Kind: d.kind, Value: []byte(d.value)})
		}
		l.m.AddRows(l.lsn, rows)
		l.do(deed{kind: iterator.RangeDelete, lo: at + 30, hi: at + 45})
	}
	checkStructure(t, l.m)
	for lsn := range l.lsn + 1 {
		l.check(t, lsn)
	}
}

// TestReadersWhileTheWriterAddsGroups has one writer whose every batch is some rows
// behind all others, which rise, and the first key of all. A reader at an LSN knows what
// it must see.
func TestReadersWhileTheWriterAddsGroups(t *testing.T) {
	const readers, batches = 3, 200
	key := func(i int) []byte { return fmt.Appendf(nil, "user%09d", i) }
	size := func(batch int) int { return 1 + batch*7%(GroupRows+9) }
	upTo := make([]int, batches+1) // rows there are after each batch
	upTo[0] = 1
	for b := 1; b <= batches; b++ {
		upTo[b] = upTo[b-1] + size(b)
	}
	m := New()
	m.Add(0, key(0), iterator.Set, []byte("0"))
	var published atomic.Uint64
	errs := make(chan error, readers)
	reads := make(chan struct{}, 1)
	failed := make(chan struct{})
	var failOnce sync.Once
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(reader), 3))
			for {
				at := int(published.Load())
				if err := groupsAt(m, at, upTo[at], key, rng); err != nil {
					errs <- err
					failOnce.Do(func() { close(failed) })
					return
				}
				if at == batches {
					return
				}
				select {
				case reads <- struct{}{}:
				default:
				}
			}
		})
	}
	for b := 1; b <= batches; b++ {
		rows := []iterator.Row{{Key: key(0), Kind: iterator.Set, Value: fmt.Append(nil, b)}}
		for i := upTo[b-1]; i < upTo[b]; i++ {
			rows = append(rows, iterator.Row{Key: key(i), Kind: iterator.Set, Value: fmt.Append(nil, i)})
		}
		if b%2 == 0 { // the group that rises is whole, or has one behind it that does not
			rows = append(slices.Clone(rows[1:]), rows[0])
		}
		m.AddRows(ids.LSN(b), rows)
		published.Store(uint64(b))
		if b%10 == 0 && b < batches {
			select {
			case <-reads: // so that readers and writer do alternate
			case <-failed:
			}
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	checkStructure(t, m)
}

// groupsAt reads all that was there after batch at, both ways, and some of it by Get.
func groupsAt(m *Memtable, at, rows int, key func(int) []byte, rng *rand.Rand) error {
	value := func(i int) string {
		if i == 0 {
			return fmt.Sprint(at)
		}
		return fmt.Sprint(i)
	}
	it := m.NewIter(ids.LSN(at))
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if !bytes.Equal(it.Key(), key(n)) || string(it.Value()) != value(n) {
			return fmt.Errorf("at %d row %d is %q, %q", at, n, it.Key(), it.Value())
		}
		n++
	}
	if n != rows {
		return fmt.Errorf("at %d there are %d rows, want %d", at, n, rows)
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		n--
		if !bytes.Equal(it.Key(), key(n)) {
			return fmt.Errorf("at %d row %d from behind is %q", at, n, it.Key())
		}
	}
	for range 20 {
		i := rng.IntN(rows + 3)
		got, _, found := m.Get(key(i), ids.LSN(at))
		if found != (i < rows) || found && string(got) != value(i) {
			return fmt.Errorf("at %d row %d is %q, found %v", at, i, got, found)
		}
	}
	return nil
}
