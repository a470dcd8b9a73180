package forktree

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Draw writes the tree as text: one line a node, from the roots outwards, with
// the forks and snapshots that enter at each. Two equal trees draw equally, so
// scripts can compare them.
//
//	n2 run 3 tables 1200 rows  ← @before
//	├─ n7 memory 4 rows  ← agent-2 (2 unfrozen rows)
//	n9 run 1 tables 30 rows, marks 3 rows of t5
//	n12 run 1 tables 10 rows  ← agent-1, main
//
// What a node marks is given table by table, or in all if the tables are many.
//
// A node lies on the nearest line above it in the same column; the first of a
// side path, marked ├─, on the nearest one a column to the left. The child with
// the most above it goes on in its parent's column, so that the picture of n
// nodes is at most log2(n) columns wide and deep in calls, whatever the tree. A
// first line "empty" stands for what forks without a node, and several roots,
// lie on. Cost: O(nodes + forks + snapshots).
func (t *Tree) Draw(w io.Writer) error {
	d := drawer{w: w, children: map[*Node][]*Node{}, names: map[*Node][]string{}, sizes: map[*Node]int{}}
	nodes := t.Nodes()
	for _, n := range nodes {
		d.children[n.Older] = append(d.children[n.Older], n)
	}
	for _, n := range slices.Backward(nodes) { // the newer of two comes first, so sizes are complete
		d.sizes[n]++
		d.sizes[n.Older] += d.sizes[n]
	}
	for _, f := range t.Forks() {
		label := f.Name
		if f.Mem != nil && f.Mem.Len() > 0 {
			label += fmt.Sprintf(" (%d unfrozen rows)", f.Mem.Len())
		}
		d.names[f.Top] = append(d.names[f.Top], label)
	}
	for _, s := range t.Snapshots() {
		d.names[s.Node] = append(d.names[s.Node], "@"+s.Name)
	}
	switch roots := d.children[nil]; {
	case len(roots) > 1 || len(d.names[nil]) > 0:
		d.column(nil, "", "")
	case len(roots) == 1:
		d.column(roots[0], "", "")
	}
	return d.err
}

type drawer struct {
	w        io.Writer
	children map[*Node][]*Node
	names    map[*Node][]string
	sizes    map[*Node]int // of a node and all above it
	err      error
}

func (d *drawer) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

// column draws n and all above it: in n's column the path through the largest
// children, and to its right the other children of each node on it.
func (d *drawer) column(n *Node, first, rest string) {
	for {
		d.printf("%s%s%s\n", first, n.describe(), entering(d.names[n]))
		first = rest
		kids := d.children[n]
		if len(kids) == 0 {
			return
		}
		largest := kids[0]
		for _, k := range kids[1:] {
			if d.sizes[k] >= d.sizes[largest] {
				largest = k
			}
		}
		for _, k := range kids {
			if k != largest {
				d.column(k, rest+"├─ ", rest+"│  ")
			}
		}
		n = largest
	}
}

func (n *Node) describe() string {
	switch {
	case n == nil:
		return "empty"
	case n.Mem != nil:
		return fmt.Sprintf("n%d memory %d rows", n.ID, n.Mem.Len())
	}
	return fmt.Sprintf("n%d run %d tables %d rows%s", n.ID, len(n.Run.Tables), n.Run.Rows(), n.describeMarks())
}

// drawnMarks is of how many tables' marks a drawing tells.
const drawnMarks = 4

func (n *Node) describeMarks() string {
	if len(n.marks) > drawnMarks {
		var rows uint64
		for _, m := range n.marks {
			rows += m.Vector.Dead()
		}
		return fmt.Sprintf(", marks %d rows of %d tables", rows, len(n.marks))
	}
	var b strings.Builder
	for i, m := range n.marks {
		if i == 0 {
			b.WriteString(", marks ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d rows of t%d", m.Vector.Dead(), m.Table.Meta.ID)
	}
	return b.String()
}

func entering(names []string) string {
	if len(names) == 0 {
		return ""
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "  ← " + strings.Join(names, ", ")
}
