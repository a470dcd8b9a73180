package server

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tinedb/tine/engine"
)

// extent is one name, or all names that begin so.
type extent struct {
	name string
	all  bool
}

// within gives what both a pattern and a prefix allow; false if that is nothing.
func within(pattern, prefix string) (extent, bool) {
	name, star := strings.CutSuffix(pattern, "*")
	switch {
	case strings.HasPrefix(name, prefix):
		return extent{name, star}, true
	case star && strings.HasPrefix(prefix, name):
		return extent{prefix, true}, true
	}
	return extent{}, false
}

// readable gives where the names lie that begin with prefix and that the caller may read:
// extents in the order of names, none within another. mark is that of snapshots, or "".
func (c *call) readable(mark, prefix string) (out []extent) {
	for _, pattern := range c.principal.Patterns(VerbRead) {
		if plain, marked := strings.CutPrefix(pattern, snapshotMark); marked != (mark != "") {
			if pattern != "*" {
				continue
			}
		} else {
			pattern = plain
		}
		if x, some := within(pattern, prefix); some {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b extent) int {
		if a.name == b.name && a.all != b.all {
			if a.all {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	inside := func(outer, x extent) bool { return outer == x || outer.all && strings.HasPrefix(x.name, outer.name) }
	kept := out[:0]
	for _, x := range out {
		if len(kept) == 0 || !inside(kept[len(kept)-1], x) {
			kept = append(kept, x)
		}
	}
	return kept
}

// lister describes forks, or snapshots, in the order of their names.
type lister[T any] struct {
	mark string // of their kind
	list func(engine.ListOptions) []T
	name func(*T) string
}

// page adds at most limit of those whose names begin with prefix and come after the name
// after, and that the caller may read. next is the last of them if there are more. Only
// where the caller may read names does it look, so it costs O(page + patterns), and next is
// never a name that the caller may not know.
func (l lister[T]) page(c *call, prefix, after string, limit int, add func(*T) error) (next string, err error) {
	count, last := 0, ""
	for _, x := range c.readable(l.mark, prefix) {
		for o := (engine.ListOptions{Prefix: x.name, After: after}); ; {
			if o.Limit = 1; x.all {
				o.Limit = min(listStep, limit+1-count)
			} else if x.name <= after {
				break
			}
			some := l.list(o)
			for i := range some {
				name := l.name(&some[i])
				o.After = name
				if !x.all && name != x.name || isSystem(name) || !c.principal.May(VerbRead, l.mark+name) {
					continue
				}
				if count == limit {
					return last, nil
				}
				if err := add(&some[i]); err != nil {
					return "", err
				}
				count, last = count+1, name
			}
			if !x.all || len(some) < o.Limit {
				break
			}
			if err := c.ended(); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// forks lists forks.
func (s *Server) forks() lister[engine.ForkInfo] {
	return lister[engine.ForkInfo]{"", s.store.ListForks, func(f *engine.ForkInfo) string { return f.Name }}
}

// snapshots lists snapshots.
func (s *Server) snapshots() lister[engine.SnapshotInfo] {
	return lister[engine.SnapshotInfo]{snapshotMark, s.store.ListSnapshots, func(n *engine.SnapshotInfo) string { return n.Name }}
}
