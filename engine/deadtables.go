package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

// deadTables says for the tables of a path what is dead in them. One lies over
// another, as views lie over flats: it has the tables in which its own stretch of
// the path marks rows, and what it does not have the ones below know. Each is at
// most half as large as the one below it, so there are few to ask. It is immutable
// but for a cache. A nil one says that nothing is dead.
type deadTables struct {
	own   []deadTable // by rising table id
	below *deadTables
	whole bool // a table may be dead as a whole, here or below

	// alive gives, for the larger runs that iterators came to, the tables that are
	// not wholly dead. The private runs of all forks that mark nothing themselves come
	// here too, so it remembers a few runs only.
	alive atomic.Pointer[map[*forktree.Run][]*forktree.Table]
}

type deadTable struct {
	id   ids.TableID
	rows *deadRows
}

func (t deadTable) compare(id ids.TableID) int { return cmp.Compare(t.id, id) }

// deadOver gives what is dead on a path of which the newest stretch has the marks
// collected, and the rest is as below says. O(marks collected), but for now and then.
func (d deadOnPath) over(below *deadTables) *deadTables {
	if len(d) == 0 {
		return below
	}
	t := &deadTables{own: make([]deadTable, 0, len(d)), whole: below != nil && below.whole}
	for tb, marks := range d {
		rows := deadRowsOf(marks, below.of(tb))
		t.own = append(t.own, deadTable{tb.Meta.ID, rows})
		t.whole = t.whole || rows.maybeWhole()
	}
	slices.SortFunc(t.own, func(a, b deadTable) int { return a.compare(b.id) })
	for ; below != nil && 2*len(t.own) > len(below.own); below = below.below {
		t.own = joinDeadTables(t.own, below.own)
	}
	t.below = below
	return t
}

// joinDeadTables puts two lists together; where both have a table, the newer one's
// says all.
func joinDeadTables(newer, older []deadTable) []deadTable {
	all := make([]deadTable, 0, len(newer)+len(older))
	for len(newer) > 0 && len(older) > 0 {
		c := newer[0].compare(older[0].id)
		if c <= 0 {
			all, newer = append(all, newer[0]), newer[1:]
		} else {
			all = append(all, older[0])
		}
		if c >= 0 {
			older = older[1:]
		}
	}
	return append(append(all, newer...), older...)
}

// of gives what is dead in a table, nil if nothing is.
func (t *deadTables) of(tb *forktree.Table) *deadRows {
	for ; t != nil; t = t.below {
		if i, ok := slices.BinarySearchFunc(t.own, tb.Meta.ID, deadTable.compare); ok {
			return t.own[i].rows
		}
	}
	return nil
}

// share says that many forks read through what is dead here.
func (t *deadTables) share() {
	if t == nil {
		return
	}
	for _, x := range t.own {
		x.rows.shared.Store(true)
	}
}

// A run of a few tables is looked through faster than it is remembered, and what is
// remembered begins anew when it is of more runs than a path has.
const (
	fewTables    = 4
	maxAliveRuns = 64
)

// aliveIn gives the tables of a run that are not wholly dead.
func (t *deadTables) aliveIn(run *forktree.Run) []*forktree.Table {
	if t == nil || !t.whole {
		return run.Tables
	}
	known := t.alive.Load()
	if known != nil {
		if tables, ok := (*known)[run]; ok {
			return tables
		}
	}
	tables := run.Tables
	dead := func(tb *forktree.Table) bool { return t.of(tb).whole() }
	if slices.ContainsFunc(tables, dead) {
		tables = slices.DeleteFunc(slices.Clone(tables), dead)
	}
	if len(run.Tables) <= fewTables {
		return tables
	}
	more := map[*forktree.Run][]*forktree.Table{}
	if known != nil && len(*known) < maxAliveRuns {
		maps.Copy(more, *known)
	}
	more[run] = tables
	t.alive.CompareAndSwap(known, &more) // else somebody else has learnt something: this one looks again next time
	return tables
}
