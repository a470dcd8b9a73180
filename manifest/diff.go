package manifest

import (
	"iter"
	"slices"

	"github.com/tinedb/tine/internal/ids"
)

// Diff gives the transaction that turns from into to, counters left out: applied
// to from, it gives what to holds. A chunk never changes under its id. A table is never changed under its id, so only
// its coming, moving and going counts; a vector never loses a row, so only its coming,
// growing and going does. Cost: O(objects in both, and bytes of the vectors that are
// not the same object).
func Diff(from, to *State) *Transaction {
	t := &Transaction{}
	t.PutForks, t.DropForks = forkChanges(from.Forks, to.Forks)
	t.PutSnapshots, t.DropSnapshots = changes(from.Snapshots, to.Snapshots, func(a, b Snapshot) bool { return a == b })
	t.PutNodes, t.DropNodes = changes(from.Nodes, to.Nodes, sameNode)
	for id, tables := range to.Chunks {
		if _, ok := from.Chunks[id]; !ok {
			t.PutChunks = append(t.PutChunks, Chunk{ID: id, Tables: tables})
		}
	}
	for id := range from.Chunks {
		if _, ok := to.Chunks[id]; !ok {
			t.DropChunks = append(t.DropChunks, id)
		}
	}
	for id, m := range to.Tables {
		if had, ok := from.Tables[id]; !ok || had.File != m.File || had.Offset != m.Offset {
			t.PutTables = append(t.PutTables, m)
		}
	}
	for id := range from.Tables {
		if _, ok := to.Tables[id]; !ok {
			t.DropTables = append(t.DropTables, id)
		}
	}
	t.AddMarks, t.DropMarks = marksChanges(from, to)
	return t
}

func sameNode(a, b Node) bool {
	return a.ID == b.ID && a.Older == b.Older && a.Fork == b.Fork && a.Frozen == b.Frozen && slices.Equal(a.Tables, b.Tables) && slices.Equal(a.Chunks, b.Chunks)
}

// forkChanges walks both sets by id, side by side.
func forkChanges(from, to *Forks) (puts []Fork, drops []ids.ForkID) {
	next, stop := iter.Pull(from.All())
	defer stop()
	a, ok := next()
	for b := range to.All() {
		for ; ok && a.ID < b.ID; a, ok = next() {
			drops = append(drops, a.ID)
		}
		if !ok || a != b {
			puts = append(puts, b)
		}
		if ok && a.ID == b.ID {
			a, ok = next()
		}
	}
	for ; ok; a, ok = next() {
		drops = append(drops, a.ID)
	}
	return puts, drops
}

func changes[K comparable, V any](from, to map[K]V, same func(a, b V) bool) (puts []V, drops []K) {
	for id, b := range to {
		if a, ok := from[id]; !ok || !same(a, b) {
			puts = append(puts, b)
		}
	}
	for id := range from {
		if _, ok := to[id]; !ok {
			drops = append(drops, id)
		}
	}
	return puts, drops
}
