package forktree

import (
	"bytes"
	"iter"
	"slices"
	"sort"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// chunk is a stretch of the list of tables of one or several long runs: an immutable
// list that a node's record names by its id, so that a run in which a few tables have
// changed is held, counted and logged by what has changed, and shares the rest with the
// run that it came from.
//
// Where a list is cut depends on the tables around the cut and on nothing else: behind
// a table that its id chooses, or when a chunk is full. So two lists that have a stretch
// in common have most of its chunks in common, whoever made them and in whatever order;
// behind a change the cuts are the same again from the next chosen table on.
//
// Owned by the Tree, under its lock. Invariants: it has a table; it is in Tree.chunks
// from when it is made until no run that is held or pinned has it; no two in there have
// the same id.
type chunk struct {
	id     ids.ChunkID
	tables []*Table

	held   int32 // runs that nodes hold: while > 0 the manifest names it
	alive  int32 // runs held or pinned
	ends   bool  // a list that has its tables is cut behind them, whatever comes then
	logged bool
}

// cuts say where lists of tables are cut. Any cut can be read.
type cuts struct {
	whole int    // the most tables of a run that is not cut
	mean  uint64 // one table in that many is chosen
	max   int    // the most tables of a chunk
}

// defaultCuts cost a node of ten thousand tables about 3 KiB in the manifest and a
// changed table some 40 neighbours, of 8 bytes each.
var defaultCuts = cuts{whole: 16, mean: 32, max: 64}

func (c *chunk) last() *Table { return c.tables[len(c.tables)-1] }

// cut gives a run its chunks: those that are there where there are such, without a look
// at their tables, and new ones.
func (t *Tree) cut(r *Run) {
	for rest := r.Tables; len(rest) > 0; {
		c := t.chunkAt(rest)
		r.chunks = append(r.chunks, c)
		rest = rest[len(c.tables):]
	}
}

// chunkAt gives the first chunk of a list.
func (t *Tree) chunkAt(rest []*Table) *chunk {
	for _, c := range t.chunks[rest[0]] {
		n := len(c.tables)
		if n <= len(rest) && (c.ends || n == len(rest)) && slices.Equal(c.tables, rest[:n]) {
			return c
		}
	}
	n := 1
	for n < len(rest) && !t.cuts.behind(rest[:n]) {
		n++
	}
	return t.newChunk(t.lastChunk+1, slices.Clone(rest[:n]))
}

// behind tells whether a list is cut behind the last of these tables, the first of which
// is the first of a chunk.
func (c cuts) behind(tables []*Table) bool {
	id := uint64(tables[len(tables)-1].Meta.ID) // chosen by all its bits: neighbours have ids in a row
	id = (id ^ id>>33) * 0xff51afd7ed558ccd
	id = (id ^ id>>33) * 0xc4ceb9fe1a85ec53
	return (id^id>>33)%c.mean == 0 || len(tables) >= c.max
}

// newChunk takes the slice over. It asserts that the tables are sorted and disjoint.
func (t *Tree) newChunk(id ids.ChunkID, tables []*Table) *chunk {
	checkTables(tables)
	c := &chunk{id: id, tables: tables, ends: t.cuts.behind(tables)}
	t.lastChunk = max(t.lastChunk, id)
	t.chunks[tables[0]] = append(t.chunks[tables[0]], c)
	return c
}

func (t *Tree) forgetChunk(c *chunk) {
	first := c.tables[0]
	left := slices.DeleteFunc(t.chunks[first], func(x *chunk) bool { return x == c })
	if t.chunks[first] = left; len(left) == 0 {
		delete(t.chunks, first)
	}
}

// chunkOf gives the chunk of the run that has the table, nil if the run is not cut.
func (r *Run) chunkOf(tb *Table) *chunk {
	i := sort.Search(len(r.chunks), func(i int) bool {
		return bytes.Compare(r.chunks[i].last().Meta.Largest, tb.Meta.Smallest) >= 0
	})
	if i == len(r.chunks) {
		return nil
	}
	invariant.Check(!invariant.Expensive || slices.Contains(r.chunks[i].tables, tb), "table %d is not in the chunk of its keys", tb.Meta.ID)
	return r.chunks[i]
}

// fresh gives the tables that no run which is held or pinned has, without a look at those
// of chunks that some such run has.
func (r *Run) fresh() iter.Seq[*Table] {
	return func(yield func(*Table) bool) {
		lists := [][]*Table{r.Tables}
		if r.chunks != nil {
			lists = lists[:0]
			for _, c := range r.chunks {
				if c.alive == 0 {
					lists = append(lists, c.tables)
				}
			}
		}
		for _, list := range lists {
			for _, tb := range list {
				if tb.alive == 0 && !yield(tb) {
					return
				}
			}
		}
	}
}

func (r *Run) chunkSet() map[*chunk]struct{} {
	if r == nil || r.chunks == nil {
		return nil
	}
	set := make(map[*chunk]struct{}, len(r.chunks))
	for _, c := range r.chunks {
		set[c] = struct{}{}
	}
	return set
}
