package engine

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

// reach tells who reads through which table. It is made from the tree or, if the
// log is damaged, from the manifest alone: then it ends where a path enters nodes
// that only the log knows. Made only when something is broken; O(nodes + the
// tables that they name).
type reach struct {
	nodes   []reachNode // older ones first
	at      map[ids.NodeID]int
	entries []reachEntry

	found map[ids.TableID][]string
}

type reachNode struct {
	id     ids.NodeID
	older  ids.NodeID
	tables []ids.TableID
}

type reachEntry struct {
	name string
	top  ids.NodeID
}

func (c *checker) reached() *reach {
	if c.reach == nil {
		if c.tree != nil {
			c.reach = reachOfTree(c.tree)
		} else {
			c.reach = reachOfState(c.state)
		}
	}
	return c.reach
}

func reachOfTree(t *forktree.Tree) *reach {
	r := &reach{}
	for _, n := range t.Nodes() {
		node := reachNode{id: n.ID, older: nodeID(n.Older)}
		if n.Run != nil {
			for _, tb := range n.Run.Tables {
				node.tables = append(node.tables, tb.Meta.ID)
			}
		}
		r.nodes = append(r.nodes, node)
	}
	for _, f := range t.Forks() {
		r.entries = append(r.entries, reachEntry{f.Name, nodeID(f.Top)})
	}
	for _, s := range t.Snapshots() {
		r.entries = append(r.entries, reachEntry{"@" + s.Name, nodeID(s.Node)})
	}
	return r.sorted()
}

func reachOfState(state *manifest.State) *reach {
	r := &reach{}
	for _, n := range state.Nodes {
		r.nodes = append(r.nodes, reachNode{n.ID, n.Older, slices.Collect(state.Run(&n))})
	}
	for f := range state.Forks.All() {
		r.entries = append(r.entries, reachEntry{f.Name, f.Top})
	}
	for _, s := range state.Snapshots {
		r.entries = append(r.entries, reachEntry{"@" + s.Name, s.Node})
	}
	return r.sorted()
}

func (r *reach) sorted() *reach {
	r.found = map[ids.TableID][]string{}
	r.at = make(map[ids.NodeID]int, len(r.nodes))
	slices.SortFunc(r.nodes, func(a, b reachNode) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(r.entries, func(a, b reachEntry) int { return compareNames(a.name, b.name) })
	for i, n := range r.nodes {
		r.at[n.id] = i
	}
	return r
}

// compareNames puts forks by name before snapshots by name.
func compareNames(a, b string) int {
	if s, t := strings.HasPrefix(a, "@"), strings.HasPrefix(b, "@"); s != t {
		if s {
			return 1
		}
		return -1
	}
	return cmp.Compare(a, b)
}

func (r *reach) allNames() []string {
	names := make([]string, len(r.entries))
	for i, e := range r.entries {
		names[i] = e.name
	}
	return names
}

// through lists the forks and snapshots whose paths hold the table.
// Callers share the result.
func (r *reach) through(table ids.TableID) []string {
	if names, ok := r.found[table]; ok {
		return names
	}
	hit := make([]bool, len(r.nodes))
	for i, n := range r.nodes {
		older, known := r.at[n.older]
		hit[i] = known && older < i && hit[older] || slices.Contains(n.tables, table)
	}
	var names []string
	for _, e := range r.entries {
		if i, known := r.at[e.top]; known && hit[i] {
			names = append(names, e.name)
		}
	}
	r.found[table] = names
	return names
}

// damage sums the problems up for each fork and snapshot. Those above the same
// bad tables share their ranges, so that a damaged base of many forks costs once.
func (c *checker) damage() []Damage {
	if len(c.report.Problems) == 0 || c.state == nil {
		return nil
	}
	tables := map[ids.TableID][]Range{}
	others := map[string][]Range{} // by name
	for i := range c.report.Problems {
		p := &c.report.Problems[i]
		keys := Range{}
		if p.Keys != nil {
			keys = *p.Keys
		}
		if p.table != 0 {
			tables[p.table] = append(tables[p.table], keys)
			continue
		}
		for _, name := range p.Forks {
			others[name] = append(others[name], keys)
		}
	}
	r := c.reached()
	nodes := make([][]Range, len(r.nodes))
	for i, n := range r.nodes {
		if older, known := r.at[n.older]; known && older < i {
			nodes[i] = nodes[older]
		}
		for _, t := range n.tables {
			if own := tables[t]; len(own) > 0 {
				nodes[i] = mergeRanges(slices.Concat(nodes[i], own))
			}
		}
	}
	var out []Damage
	for _, e := range r.entries {
		var keys []Range
		if i, known := r.at[e.top]; known {
			keys = nodes[i]
		}
		if own := others[e.name]; len(own) > 0 {
			keys = mergeRanges(slices.Concat(keys, own))
		}
		if len(keys) > 0 {
			out = append(out, Damage{Name: e.name, Keys: keys})
		}
	}
	return out
}

// mergeRanges gives the union of ranges as disjoint ones in order. It reuses the
// slice.
func mergeRanges(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return bytes.Compare(a.Lower, b.Lower) })
	out := ranges[:0]
	for _, r := range ranges {
		if len(out) > 0 {
			last := &out[len(out)-1]
			if last.Upper == nil || bytes.Compare(r.Lower, last.Upper) <= 0 {
				if last.Upper != nil && (r.Upper == nil || bytes.Compare(r.Upper, last.Upper) > 0) {
					last.Upper = r.Upper
				}
				continue
			}
		}
		out = append(out, r)
	}
	return out
}
