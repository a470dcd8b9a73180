package engine

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// A node marks an older row of a key and not the newer one, which is alive; a merge
// below it reads both and keeps the newer one. By key the mark would be the newer
// row's then, and a live row would be gone. Deletes of this store always mark both,
// so the mark is written into the manifest by hand: a merge must not lean on that.
func TestAMarkGoesWithItsRowAndNotWithItsKey(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(m *marking, young, old *forktree.Node)
	}{
		{"through one merge", func(m *marking, young, old *forktree.Node) { m.merge(young, old) }},
		{"through a merge with a flush held above it", func(m *marking, young, old *forktree.Node) {
			m.delete(MainFork, "a")
			m.at(schedule.FlushWritten, func() { m.merge(young, old) })
			m.flush()
		}},
		{"through a merge that has carried it over before the swap", func(m *marking, young, old *forktree.Node) {
			m.makeFork(MainFork, "child")
			m.delete("child", "e")
			m.flush()
			m.mergeBySteps(young, old, func() { m.layer(MainFork, "z") })
		}},
		{"through a merge and a rewrite", func(m *marking, young, old *forktree.Node) {
			m.merge(young, old)
			m.merge(young, young)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			old := m.layer(MainFork, "acegk")
			m.layer(MainFork, "bckm")
			upper := m.layer(MainFork, "x")
			m.layer(MainFork, "y")
			rows := roaring.BitmapOf(1, 3) // c and g
			m.markByHand(manifest.Marks{Node: upper.ID, Table: old.Run.Tables[0].Meta.ID, Vector: sstable.NewVector(5, rows)})
			delete(m.want[MainFork], "g")
			upper = m.top(MainFork).Older
			young := upper.Older
			old = young.Older
			require.Equal(m, "cg", m.marks(upper, old))
			m.sound()
			c.then(m, young, old)
			require.Equal(m, "g", m.marks(upper, young), "c of the newer run is another row")
			m.sound()
		})
	}
}

// markByHand closes the store, adds marks to its manifest and opens it again.
func (m *marking) markByHand(marks ...manifest.Marks) {
	require.NoError(m, m.s.Close())
	state, _, err := manifest.Load(m.disk, "/db")
	require.NoError(m, err)
	state.Apply(&manifest.Transaction{AddMarks: marks})
	log, err := manifest.Create(m.disk, "/db", state, manifest.Options{NextFile: func() ids.FileNum {
		state.Counters.NextID++
		return ids.FileNum(state.Counters.NextID - 1)
	}})
	require.NoError(m, err)
	require.NoError(m, log.Close())
	m.open(8 << 10)
}

// Whoever deletes a key marks all its older rows, also those that something hides: a
// merge below may leave out what hides them.
func TestADeleteMarksEveryOlderRow(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking)
	}{
		{"of three runs", func(m *marking) {
			a, b, c := m.layer(MainFork, "kx"), m.layer(MainFork, "ky"), m.layer(MainFork, "kz")
			m.delete(MainFork, "k")
			m.flush()
			for _, n := range []*forktree.Node{a, b, c} {
				require.Equal(m, "k", m.marks(m.top(MainFork), n))
			}
			m.merge(b, a)
		}},
		{"below a tombstone", func(m *marking) {
			old := m.layer(MainFork, "ak")
			tomb := m.tombstone("k")
			young := m.layer(MainFork, "k")
			m.makeFork(MainFork, "child")
			m.delete(MainFork, "k")
			m.flush()
			for _, n := range []*forktree.Node{old, tomb, young} {
				require.Equal(m, "k", m.marks(m.top(MainFork), n))
			}
			m.merge(young, tomb) // the tombstone gives way to a row that is dead for main
			m.sound()
			m.merge(young, old)
		}},
		{"below a row that is deleted already", func(m *marking) {
			old := m.layer(MainFork, "ak")
			m.tombstone("k")
			m.delete(MainFork, "k")
			m.flush()
			require.Zero(m, m.top(MainFork).Run.Rows())
			require.Empty(m, m.marks(m.top(MainFork), old), "the tombstone sees to it")
		}},
		{"in a range", func(m *marking) {
			old := m.layer(MainFork, "akp")
			tomb := m.tombstone("k")
			young := m.layer(MainFork, "k")
			m.deleteRange(MainFork, "b", "l")
			m.flush()
			for _, n := range []*forktree.Node{old, tomb, young} {
				require.Equal(m, "k", m.marks(m.top(MainFork), n))
			}
			m.merge(young, tomb)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
		})
	}
}

// tombstone makes a node of main with a tombstone of the key, which needs an older
// row of it in memory when it is flushed, and gives the node.
func (m *marking) tombstone(key string) *forktree.Node {
	m.set(MainFork, key)
	m.makeFork(MainFork, "frozen")
	m.delete(MainFork, key)
	m.flush()
	require.EqualValues(m, 1, m.top(MainFork).Run.Tombstones())
	m.drop("frozen")
	return m.top(MainFork)
}

// What a range delete hides has to be in tables before its node can be: the rows
// that are still in memory could not be marked.
func TestARangeDeleteWaitsForOlderMemory(t *testing.T) {
	m := newMarking(t, 8<<10)
	base := m.layer(MainFork, "abcd")
	m.set(MainFork, "bce")
	m.makeFork(MainFork, "one")
	m.deleteRange(MainFork, "b", "d")
	m.makeFork(MainFork, "two")
	m.deleteRange("two", "a", "b")
	m.set("two", "b")
	deleting := m.top(MainFork)
	oldest := deleting.Older
	require.NotNil(m, oldest.Mem)
	turns := 0
	var turn func()
	turn = func() {
		turns++
		if turns == 1 {
			require.NotNil(m, deleting.Mem)
			m.at(schedule.FlushWritten, turn)
		}
	}
	m.at(schedule.FlushWritten, turn)
	m.flush()
	require.Greater(m, turns, 1, "not in the job that writes the older node")
	require.Equal(m, "bc", m.marks(deleting, base))
	require.Equal(m, "bc", m.marks(deleting, oldest))
	m.sound()
}

// A table that is dead as a whole has no bitmap, is never opened, and is dead on that
// path only.
func TestAWhollyDeadTableReadsAsEmpty(t *testing.T) {
	m := newMarking(t, 400)
	base := m.layer(MainFork, "abcdefghijkl")
	require.Len(m, base.Run.Tables, 4)
	m.makeFork(MainFork, "child")
	m.deleteRange(MainFork, "d", "k")
	m.flush()
	top := m.top(MainFork)
	for i, whole := range []bool{false, true, true, false} {
		mk := top.MarksOn(base.Run.Tables[i])
		require.Equal(m, whole, mk != nil && mk.Vector.Whole(), "table %d", i)
	}
	m.sound()
	m.set(MainFork, "e")
	m.flush()
	m.sound()
	m.merge(m.top(MainFork), base)
	m.sound()
}

// A flush that drops tombstones and a merge that moves rows are each one transaction
// with the marks: if power is lost between the two, what was deleted is back. After
// each group of the manifest, images are taken in which only its first frames have
// reached the disk.
func TestTablesAndMarksBecomeDurableTogether(t *testing.T) {
	m := newMarking(t, 8<<10)
	old, young := m.layer(MainFork, "abcdefgh"), m.layer(MainFork, "cx")
	m.makeFork(MainFork, "child")
	m.set(MainFork, "z")
	var images []*crashfs.FS // looked at when nobody is held
	var synced func()
	synced = func() {
		m.at(schedule.ManifestSynced, synced)
		name, content := manifestOf(t, m.disk)
		frames := manifestFrames(content)
		last := frames[len(frames)-1]
		group := binary.LittleEndian.Uint64(content[last+24:]) // synced when the last frame was written
		for _, cut := range append(frames, len(content)) {
			if uint64(cut) < group {
				continue
			}
			image := m.disk.AfterKill()
			require.NoError(t, image.WriteFile(name, slices.Concat(content[:cut], make([]byte, len(content)-cut))))
			images = append(images, image)
		}
	}
	look := func(what string) {
		delete(m.held, schedule.ManifestSynced)
		require.Greater(t, len(images), 2, what)
		for i, image := range images {
			s, err := Open("/db", &Options{FS: image, Manual: true})
			require.NoError(t, err, "%s: image %d", what, i)
			m.holds(s)
			require.NoError(t, s.Verify())
			require.NoError(t, s.Close())
		}
		images = nil
	}
	m.delete(MainFork, "ace")
	m.delete("child", "b")
	m.at(schedule.ManifestSynced, synced)
	m.flush()
	look("a flush that drops tombstones")
	require.Equal(t, "ace", m.marks(m.top(MainFork), old))

	m.at(schedule.ManifestSynced, synced)
	m.merge(young, old)
	look("a merge under marks")
	require.Equal(t, "ace", m.marks(m.top(MainFork), young))

	m.deleteRange("child", "a", "d")
	m.at(schedule.ManifestSynced, synced)
	m.flush()
	look("a flush of a range delete")

	upper := m.top("child")
	m.at(schedule.ManifestSynced, synced)
	m.merge(upper, upper.Older)
	look("a merge of marking nodes")
	require.Equal(t, "abc", m.marks(upper, young))
	m.sound()
}
