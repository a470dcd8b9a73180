package engine

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Each test here stands for a bug that another system has shipped with deletion
// bitmaps and compaction.

// Apache Doris 63167: deletes that came while a compaction was running marked rows
// of its inputs, and its output knew nothing of them, so that deleted rows came
// back. Here they come while a merge is about to install; and the other way round,
// the deleting job has found the rows and is about to install while the merge does.
func TestDeletesThatComeDuringAMergeHitItsOutput(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking)
	}{
		{"a flush installs while the merge is held", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.at(schedule.MergeWritten, func() {
				m.delete(MainFork, "abe")
				m.flush()
				require.Equal(m, "b", m.marks(m.top(MainFork), young))
				require.Equal(m, "abe", m.marks(m.top(MainFork), old))
			})
			m.merge(young, old)
			require.Equal(m, "abe", m.marks(m.top(MainFork), young))
		}},
		{"a flush with a range delete installs while the merge is held", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.at(schedule.MergeWritten, func() {
				m.deleteRange(MainFork, "b", "e")
				m.flush()
			})
			m.merge(young, old)
			require.Equal(m, "bcd", m.marks(m.top(MainFork), young))
		}},
		{"a range delete of whole tables is flushed while the merge is held", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.at(schedule.MergeWritten, func() {
				m.deleteRange(MainFork, "a", "z")
				m.flush()
			})
			m.merge(young, old)
			require.Equal(m, "abcdefg", m.marks(m.top(MainFork), young))
		}},
		{"many forks delete while the merge is held", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			for i, name := range []string{"one", "two", "three", "four"} {
				m.makeFork(MainFork, name)
				if i == 0 {
					m.delete(name, "af")
				}
			}
			m.flush()
			m.at(schedule.MergeWritten, func() {
				m.delete("two", "ab")
				m.delete("three", "cd")
				m.deleteRange("four", "b", "z")
				m.flush()
			})
			m.merge(young, old)
			require.Equal(m, "af", m.marks(m.top("one"), young))
			require.Equal(m, "ab", m.marks(m.top("two"), young))
			require.Equal(m, "cd", m.marks(m.top("three"), young))
			require.Equal(m, "bcdefg", m.marks(m.top("four"), young))
			require.Greater(m, m.s.Stats().VectorsStaged, uint64(2))
		}},
		{"a flush installs when the marks of others are carried over already", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.makeFork(MainFork, "one")
			m.delete("one", "ac")
			m.delete(MainFork, "d")
			m.flush()
			m.mergeBySteps(young, old, func() {
				m.delete(MainFork, "ab")
				m.makeFork("one", "two")
				m.delete("two", "bd")
				m.flush()
			})
			require.Equal(m, "ab", m.marks(m.top(MainFork), young))
			require.Equal(m, "bd", m.marks(m.top("two"), young))
		}},
		{"a flush has found the rows and is held while the merge installs", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.delete(MainFork, "abe")
			m.at(schedule.FlushWritten, func() { m.merge(young, old) })
			m.flush()
			require.Equal(m, "abe", m.marks(m.top(MainFork), young))
			require.EqualValues(m, 3, m.s.Stats().TombstonesResolved)
		}},
		{"a flush is held while two merges install, one on top of the other", func(m *marking) {
			old, middle, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg"), m.layer(MainFork, "ah")
			m.delete(MainFork, "abeg")
			m.makeFork(MainFork, "child")
			m.deleteRange("child", "c", "e")
			m.at(schedule.FlushWritten, func() {
				m.merge(middle, old)
				m.merge(young, middle)
			})
			m.flush()
			require.Equal(m, "abeg", m.marks(m.top("child").Older, young))
			require.Equal(m, "cd", m.marks(m.top("child"), young))
		}},
		{"a merge has found rows for its tombstones and is held while one below it installs", func(m *marking) {
			old := m.layer(MainFork, "abcdef")
			m.set(MainFork, "b")
			m.makeFork(MainFork, "child") // the rows above it are in memory
			m.delete(MainFork, "b")
			m.flush()
			upper, lower := m.top(MainFork), m.top("child")
			require.EqualValues(m, 1, upper.Run.Tombstones(), "an older row was in memory")
			m.at(schedule.MergeWritten, func() { m.merge(lower, old) })
			m.merge(upper, upper)
			require.Zero(m, upper.Run.Rows())
			require.Equal(m, "b", m.marks(upper, lower))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
		})
	}
}

// Apache Doris 38369: after a change of a table's layout the bitmaps still had the
// row numbers of the old one. Here rows move because those before them go, because
// rows of other runs come between, and into tables of another size; the marks are
// those of forks that the merge serves and does not ask.
func TestMarksFollowRowsThatMove(t *testing.T) {
	const all = "abcdefghijklmnopqrstuvwxyz"
	forks := func(m *marking) {
		for _, name := range []string{"one", "two", "three"} {
			m.makeFork(MainFork, name)
		}
		m.delete("one", "cpz")
		m.deleteRange("two", "e", "y")
		m.delete("three", "z")
		m.makeFork("three", "four")
		m.set("four", "z")
		m.delete("four", "cd")
		m.flush()
	}
	for _, c := range []struct {
		name string
		do   func(m *marking)
	}{
		{"dead rows before them go", func(m *marking) {
			n := m.layer(MainFork, all)
			m.delete(MainFork, "abfq")
			m.flush()
			n2 := m.top(MainFork)
			forks(m)
			m.merge(n2, n)
			require.Equal(m, "cpz", m.marks(m.top("one"), n2))
			require.Equal(m, "z", m.marks(m.top("three"), n2))
			require.Equal(m, "cd", m.marks(m.top("four"), n2))
		}},
		{"rows of other runs come between", func(m *marking) {
			n := m.layer(MainFork, "acegikmoqsuwyz")
			m.layer(MainFork, "bdfhjc")
			n2 := m.layer(MainFork, "lnprtvx")
			forks(m)
			m.merge(n2, n)
			require.Equal(m, "cpz", m.marks(m.top("one"), n2))
		}},
		{"tables become larger", func(m *marking) {
			m.reopen(100)
			n := m.layer(MainFork, all)
			forks(m)
			require.Greater(m, len(n.Run.Tables), 5)
			m.reopen(1 << 20)
			n = m.top("one").Older
			m.merge(n, n)
			require.Len(m, n.Run.Tables, 1)
			require.Equal(m, "cpz", m.marks(m.top("one"), n))
		}},
		{"tables become smaller", func(m *marking) {
			m.layer(MainFork, all)
			forks(m)
			m.reopen(100)
			n := m.top("one").Older
			m.merge(n, n)
			require.Greater(m, len(n.Run.Tables), 5)
			require.Equal(m, "cpz", m.marks(m.top("one"), n))
		}},
		{"one table of several is written again, and one goes", func(m *marking) {
			m.reopen(400)
			n := m.layer(MainFork, all)
			first, last := n.Run.Tables[0], n.Run.Tables[len(n.Run.Tables)-1]
			require.Greater(m, len(n.Run.Tables), 3)
			require.GreaterOrEqual(m, first.Meta.Rows, uint64(3))
			m.makeFork(MainFork, "one")
			m.delete("one", "az")
			m.deleteRange("one", string(last.Meta.Smallest), "z")
			m.flush()
			one := m.top("one")
			m.drop(MainFork)
			require.NoError(m, m.s.Settle())
			m.join(one, n) // now the node marks rows of its own run
			m.makeFork("one", "two")
			m.delete("two", "bl")
			m.makeFork("one", "three")
			m.deleteRange("three", "c", "k")
			m.flush()
			before := len(one.Run.Tables)
			m.rewrite(one, first, last)
			require.Len(m, one.Run.Tables, before-1)
			require.NotSame(m, first, one.Run.Tables[0])
			require.Empty(m, one.Marks())
			require.Equal(m, "bl", m.marks(m.top("two"), one))
			require.Equal(m, "cdefghij", m.marks(m.top("three"), one))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
		})
	}
}

// Apache Doris 64560: a job that computed bitmaps opened files again by the list
// with which it had begun, and a compaction had removed them meanwhile. Here every
// read opens its table anew, and all that a flush or a merge looks into is merged
// away and reclaimed before it looks.
func TestTablesThatAreMergedAwayStayForTheJobThatResolvesDeletes(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking, old, young *forktree.Node, merge func())
	}{
		{"a flush resolves deletes", func(m *marking, _, young *forktree.Node, merge func()) {
			m.delete(MainFork, "abe")
			m.at(schedule.FlushPicked, merge)
			m.flush()
			require.Equal(m, "abe", m.marks(m.top(MainFork), young))
			require.EqualValues(m, 3, m.s.Stats().TombstonesResolved, "a table that cannot be read would have left tombstones")
		}},
		{"a flush resolves a range delete", func(m *marking, _, young *forktree.Node, merge func()) {
			m.deleteRange(MainFork, "b", "e")
			m.at(schedule.FlushPicked, merge)
			m.flush()
			require.Equal(m, "bcd", m.marks(m.top(MainFork), young))
		}},
		{"a merge resolves tombstones", func(m *marking, old, young *forktree.Node, merge func()) {
			m.set(MainFork, "b")
			m.makeFork(MainFork, "child")
			m.delete(MainFork, "b")
			m.flush()
			upper := m.top(MainFork)
			require.EqualValues(m, 1, upper.Run.Tombstones())
			c := m.claim(upper, upper)
			w := m.s.merging(c, everything)
			merge()
			require.NoError(m, m.s.merge(c, w, m.s.stopped))
			require.Zero(m, upper.Run.Rows())
			require.Equal(m, "b", m.marks(upper, young))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.makeFork(MainFork, "twin")
			c.do(m, old, young, func() {
				m.merge(young, old)
				require.NoError(m, m.s.afterSwap())
			})
			m.sound()
		})
	}
}

// Apache Doris 16587: two writers computed bitmaps of one segment from different
// versions, and the second one stored its own over that of the first. Here one
// node's vector on one table gets rows from several sides; they add up, in the tree,
// in the manifest's log, and in what a restart reads of it.
func TestMarksOnOneTableAddUp(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking)
	}{
		{"of two nodes that become one", func(m *marking) {
			old := m.layer(MainFork, "abcdefgh")
			m.delete(MainFork, "ah")
			m.flush()
			lower := m.top(MainFork)
			m.delete(MainFork, "bg")
			m.flush()
			upper := m.top(MainFork)
			require.NotSame(m, lower, upper)
			m.merge(upper, lower)
			require.Equal(m, "abgh", m.marks(upper, old))
			m.sound()
			m.delete(MainFork, "cf")
			m.flush()
			m.join(m.top(MainFork), upper)
			require.Equal(m, "abcfgh", m.marks(m.top(MainFork), old))
		}},
		{"of a node on two tables that become one", func(m *marking) {
			old, young := m.layer(MainFork, "aceg"), m.layer(MainFork, "bdfh")
			m.delete(MainFork, "abgh")
			m.flush()
			m.makeFork(MainFork, "child")
			m.delete("child", "de")
			m.flush()
			m.merge(young, old)
			require.Equal(m, "abgh", m.marks(m.top(MainFork), young))
			require.Equal(m, "de", m.marks(m.top("child"), young))
		}},
		{"that a flush has found, and of the merge of the nodes below it", func(m *marking) {
			base := m.layer(MainFork, "abcdefgh")
			m.set(MainFork, "b")
			m.makeFork(MainFork, "child")
			m.delete(MainFork, "b")
			m.flush()
			upper := m.top(MainFork) // has a tombstone of b
			m.delete(MainFork, "ac")
			m.flush()
			m.drop("child")
			top := m.top(MainFork)
			m.delete(MainFork, "h")
			m.at(schedule.FlushWritten, func() { m.merge(top, upper) }) // finds b, and takes a and c over
			m.flush()
			require.Equal(m, "abc", m.marks(top, base))
			require.Equal(m, "h", m.marks(m.top(MainFork), base))
		}},
		{"that were carried over before the swap, and of a node installed meanwhile", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.set(MainFork, "x")
			m.makeFork(MainFork, "one")
			m.delete(MainFork, "x")
			m.delete(MainFork, "ad")
			m.flush()
			m.makeFork(MainFork, "two")
			m.delete("two", "e")
			m.flush()
			lower, upper := m.top(MainFork), m.top("two")
			require.Equal(m, "ad", m.marks(lower, old))
			m.delete("one", "b")
			m.flush()
			m.mergeBySteps(young, old, func() { m.merge(upper, lower) })
			require.Equal(m, "ade", m.marks(upper, young), "they are in the new table")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
			m.reopen(8 << 10)
			m.sound()
		})
	}
}

// Apache Doris 50974: a compaction wrote bitmaps of files that it had not made,
// over what others had marked there. Here a merge swallows nodes that mark rows
// outside its range, and a rewrite keeps tables in which its node marks rows.
func TestAMergeKeepsMarksOnTablesThatItDoesNotMake(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking)
	}{
		{"on tables below the range", func(m *marking) {
			old := m.layer(MainFork, "abcdefgh")
			m.delete(MainFork, "a")
			lower := m.layer(MainFork, "i")
			m.makeFork(MainFork, "child")
			m.delete(MainFork, "b")
			m.layer(MainFork, "j")
			m.delete(MainFork, "ci")
			upper := m.layer(MainFork, "k")
			m.merge(upper, lower)
			require.Equal(m, "abc", m.marks(upper, old))
			require.Equal(m, "a", m.marks(lower, old), "the child reads through it")
			m.delete("child", "d")
			m.flush()
			require.Equal(m, "d", m.marks(m.top("child"), old))
		}},
		{"on whole tables below the range", func(m *marking) {
			old := m.layer(MainFork, "abcdefgh")
			m.makeFork(MainFork, "child")
			m.deleteRange(MainFork, "a", "z")
			lower := m.layer(MainFork, "b")
			upper := m.layer(MainFork, "c")
			m.merge(upper, lower)
			require.Equal(m, "abcdefgh", m.marks(upper, old))
		}},
		{"on tables that a rewrite keeps", func(m *marking) {
			m.reopen(400)
			n := m.layer(MainFork, "abcdefghijkl")
			require.Len(m, n.Run.Tables, 4)
			m.delete(MainFork, "abdgl")
			m.flush()
			top := m.top(MainFork)
			m.makeFork(MainFork, "child")
			m.delete("child", "eh")
			m.flush()
			m.join(top, n)
			first := top.Run.Tables[0]
			m.rewrite(top, first)
			require.Equal(m, "dgl", m.marks(top, top))
			require.Equal(m, "eh", m.marks(m.top("child"), top))
		}},
		{"on tables of a fork that goes another way", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.makeFork(MainFork, "left")
			m.makeFork(MainFork, "right")
			m.delete("left", "ab")
			m.delete("right", "bc")
			m.flush()
			left, right := m.top("left"), m.top("right")
			m.merge(left, old)
			require.Empty(m, left.Marks())
			require.Equal(m, "b", m.marks(right, young))
			require.Equal(m, "bc", m.marks(right, old))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
		})
	}
}

// Apache Paimon 8778: when a file was dropped, its bitmap stayed for ever. Here
// tables go for every reason there is; then no vector speaks of them, in the tree,
// in its counts, in the manifest, or after a restart (see marking.vectors).
func TestNoVectorOutlivesItsTable(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *marking)
		left int // vectors
	}{
		{"a merge takes marking and marked node", func(m *marking) {
			old := m.layer(MainFork, "abcdef")
			m.delete(MainFork, "ab")
			m.flush()
			m.merge(m.top(MainFork), old)
		}, 0},
		{"a merge of marked tables, with many marking nodes above", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			for _, name := range []string{"one", "two", "three", "four"} {
				m.makeFork(MainFork, name)
				m.delete(name, "ab")
			}
			m.flush()
			require.Equal(m, 8, m.s.Stats().Vectors)
			m.merge(young, old)
		}, 4},
		{"the marked rows of some are not in the new tables", func(m *marking) {
			old := m.layer(MainFork, "abcdef")
			m.layer(MainFork, "b")
			young := m.layer(MainFork, "c")
			m.delete(MainFork, "a")
			m.flush()
			m.makeFork(MainFork, "child")
			m.delete("child", "bc")
			m.flush()
			m.merge(young, old)
			m.merge(m.top(MainFork), young)
		}, 1},
		{"the marking forks are dropped", func(m *marking) {
			m.layer(MainFork, "abcdef")
			for _, name := range []string{"one", "two"} {
				m.makeFork(MainFork, name)
				m.delete(name, "ab")
			}
			m.flush()
			m.drop("one")
			m.drop("two")
		}, 0},
		{"the marking forks are dropped between swap and sweep", func(m *marking) {
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			for _, name := range []string{"one", "two", "three"} {
				m.makeFork(MainFork, name)
				m.delete(name, "ab")
			}
			m.flush()
			m.at(schedule.MergePlaced, func() {
				m.drop("one")
				m.drop("two")
				require.NoError(m, m.s.afterSwap())
			})
			m.merge(young, old)
		}, 1},
		{"a merge that nobody wants any more is thrown away", func(m *marking) {
			m.makeFork(MainFork, "other")
			old, young := m.layer(MainFork, "abcdef"), m.layer(MainFork, "bg")
			m.makeFork(MainFork, "child")
			m.delete("child", "ab")
			m.delete(MainFork, "b")
			m.flush()
			m.mergeBySteps(young, old, func() {
				m.drop("child")
				m.drop(MainFork)
				require.NoError(m, m.s.afterSwap())
			})
			require.EqualValues(m, 1, m.s.Stats().Discarded)
		}, 0},
		{"a wholly dead table goes without being read", func(m *marking) {
			old := m.layer(MainFork, "abcdef")
			m.makeFork(MainFork, "child")
			m.deleteRange(MainFork, "a", "z")
			m.flush()
			m.drop("child")
			require.NoError(m, m.s.Settle())
			m.merge(m.top(MainFork), old)
			require.Zero(m, m.top(MainFork).Run.Rows())
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMarking(t, 8<<10)
			c.do(m)
			m.sound()
			require.Len(m, m.vectors(m.s), c.left)
			m.reopen(8 << 10)
			require.Len(m, m.vectors(m.s), c.left)
		})
	}
}

// iceberg-go 1221: deletes were removed by the file that they were stored in, which
// held those of other data files too. Here one file holds the tables of many
// nodes, and only some of these go.
func TestMarksOnOtherTablesOfTheSameFileStay(t *testing.T) {
	m := newMarking(t, 8<<10)
	m.set(MainFork, "abcdef")
	m.makeFork(MainFork, "one")
	m.set(MainFork, "ghi")
	m.makeFork(MainFork, "two")
	m.set("one", "jkl")
	m.flush()
	base, main, one := m.top("one").Older, m.top(MainFork), m.top("one")
	file := base.Run.Tables[0].Place.Meta().File
	require.Equal(m, file, main.Run.Tables[0].Place.Meta().File)
	require.Equal(m, file, one.Run.Tables[0].Place.Meta().File)

	m.makeFork("one", "three")
	m.delete("two", "ag")
	m.delete("three", "bjk")
	m.delete(MainFork, "ch")
	m.flush()
	two, three := m.top("two"), m.top("three")

	m.merge(main, main)
	require.Equal(m, "g", m.marks(two, main))
	require.Equal(m, "a", m.marks(two, base))
	require.Equal(m, "b", m.marks(three, base))
	require.Equal(m, "jk", m.marks(three, one))
	m.merge(three, one)
	require.Equal(m, "b", m.marks(three, base), "taken over, and not removed with the file's other table")
	require.Equal(m, "a", m.marks(two, base))
	require.Contains(m, m.disk.Names(), path.Join("db", ids.TableFileName(file)))
	m.sound()
	for _, name := range []string{"one", "two", MainFork} {
		m.drop(name)
	}
	m.merge(m.top("three"), base)
	require.NoError(m, m.s.Settle())
	require.NotContains(m, m.disk.Names(), path.Join("db", ids.TableFileName(file)))
	require.Empty(m, m.vectors(m.s))
	m.sound()
}

// After a power loss between a swap and its sweep nobody remembers what was to be
// swept: here the old tables stay for another fork, and go with it.
func TestWhatACrashKeptFromBeingSweptIsForgotten(t *testing.T) {
	m := newMarking(t, 8<<10)
	old := m.layer(MainFork, "abcdef")
	m.makeFork(MainFork, "other")
	young := m.layer(MainFork, "bg")
	for _, name := range []string{"one", "two", "three"} {
		m.makeFork(MainFork, name)
		m.delete(name, "acg")
	}
	m.flush()
	m.drop(MainFork)
	var image *crashfs.FS
	m.at(schedule.MergePlaced, func() {
		require.NoError(m, m.s.man.Sync(m.s.man.Last()))
		image = m.disk.PowerLossStrict()
	})
	m.merge(young, old)
	m.sound()

	require.NoError(t, m.s.Close())
	m.disk = image
	m.open(8 << 10)
	m.sound()
	require.Len(t, m.vectors(m.s), 3)
	m.drop("other")
	m.sound()
	require.Len(t, m.vectors(m.s), 3)
}
