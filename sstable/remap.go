package sstable

import (
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// RemapBuilder notes, while tables are merged, which of their rows becomes which
// row of a new table. One goroutine may use it at a time, sources included.
type RemapBuilder struct {
	sources []*RemapSource
	outputs []remapOutput
	next    uint64 // place of the next row that is kept, counted over all outputs
}

// RemapSource is one consumed table.
type RemapSource struct {
	b     *RemapBuilder
	table ids.TableID
	rows  uint64

	ordinals []uint32
	places   []uint64
}

// remapOutput is one new table; first is the place of its row 0.
type remapOutput struct {
	table ids.TableID
	first uint64
}

// NewRemapBuilder makes a builder that knows no table yet.
func NewRemapBuilder() *RemapBuilder { return &RemapBuilder{} }

// From adds a table that is consumed. Every one is to be added, also one of
// which no row survives; each once.
func (b *RemapBuilder) From(table ids.TableID, rows uint64) *RemapSource {
	invariant.Check(rows > 0 && rows <= MaxRows, "table %d of %d rows is consumed", table, rows)
	s := &RemapSource{b: b, table: table, rows: rows}
	b.sources = append(b.sources, s)
	return s
}

// To begins a new table: the rows kept from now on are its rows 0, 1, …
func (b *RemapBuilder) To(table ids.TableID) {
	b.outputs = append(b.outputs, remapOutput{table: table, first: b.next})
}

// Keep says that the next row of the new table is this row of s. The ordinals of
// one source rise.
func (s *RemapSource) Keep(ordinal uint64) {
	s.ordinals = append(s.ordinals, uint32(ordinal))
	s.places = append(s.places, s.b.next)
	s.b.next++
}

// Finish gives the remap. The builder and its sources are not to be used again.
func (b *RemapBuilder) Finish() *Remap {
	m := &Remap{outputs: b.outputs, total: b.next, sources: map[ids.TableID]*RemapSource{}}
	for _, s := range b.sources {
		m.consumed = append(m.consumed, s.table)
		m.sources[s.table] = s
	}
	return m
}

// Remap says which row of which consumed table became which row of which new
// table. It is immutable and may be used concurrently.
type Remap struct {
	consumed []ids.TableID
	sources  map[ids.TableID]*RemapSource
	outputs  []remapOutput
	total    uint64
}

// Translated is what a vector on a consumed table says of one new table.
type Translated struct {
	Table  ids.TableID
	Vector *Vector
}

// Consumed gives the consumed tables in the order in which they were added.
func (m *Remap) Consumed() []ids.TableID { return m.consumed }

// Translate gives the vectors that say of the new tables what v says of a
// consumed one: row by row, so a row that was dropped is dead nowhere. None is
// empty; they come in the order of the new tables.
func (m *Remap) Translate(table ids.TableID, v *Vector) []Translated {
	s := m.sources[table]
	invariant.Check(s != nil, "table %d was not consumed", table)
	invariant.Check(s.rows == v.Rows(), "vector for %d rows on table %d, which has %d", v.Rows(), table, s.rows)
	marked := v.Bitmap()
	bitmaps := make([]*roaring.Bitmap, len(m.outputs))
	for i, ordinal := range s.ordinals {
		if !marked.Contains(ordinal) {
			continue
		}
		at := sort.Search(len(m.outputs), func(k int) bool { return m.outputs[k].first > s.places[i] }) - 1
		if bitmaps[at] == nil {
			bitmaps[at] = roaring.New()
		}
		bitmaps[at].Add(uint32(s.places[i] - m.outputs[at].first))
	}
	var out []Translated
	for i, b := range bitmaps {
		if b != nil {
			end := m.total
			if i+1 < len(m.outputs) {
				end = m.outputs[i+1].first
			}
			out = append(out, Translated{Table: m.outputs[i].table, Vector: NewVector(end-m.outputs[i].first, b)})
		}
	}
	return out
}

// Bytes is the memory held.
func (m *Remap) Bytes() int64 {
	n := int64(len(m.outputs)) * 16
	for _, s := range m.sources {
		n += 64 + int64(len(s.ordinals))*12
	}
	return n
}
