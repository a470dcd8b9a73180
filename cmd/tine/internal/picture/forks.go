package picture

import (
	"fmt"
	"io"

	"github.com/tinedb/tine/engine"
)

// Forks draws each fork below its parent, with its bytes. Of more than most
// children of one parent only the first few are drawn; most <= 0 draws all. Equal
// input gives equal text.
//
//	main              12.0 MiB, 0 B of its own
//	├─ agent-1        12.0 MiB, 3.1 KiB of its own
//	│  └─ agent-1-b   12.0 MiB, 200 B of its own
//	└─ agent-2        12.0 MiB, 0 B of its own, 40 B in memory
func Forks(w io.Writer, forks []engine.ForkInfo, most int) error {
	d := drawing{w: w, most: most, children: map[uint64][]*engine.ForkInfo{}}
	alive := make(map[uint64]bool, len(forks))
	for i := range forks {
		alive[forks[i].ID] = true
	}
	var roots []*engine.ForkInfo
	for i := range forks {
		f := &forks[i]
		if f.Parent != "" && alive[f.ParentID] && f.ParentID != f.ID {
			d.children[f.ParentID] = append(d.children[f.ParentID], f)
		} else {
			roots = append(roots, f)
		}
	}
	for _, f := range roots {
		d.fork(f, "", "", 1)
	}
	return d.err
}

// deepest is where drawing stops to go further to the right; forks below are
// counted. A chain of a million forks must not become a million columns.
const deepest = 50

type drawing struct {
	w        io.Writer
	most     int
	children map[uint64][]*engine.ForkInfo
	err      error
}

func (d *drawing) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *drawing) fork(f *engine.ForkInfo, first, rest string, depth int) {
	d.printf("%s%s  %s, %s of its own", first, f.Name, Size(f.ReferencedBytes), Size(f.ExclusiveBytes))
	if f.MemtableBytes > 0 {
		d.printf(", %s in memory", Size(f.MemtableBytes))
	}
	d.printf("\n")
	kids := d.children[f.ID]
	if depth == deepest && len(kids) > 0 {
		d.printf("%s└─ … %s forks further down\n", rest, Count(d.below(f)))
		return
	}
	shown := len(kids)
	if d.most > 0 && shown > d.most {
		shown = d.most
	}
	for i, kid := range kids[:shown] {
		if i < len(kids)-1 {
			d.fork(kid, rest+"├─ ", rest+"│  ", depth+1)
		} else {
			d.fork(kid, rest+"└─ ", rest+"   ", depth+1)
		}
	}
	if hidden := len(kids) - shown; hidden > 0 {
		d.printf("%s└─ … %s more\n", rest, Count(hidden))
	}
}

// below counts the forks below f, without recursion.
func (d *drawing) below(f *engine.ForkInfo) int {
	n := 0
	for todo := []*engine.ForkInfo{f}; len(todo) > 0; {
		last := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], d.children[last.ID]...)
		n += len(d.children[last.ID])
	}
	return n
}
