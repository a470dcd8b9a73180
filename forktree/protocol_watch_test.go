package forktree

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"

	"github.com/tinedb/tine/internal/ids"
)

// watcher holds a watch against what a picker would have seen of each path.
type watcher struct {
	watch *Watch
	rand  *rand.Rand // its own: the store's draws stay as they are
	seen  map[ids.NodeID]pathSeen
}

// pathSeen is what a picker sees of a path.
type pathSeen struct {
	form string
	// What only matters to it when it becomes false: branch points, and tables
	// with marks that are shared.
	barriers []bool
}

func seePath(n *Node) (p pathSeen) {
	var form strings.Builder
	marked := map[*Table]string{}
	for x := range Path(n) {
		p.barriers = append(p.barriers, x != n && x.Holders() > 1)
		for _, m := range x.Marks() {
			marked[m.Table] += fmt.Sprintf(" n%d:%p", x.ID, m.Vector)
		}
		if x.Mem != nil {
			fmt.Fprintf(&form, "n%d %p\n", x.ID, x.Mem)
			continue
		}
		fmt.Fprintf(&form, "n%d %p\n", x.ID, x.Run)
		for _, tb := range x.Run.Tables {
			if by := marked[tb]; by != "" {
				fmt.Fprintf(&form, "  t%d%s\n", tb.Meta.ID, by)
				p.barriers = append(p.barriers, x.Run.Shares(tb))
			}
		}
	}
	p.form = form.String()
	return p
}

// changed tells whether there may be new work since old was seen.
func (p pathSeen) changed(old pathSeen) bool {
	if p.form != old.form {
		return true
	}
	for i := range p.barriers {
		if old.barriers[i] && !p.barriers[i] {
			return true
		}
	}
	return false
}

// checkWatch takes what has changed and looks whether something has been left out.
func (s *protocolStore) checkWatch(seed int64) error {
	if s.off != "" {
		return nil
	}
	if s.watcher == nil || s.watcher.watch.tree != s.tree {
		s.watcher = &watcher{watch: s.tree.Watch(), rand: rand.New(rand.NewSource(seed)), seen: map[ids.NodeID]pathSeen{}}
	}
	w := s.watcher
	if w.rand.Intn(4) > 0 {
		return nil
	}
	taken := w.watch.Take(false, nil)
	entries := s.tree.Entries(nil)
	for i, n := range taken {
		if i > 0 && taken[i-1].ID >= n.ID {
			return fmt.Errorf("node %d is told behind node %d", n.ID, taken[i-1].ID)
		}
		if !slices.Contains(entries, n) {
			return fmt.Errorf("node %d is told, and nobody enters there", n.ID)
		}
	}
	seen := map[ids.NodeID]pathSeen{}
	for _, n := range entries {
		now := seePath(n)
		seen[n.ID] = now
		old, known := w.seen[n.ID]
		switch {
		case slices.Contains(taken, n):
			s.saw("path told again")
		case !known:
			return fmt.Errorf("paths from node %d on are new and not told", n.ID)
		case now.changed(old):
			return fmt.Errorf("the path from node %d was\n%s %v and is\n%s %v, and that is not told", n.ID, old.form, old.barriers, now.form, now.barriers)
		default:
			s.saw("path left alone")
		}
	}
	w.seen = seen
	return nil
}
