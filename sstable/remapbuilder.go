package sstable

import (
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

// RemapSource is one consumed table of a RemapBuilder.
//
// Its nth row that is kept has the nth place of its places. Both sets cost a bit
// per row, or per place between the first and the last: tables of one run lie
// side by side in the output, so a place counts once for each run.
type RemapSource struct {
	b        *RemapBuilder
	table    ids.TableID
	rows     uint64
	next     uint64 // least ordinal that may be kept
	ordinals rankedBuilder
	places   rankedBuilder
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
	// An assertion of the usual kind would cost more than the rest.
	if ordinal < s.next || ordinal >= s.rows || len(s.b.outputs) == 0 {
		s.misused(ordinal)
	}
	s.next = ordinal + 1
	s.ordinals.add(ordinal)
	s.places.add(s.b.next)
	s.b.next++
}

func (s *RemapSource) misused(ordinal uint64) {
	invariant.Check(len(s.b.outputs) > 0, "row %d of table %d is kept in no table", ordinal, s.table)
	invariant.Check(false, "row %d of %d of table %d is kept behind row %d", ordinal, s.rows, s.table, int64(s.next)-1)
}

// Finish gives the remap. The builder and its sources are not to be used again.
func (b *RemapBuilder) Finish() *Remap {
	m := &Remap{
		consumed: make([]ids.TableID, len(b.sources)),
		sources:  make(map[ids.TableID]*remapSource, len(b.sources)),
		outputs:  b.outputs,
		places:   b.next,
	}
	for i, s := range b.sources {
		invariant.Check(m.sources[s.table] == nil, "table %d is consumed twice", s.table)
		m.consumed[i] = s.table
		m.sources[s.table] = &remapSource{rows: s.rows, ordinals: s.ordinals.finish(), places: s.places.finish()}
		s.b = nil // whoever still keeps rows finds out
	}
	for i := range b.outputs {
		_, rows := m.output(i)
		invariant.Check(rows <= MaxRows, "new table %d has %d rows", b.outputs[i].table, rows)
	}
	*b = RemapBuilder{}
	return m
}
