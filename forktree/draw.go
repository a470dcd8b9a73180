package forktree

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Draw writes the tree as text: one line a node, from the roots outwards,
// children indented below the node they lie on, with the forks and snapshots
// that enter at each. Two equal trees draw equally, so scripts can compare them.
//
//	n2 run 3 tables 1200 rows      ← main, agent-1
//	└─ n7 memory 4 rows            ← agent-2 (2 unfrozen rows)
func (t *Tree) Draw(w io.Writer) error {
	d := drawer{w: w, children: map[*Node][]*Node{}, names: map[*Node][]string{}}
	for _, n := range t.Nodes() {
		d.children[n.Older] = append(d.children[n.Older], n)
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
	if names := d.names[nil]; len(names) > 0 {
		d.printf("empty%s\n", entering(names))
	}
	for _, n := range d.children[nil] {
		d.line(n, "", "")
	}
	return d.err
}

type drawer struct {
	w        io.Writer
	children map[*Node][]*Node
	names    map[*Node][]string
	err      error
}

func (d *drawer) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

// line draws n and, below it, its children. A path of single children is drawn
// without indenting further and in a loop, so that depth costs neither width nor
// stack.
func (d *drawer) line(n *Node, first, rest string) {
	for {
		d.printf("%sn%d %s%s\n", first, n.ID, n.describe(), entering(d.names[n]))
		kids := d.children[n]
		if len(kids) == 1 {
			n, first = kids[0], rest
			continue
		}
		for i, k := range kids {
			if i < len(kids)-1 {
				d.line(k, rest+"├─ ", rest+"│  ")
			} else {
				d.line(k, rest+"└─ ", rest+"   ")
			}
		}
		return
	}
}

func (n *Node) describe() string {
	if n.Mem != nil {
		return fmt.Sprintf("memory %d rows", n.Mem.Len())
	}
	return fmt.Sprintf("run %d tables %d rows", len(n.Run.Tables), n.Run.Rows())
}

func entering(names []string) string {
	if len(names) == 0 {
		return ""
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "  ← " + strings.Join(names, ", ")
}
