package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// sieveAll makes the sieves of all flats that are in use, from the oldest on or in any
// order, and gives how many there are.
func (m *marking) sieveAll(rng *rand.Rand) (made int) {
	for _, f := range m.flatsInOrder(rng) {
		m.s.mu.Lock()
		v := m.s.viewOfFlatLocked(f)
		m.s.mu.Unlock()
		require.NoError(m, m.s.makeSieve(v))
		require.NoError(m, m.s.Verify(), "while a sieve is made")
		v.release()
		if f.sieve.Load() != nil {
			made++
		}
	}
	return made
}

// Forks of one another, with deletes and range deletes, flushes and merges, are read
// with every sieve that there can be.
func TestLookupsThroughSievesFindWhatIsThere(t *testing.T) {
	made, jumped := 0, 0
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 5))
		m := newMarking(t, 512)
		m.kindred(rng, 4, 6, func() {
			m.requireKindred()
			made += m.sieveAll(rng)
			for f := range m.flats() {
				if sv := f.sieve.Load(); sv != nil && sv.next != nil {
					jumped++
				}
			}
			m.requireKindred()
		})
	}
	require.Greater(t, made, 50)
	require.Greater(t, jumped, 10, "with something below")
}

// deltas makes a fork over a base of many tables and some small runs.
func (m *marking) deltas(runs int) {
	key := func(i int) []byte { return fmt.Appendf(nil, "k%06d", i) }
	b := m.s.NewBatch()
	for i := range 1000 {
		b.Set(m.fork(MainFork), key(2*i), []byte("v"))
	}
	require.NoError(m, b.Commit(NoSync))
	m.flush()
	for run := range runs {
		m.makeFork(MainFork, fmt.Sprint("f", run))
		for i := range 20 {
			require.NoError(m, m.fork(MainFork).Set(key(2*(40*i+run)), []byte("delta"), NoSync))
		}
		m.flush()
	}
	m.makeFork(MainFork, "top")
}

func TestASieveLeadsPastTheSmallRunsToTheBase(t *testing.T) {
	m := newMarking(t, 2<<10)
	m.deltas(6)
	v := m.view("top")
	require.Len(t, v.layers(), 7)
	require.Equal(t, 2, m.sieveAll(nil), "each stands for three runs or more that no older one does")

	top := v.flat
	for top != nil && top.sieve.Load() == nil {
		top = top.below
	}
	missing := []byte("k000001")
	layers, below := v.into(top, missing, sstable.KeyHash(missing))
	require.Len(t, layers, 1, "the base")
	require.Nil(t, below)
	require.Greater(t, len(layers[0].run.Tables), fewSieveTables)
	there := []byte("k000000")
	layers, below = v.into(top, there, sstable.KeyHash(there))
	require.Equal(t, top.layers, layers)
	require.Equal(t, top.below, below)
	got, err := m.fork("top").Get(there)
	require.NoError(t, err)
	require.Equal(t, "delta", string(got))
}

func TestSievesGoWithTheirFlatsAndStayWithinTheirRoom(t *testing.T) {
	m := newMarking(t, 2<<10)
	m.deltas(6)
	m.view("top")
	room := m.s.opts.TableCacheBytes
	m.s.opts.TableCacheBytes = 8
	require.Zero(t, m.sieveAll(nil), "there is no room")
	m.s.opts.TableCacheBytes = room
	require.Positive(t, m.sieveAll(nil))
	require.Positive(t, m.s.mu.sieveBytes)
	require.NoError(t, m.s.Verify())
	m.forgetViews()
	require.Zero(t, m.s.mu.sieveBytes)
}

// A layer with range deletes hides keys that it has no row of.
func TestNoSieveStandsForRangeDeletes(t *testing.T) {
	m := newMarking(t, 4<<10)
	for i := range 8 {
		require.NoError(t, m.fork(MainFork).Set(fmt.Appendf(nil, "a%d", i), []byte("v")))
		m.flush()
		m.makeFork(MainFork, fmt.Sprint("f", i))
	}
	require.NoError(t, m.fork(MainFork).DeleteRange([]byte("a0"), []byte("a3")))
	m.makeFork(MainFork, "top")
	v := m.view("top")
	require.NotNil(t, v.flat)
	m.sieveAll(nil)
	require.Nil(t, v.flat.sieve.Load())
	_, found, err := v.get(nil, []byte("a1"), ids.LSN(m.s.visible.Load()))
	require.NoError(t, err)
	require.False(t, found)
}

func TestManyLookupsMakeASieveInTheBackground(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	defer s.Close()
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	for i := range 6 {
		require.NoError(t, f.Set(fmt.Appendf(nil, "k%d", i), fmt.Append(nil, i)))
		_, err := f.Fork(fmt.Sprint("f", i))
		require.NoError(t, err)
		require.NoError(t, s.Flush())
	}
	for deadline := time.Now().Add(time.Minute); s.counter.sieves.Load() == 0; {
		require.True(t, time.Now().Before(deadline), "no sieve is made")
		for i := range 1000 {
			_, err := f.Get(fmt.Appendf(nil, "not there %d", i))
			require.ErrorIs(t, err, ErrNotFound)
		}
	}
	for i := range 6 {
		got, err := f.Get(fmt.Appendf(nil, "k%d", i))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(got))
	}
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
}
