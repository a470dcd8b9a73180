package sstable

import (
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// Remap says which row of which consumed table became which row of which new
// table. A RemapBuilder makes it. It is immutable and may be used concurrently.
type Remap struct {
	consumed []ids.TableID
	sources  map[ids.TableID]*remapSource
	outputs  []remapOutput
	places   uint64 // rows of all new tables
}

// remapSource is a consumed table: its nth row that was kept has the nth place.
type remapSource struct {
	rows     uint64
	ordinals rankedSet
	places   rankedSet
}

// remapTableBytes is about the memory of a source or an output beside its sets.
const remapTableBytes = 128

// Translated is what a vector on a consumed table says of one new table.
type Translated struct {
	Table  ids.TableID
	Vector *Vector
}

// Consumed gives the consumed tables in the order in which they were added. It
// must not be changed.
func (m *Remap) Consumed() []ids.TableID { return m.consumed }

// output gives the place of row 0 of the ith new table, and its rows.
func (m *Remap) output(i int) (first, rows uint64) {
	first, end := m.outputs[i].first, m.places
	if i+1 < len(m.outputs) {
		end = m.outputs[i+1].first
	}
	return first, end - first
}

// Translate gives the vectors that say of the new tables what v says of a
// consumed one. It goes by rows and knows no keys: a row that was not kept is
// dead nowhere, and no other row inherits its mark. None of the vectors is empty;
// they come in the order of the new tables. It costs time linear in the dead rows
// of v, a search for each stretch of them, and nothing for the other rows.
func (m *Remap) Translate(table ids.TableID, v *Vector) []Translated {
	s := m.sources[table]
	invariant.Check(s != nil, "table %d was not consumed", table)
	invariant.Check(s.rows == v.Rows(), "vector for %d rows on table %d, which has %d", v.Rows(), table, s.rows)
	t := translation{m: m, at: -1}
	if v.Whole() {
		s.places.stretches(0, s.places.len(), t.add)
	} else {
		for from, to := range v.Bitmap().Ranges() {
			s.places.stretches(s.ordinals.rank(uint64(from)), s.ordinals.rank(to), t.add)
		}
	}
	t.close()
	return t.done
}

// translation collects places, which rise, into vectors.
type translation struct {
	m     *Remap
	done  []Translated
	at    int // index of the new table that dead is of; -1 at first
	first uint64
	end   uint64 // places first ≤ place < end are its rows
	dead  *roaring.Bitmap
}

// add takes in the places from ≤ place < to.
func (t *translation) add(from, to uint64) {
	for from < to {
		if from >= t.end {
			t.enter(from)
		}
		until := min(to, t.end)
		if until-from == 1 {
			t.dead.Add(uint32(from - t.first))
		} else {
			t.dead.AddRange(from-t.first, until-t.first)
		}
		from = until
	}
}

// enter goes on to the new table that has the place.
func (t *translation) enter(place uint64) {
	t.close()
	// The last that begins there or before: one without rows lies before it.
	t.at = sort.Search(len(t.m.outputs), func(i int) bool { return t.m.outputs[i].first > place }) - 1
	first, rows := t.m.output(t.at)
	t.first, t.end, t.dead = first, first+rows, roaring.New()
}

// close makes the vector of the new table that was being collected for.
func (t *translation) close() {
	if t.at >= 0 {
		t.done = append(t.done, Translated{Table: t.m.outputs[t.at].table, Vector: NewVector(t.end-t.first, t.dead)})
	}
}

// Bytes is about the memory held.
func (m *Remap) Bytes() int64 {
	n := remapTableBytes * int64(len(m.sources)+len(m.outputs))
	for _, s := range m.sources {
		n += s.ordinals.memoryBytes() + s.places.memoryBytes()
	}
	return n
}
