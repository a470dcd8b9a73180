package engine

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
)

// marking is a store that does nothing by itself, for tests of what deletes mark
// dead and of what merges make of the marks. It knows what each fork must hold. One
// goroutine uses it: what is to happen while a job is held happens inside the
// job, at a named point.
type marking struct {
	*testing.T
	s     *Store
	disk  *crashfs.FS
	want  map[string]map[string]string // by fork, by key
	wrote int
	held  map[schedule.Point]func() // each is called once
}

// newMarking makes one with tables of about so many bytes, of one-row blocks.
func newMarking(t *testing.T, tableBytes int64) *marking {
	m := &marking{T: t, disk: crashfs.New(), want: map[string]map[string]string{MainFork: {}}, held: map[schedule.Point]func(){}}
	m.open(tableBytes)
	t.Cleanup(func() { require.NoError(t, m.s.Close()) })
	return m
}

func (m *marking) open(tableBytes int64) {
	var err error
	m.s, err = Open("/db", &Options{
		FS: m.disk, Manual: true, SegmentBytes: 16 << 10, TableBytes: tableBytes, BlockBytes: 1, CacheBytes: 1, MaxOpenFiles: 1,
		Schedule: schedule.New(0, func(p schedule.Point) {
			if do := m.held[p]; do != nil {
				delete(m.held, p)
				do()
			}
		}),
	})
	require.NoError(m, err)
}

// reopen closes the store and goes on with tables of another size.
func (m *marking) reopen(tableBytes int64) {
	require.NoError(m, m.s.Close())
	m.open(tableBytes)
}

// at lets something happen when a job comes to a point.
func (m *marking) at(p schedule.Point, do func()) { m.held[p] = do }

func (m *marking) happened() { require.Empty(m, m.held, "no job came there") }

func (m *marking) fork(name string) *Fork {
	f, err := m.s.Fork(name)
	require.NoError(m, err)
	return f
}

func (m *marking) makeFork(parent, child string) {
	_, err := m.fork(parent).Fork(child)
	require.NoError(m, err)
	m.want[child] = maps.Clone(m.want[parent])
}

func (m *marking) drop(name string) {
	require.NoError(m, m.fork(name).Drop())
	delete(m.want, name)
}

// set writes each letter of keys, with a value that was never there.
func (m *marking) set(fork, keys string) {
	for _, k := range keys {
		m.wrote++
		value := fmt.Sprint(fork, m.wrote)
		require.NoError(m, m.fork(fork).Set([]byte(string(k)), []byte(value)))
		m.want[fork][string(k)] = value
	}
}

func (m *marking) delete(fork, keys string) {
	for _, k := range keys {
		require.NoError(m, m.fork(fork).Delete([]byte(string(k))))
		delete(m.want[fork], string(k))
	}
}

func (m *marking) deleteRange(fork, lo, hi string) {
	require.NoError(m, m.fork(fork).DeleteRange([]byte(lo), []byte(hi)))
	maps.DeleteFunc(m.want[fork], func(k, _ string) bool { return lo <= k && k < hi })
}

func (m *marking) flush() { require.NoError(m, m.s.Flush()) }

// layer writes keys and makes a node of them that is in tables.
func (m *marking) layer(fork, keys string) *forktree.Node {
	m.set(fork, keys)
	m.flush()
	return m.top(fork)
}

func (m *marking) top(fork string) *forktree.Node { return m.fork(fork).inTree().Top }

func (m *marking) claim(newest, oldest *forktree.Node) *forktree.Claim {
	var rng []*forktree.Node
	for n := range forktree.Path(newest) {
		rng = append(rng, n)
		if n == oldest {
			break
		}
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	c := m.s.claimLocked(rng)
	require.NotNil(m, c)
	return c
}

// everything makes a merge read all tables, also those that it could take over.
func everything(*forktree.Table, *deadRows) bool { return true }

// merge merges the runs from the newest to the oldest node.
func (m *marking) merge(newest, oldest *forktree.Node) {
	c := m.claim(newest, oldest)
	require.NoError(m, m.s.merge(c, m.s.merging(c, everything), m.s.stopped))
}

// rewrite writes some tables of a node again, without what the node marks there.
func (m *marking) rewrite(n *forktree.Node, tables ...*forktree.Table) {
	c := m.claim(n, n)
	var own deadOnPath
	own.add(n)
	var some []rotten
	for _, tb := range tables {
		some = append(some, rotten{tb, own.of(n.Run)[tb]})
	}
	require.NoError(m, m.s.merge(c, m.s.rewriting(c, some), m.s.stopped))
}

// mergeBySteps is merge, but something happens when as many vectors are carried
// over as the engine does before the swap.
func (m *marking) mergeBySteps(newest, oldest *forktree.Node, staged func()) {
	c := m.claim(newest, oldest)
	w := m.s.merging(c, everything)
	out, err := m.s.newOutput()
	require.NoError(m, err)
	res, err := m.s.mergeParts(w, out, m.s.stopped)
	require.NoError(m, err)
	w.below.releaseQuietly()
	require.NoError(m, out.Sync())
	used := map[ids.FileNum]bool{}
	r := m.s.prepare(c, w, &res, used)
	for m.s.stage(c, r) {
	}
	require.Positive(m, r.Staged())
	staged()
	require.NoError(m, m.s.install([]*forktree.Claim{c}, schedule.MergePlaced, func() {
		if c.Wanted() {
			m.s.mu.tree.Install(r, res.marks)
		} else {
			m.s.counter.discarded.Add(1)
			m.s.mu.tree.Abandon(r)
		}
	}))
	for m.s.sweep(r) {
	}
	m.s.finishOutput(out, used)
}

// marks are the keys of the rows that a node marks in another's run.
func (m *marking) marks(n, below *forktree.Node) (keys string) {
	for _, tb := range below.Run.Tables {
		mk := n.MarksOn(tb)
		if mk == nil {
			continue
		}
		r, err := m.s.tables.ReaderAt(&tb.Place)
		require.NoError(m, err)
		it := r.NewIter(nil)
		for _, row := range mk.Vector.Bitmap().ToArray() {
			require.True(m, it.SeekOrdinal(uint64(row)))
			keys += string(it.Key())
		}
		require.NoError(m, it.Close())
	}
	return keys
}

// holds compares what forks read, by a scan either way and key by key.
func (m *marking) holds(s *Store) {
	m.Helper()
	for name, want := range m.want {
		f, err := s.Fork(name)
		require.NoError(m, err)
		forth, back, single := map[string]string{}, map[string]string{}, map[string]string{}
		it, err := f.NewIter(Range{})
		require.NoError(m, err)
		for ok := it.First(); ok; ok = it.Next() {
			forth[string(it.Key())] = string(it.Value())
		}
		for ok := it.Last(); ok; ok = it.Prev() {
			back[string(it.Key())] = string(it.Value())
		}
		require.NoError(m, it.Error())
		require.NoError(m, it.Close())
		for k := 'a'; k <= 'z'; k++ {
			v, err := f.Get([]byte(string(k)))
			if err == nil {
				single[string(k)] = string(v)
			} else {
				require.ErrorIs(m, err, ErrNotFound)
			}
		}
		require.Equal(m, want, forth, "fork %s, scanned", name)
		require.Equal(m, want, back, "fork %s, scanned backwards", name)
		require.Equal(m, want, single, "fork %s, key by key", name)
	}
}

// vectors are all vectors of a store, which must be at rest: the tree and the
// manifest have the same ones, and each is of a node that is there and on a table
// that the node reaches.
func (m *marking) vectors(s *Store) map[manifest.MarksKey][]uint32 {
	m.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[manifest.MarksKey][]uint32{}
	memory := int64(0)
	for _, n := range s.mu.tree.Nodes() {
		for _, mk := range n.Marks() {
			out[manifest.MarksKey{Node: n.ID, Table: mk.Table.Meta.ID}] = mk.Vector.Bitmap().ToArray()
			memory += mk.Vector.Bytes()
			reached := slices.ContainsFunc(slices.Collect(forktree.Path(n)), func(x *forktree.Node) bool {
				return x.Run != nil && slices.Contains(x.Run.Tables, mk.Table)
			})
			require.True(m, reached, "node %d has a vector on table %d, which it does not reach", n.ID, mk.Table.Meta.ID)
		}
	}
	require.Equal(m, len(out), s.mu.tree.MarkCount())
	require.Equal(m, memory, s.mu.tree.MarkBytes())
	s.man.View(func(st *manifest.State) {
		logged := map[manifest.MarksKey][]uint32{}
		for k, v := range st.Marks {
			logged[k] = v.Bitmap().ToArray()
		}
		require.Equal(m, out, logged, "the tree's vectors and the manifest's")
	})
	return out
}

// sound puts the store at rest and compares contents and vectors with what they must
// be: now, after a power loss, and as a check sees them.
func (m *marking) sound() {
	m.Helper()
	m.happened()
	m.holds(m.s)
	require.NoError(m, m.s.Settle())
	m.holds(m.s)
	require.NoError(m, m.s.Verify())
	vectors := m.vectors(m.s)
	require.NoError(m, m.s.Sync())
	require.NoError(m, m.s.man.Sync(m.s.man.Last()))
	image := m.disk.PowerLossStrict()
	again, err := Open("/db", &Options{FS: image, Manual: true})
	require.NoError(m, err)
	m.holds(again)
	require.Equal(m, vectors, m.vectors(again), "after a power loss there are other vectors")
	require.NoError(m, again.Verify())
	require.NoError(m, again.Compact())
	m.holds(again)
	m.vectors(again)
	require.NoError(m, again.Verify())
	require.NoError(m, again.Close())
	report, err := Check("/db", CheckOptions{FS: image, Level: CheckDeep})
	require.NoError(m, err)
	require.True(m, report.OK(), "%v", report.Problems)
}

// join swaps the only run of the range in at its newest node.
func (m *marking) join(newest, oldest *forktree.Node) {
	c := m.claim(newest, oldest)
	require.NoError(m, m.s.join(c, onlyRun(c)))
}
