package manifest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// rowSets is the plain model of all vectors: which rows who has marked where.
type rowSets map[MarksKey]map[uint32]bool

func (r rowSets) apply(t *Transaction) {
	for _, m := range t.AddMarks {
		if r[m.Key()] == nil {
			r[m.Key()] = map[uint32]bool{}
		}
		for _, row := range m.Vector.Bitmap().ToArray() {
			r[m.Key()][row] = true
		}
	}
	for _, k := range t.DropMarks {
		delete(r, k)
	}
}

func (r rowSets) requireEqual(t *testing.T, s *State) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(r)), slices.Collect(maps.Keys(s.Marks)))
	for k, rows := range r {
		require.Equal(t, slices.Sorted(maps.Keys(rows)), s.Marks[k].Bitmap().ToArray())
		require.EqualValues(t, len(rows), s.Marks[k].Dead())
	}
}

// randomMarks changes a few vectors of a few nodes on a few tables, with a bias to
// those that are there. The rows of table t are 40·t.
func randomMarks(random *rand.Rand) *Transaction {
	key := func() MarksKey { return MarksKey{ids.NodeID(1 + random.IntN(4)), ids.TableID(1 + random.IntN(4))} }
	t := &Transaction{}
	for range random.IntN(4) {
		k := key()
		rows := 40 * uint64(k.Table)
		v := sstable.WholeVector(rows)
		if random.IntN(20) > 0 {
			dead := roaring.New()
			for range 1 + random.IntN(5) {
				dead.Add(uint32(random.Uint64N(rows)))
			}
			v = sstable.NewVector(rows, dead)
		}
		t.AddMarks = append(t.AddMarks, Marks{k.Node, k.Table, v})
	}
	if random.IntN(3) == 0 {
		t.DropMarks = append(t.DropMarks, key())
	}
	return t
}

func TestMarksAddUpUntilTheyAreDropped(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	model, once, twice, parted := rowSets{}, NewState(), NewState(), NewState()
	for range 2000 {
		tx := randomMarks(random)
		before := spellMarks(once)
		model.apply(tx)
		once.Apply(tx)
		model.requireEqual(t, once)
		twice.Apply(tx)
		twice.Apply(tx)
		for _, part := range tx.split(100) {
			parted.Apply(part)
		}
		if tx.Empty() {
			require.Equal(t, before, spellMarks(once))
		}
		require.Equal(t, spellMarks(once), spellMarks(twice))
		require.Equal(t, spellMarks(once), spellMarks(parted))
	}
}

// TestRepeatedMarksComeRight is what a rewrite leans on: whatever moment a vector is
// copied at, all transactions since the base lead to the same in the end.
func TestRepeatedMarksComeRight(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		var txs []*Transaction
		states := []*State{NewState()}
		for i := range 12 {
			txs = append(txs, randomMarks(random))
			s := clone(states[i])
			s.Apply(txs[i])
			states = append(states, s)
		}
		last := states[len(states)-1]
		for base := range states {
			copied := NewState()
			for node := range ids.NodeID(5) {
				for table := range ids.TableID(5) {
					k := MarksKey{node, table}
					if v := states[base+random.IntN(len(states)-base)].Marks[k]; v != nil {
						copied.Marks[k] = v
					}
				}
			}
			for _, tx := range txs[base:] {
				copied.Apply(tx)
			}
			require.Equal(t, spellMarks(last), spellMarks(copied), "seed %d, base %d", seed, base)
		}
	}
}

func TestMarksThatContradictTheirTableAreNotAdmitted(t *testing.T) {
	table := func(id ids.TableID, rows uint64) sstable.Meta {
		return sstable.Meta{ID: id, File: 9, Length: 1, Rows: rows}
	}
	s := NewState()
	s.Apply(&Transaction{PutTables: []sstable.Meta{table(1, 5)}, AddMarks: []Marks{{7, 2, vectorOf(6, 1)}}})
	for _, c := range []struct {
		name string
		tx   Transaction
	}{
		{"those on a table that is there", Transaction{AddMarks: []Marks{{7, 1, vectorOf(6, 1)}}}},
		{"those on a table that comes with them", Transaction{PutTables: []sstable.Meta{table(3, 8)}, AddMarks: []Marks{{7, 3, vectorOf(7, 1)}}}},
		{"those added to others", Transaction{AddMarks: []Marks{{7, 2, vectorOf(5, 1)}}}},
		{"those on a table that two nodes see differently", Transaction{AddMarks: []Marks{{7, 4, vectorOf(5, 1)}, {8, 4, vectorOf(6, 1)}}}},
		{"those of one node twice", Transaction{AddMarks: []Marks{{7, 4, vectorOf(5, 1)}, {7, 4, vectorOf(6, 1)}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := spellMarks(s)
			require.ErrorContains(t, s.admits(&c.tx), "as if it had")
			require.Panics(t, func() { s.Apply(&c.tx) })
			require.Equal(t, before, spellMarks(s))
			require.Len(t, s.Tables, 1, "nothing of it was applied")
		})
	}
	require.NoError(t, s.admits(&Transaction{PutTables: []sstable.Meta{table(3, 8)},
		AddMarks: []Marks{{7, 1, vectorOf(5, 1)}, {7, 2, vectorOf(6, 1)}, {7, 3, vectorOf(8, 1)}, {8, 3, vectorOf(8, 1)}, {7, 4, vectorOf(9, 1)}}}))
}

// TestLoadForgetsMarksWithoutNodeOrTable, and until then they stay, through a
// rewrite too: their node or table may be about to come.
func TestLoadForgetsMarksWithoutNodeOrTable(t *testing.T) {
	disk := newDisk(t)
	log, err := Create(disk, testDir, soundState(), Options{NextFile: fileNumbers(21)})
	require.NoError(t, err)
	log.Append(&Transaction{
		AddMarks: []Marks{
			{11, 90, vectorOf(5, 2)}, // staged on a table that comes
			{11, 91, vectorOf(5, 2)}, // staged on one that does not
			{92, 30, vectorOf(5, 1)}, // of a node that comes
			{93, 30, vectorOf(5, 1)}, // of one that does not
			{93, 91, vectorOf(5, 1)},
			{10, 32, vectorOf(5, 0)}, // on one that goes
		},
	}, 0)
	require.NoError(t, log.Rewrite())
	log.View(func(s *State) { require.Len(t, s.Marks, 8) })
	table := soundState().Tables[30]
	table.ID, table.File = 90, 94
	log.Append(&Transaction{
		PutTables:  []sstable.Meta{table},
		PutNodes:   []Node{{ID: 92, Older: 11, Tables: []ids.TableID{90}}, {ID: 11, Older: 10, Fork: 1, Frozen: 14}},
		DropTables: []ids.TableID{32},
	}, 0)
	log.View(func(s *State) { require.Len(t, s.Marks, 8) })
	require.NoError(t, log.Close())

	state, info, err := Load(disk, testDir)
	require.NoError(t, err)
	require.Equal(t, 4, info.Forgotten)
	require.Equal(t, []MarksKey{{11, 30}, {11, 31}, {11, 90}, {92, 30}}, sortedMarks(state.Marks))

	log, err = Create(disk, testDir, state, Options{NextFile: fileNumbers(23)})
	require.NoError(t, err)
	require.NoError(t, log.Close())
	_, info, err = Load(disk, testDir)
	require.NoError(t, err)
	require.Zero(t, info.Forgotten, "they are not written again")
}

// TestMarksWithoutLimit: more marks than a transaction takes go ahead of it.
func TestMarksWithoutLimit(t *testing.T) {
	// A row in two: the stored form is as long as it gets, an eighth of a byte a row.
	const rows = 8 << 20
	dead := roaring.New()
	for row := uint32(0); row < rows; row += 2 {
		dead.Add(row)
	}
	v := sstable.NewVector(rows, dead)
	require.Greater(t, v.EncodedBytes(), 1<<20)
	tx := &Transaction{PutForks: []Fork{{ID: 1, Name: "main", Memtable: 3}}, DropMarks: []MarksKey{{3, 40}}}
	const vectors = 40
	for i := range ids.NodeID(vectors) {
		tx.AddMarks = append(tx.AddMarks, Marks{3 + i, 40, v})
	}

	disk, work := newDisk(t), newWorkload(1)
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	require.EqualValues(t, 3, log.Append(tx, 0), "two transactions go ahead")
	require.Len(t, tx.AddMarks, vectors, "the caller's is as it was")
	log.View(func(s *State) { require.Len(t, s.Marks, vectors-1) })
	require.NoError(t, log.Close())
	var sizes, forks []int
	_, _, err = scan(disk, testDir, func(_ int64, f frame, t *Transaction) error {
		if f.kind == frameTransaction {
			sizes = append(sizes, len(f.payload))
			forks = append(forks, len(t.PutForks))
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, sizes, 3)
	require.LessOrEqual(t, slices.Max(sizes), maxMarksBytes+putForkBytes+10+dropMarksBytes)
	require.Equal(t, []int{0, 0, 1}, forks, "all but marks takes effect at the end")
	_, info, err := Load(disk, testDir)
	require.NoError(t, err)
	require.Equal(t, vectors-1, info.Forgotten)
}

func TestSplitKeepsOrderAndLimit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	for range 500 {
		tx := &Transaction{DropNodes: []ids.NodeID{5}}
		longest := 0
		for i := range random.IntN(30) {
			dead := roaring.New()
			for range 1 + random.IntN(50) {
				dead.Add(random.Uint32N(5000))
			}
			tx.AddMarks = append(tx.AddMarks, Marks{ids.NodeID(i + 1), 9, sstable.NewVector(5000, dead)})
			longest = max(longest, tx.AddMarks[i].editBytes())
		}
		limit := 1 + random.IntN(2000)
		parts := tx.split(limit)
		var marks []Marks
		for i, part := range parts {
			marks = append(marks, part.AddMarks...)
			last := i == len(parts)-1
			require.Equal(t, last, len(part.DropNodes) == 1)
			require.True(t, last || len(part.AddMarks) > 0, "an empty part would take a place")
			require.LessOrEqual(t, (&Transaction{AddMarks: part.AddMarks}).payloadBytes(), max(limit, longest))
		}
		require.Equal(t, tx.AddMarks, marks)
	}
}

// TestEveryFlippedBitOfAVectorIsFound even under a frame whose checksum is right: a
// vector that was damaged in memory must not be taken for what it says.
func TestEveryFlippedBitOfAVectorIsFound(t *testing.T) {
	counters := appendCounters(nil, Counters{NextID: 100, NextLSN: 10})
	marks := appendAddMarks(nil, &Marks{11, 30, vectorOf(5000, 1, 2, 3, 700, 4000)})
	load := func(marks []byte) error {
		_, _, err := newBuilder().add(frame{kind: frameSlice, position: 5, payload: counters}).
			add(frame{kind: frameSlice, position: 5, payload: marks}).add(frame{kind: frameBase, position: 5}).load(t)
		return err
	}
	require.NoError(t, load(marks))
	for bit := 8; bit < 8*len(marks); bit++ {
		damaged := slices.Clone(marks)
		damaged[bit/8] ^= 1 << (bit % 8)
		requireCorrupt(t, load(damaged), damagedManifest, 1<<20)
	}
	for length := 1; length < len(marks); length++ {
		requireCorrupt(t, load(marks[:length]), damagedManifest, 1<<20)
	}
}
