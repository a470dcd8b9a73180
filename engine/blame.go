package engine

import (
	"errors"
	"slices"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
)

// blame adds to an error about a damaged table file which forks read through it.
// Other errors pass as they are. It costs O(forks × path) and is only called when
// something is broken. It must not be called under the lock.
func (s *Store) blame(err error) error {
	var ce *errs.CorruptError
	if !errors.As(err, &ce) || len(ce.Forks) > 0 {
		return err
	}
	kind, num := ids.ParseFileName(ce.File)
	if kind != ids.FileTable {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := *ce
	hit.Forks = forksHit(s.mu.tree, num, ce.Offset)
	return &hit
}

// forksHit gives the forks, and the snapshots with an @ before their name, that
// read through a table at that place of a file (offset < 0: anywhere in it).
func forksHit(t *forktree.Tree, num ids.FileNum, offset int64) []string {
	bad := map[*forktree.Node]bool{}
	for _, n := range t.Nodes() { // from the root outwards
		hit := n.Older != nil && bad[n.Older]
		if n.Run != nil && !hit {
			hit = slices.ContainsFunc(n.Run.Tables, func(tb *forktree.Table) bool {
				m := tb.Place.Meta()
				inside := offset < 0 || uint64(offset) >= m.Offset && uint64(offset) < m.Offset+m.Length
				return m.File == num && inside
			})
		}
		bad[n] = hit
	}
	var out []string
	for _, f := range t.Forks() {
		if bad[f.Top] {
			out = append(out, f.Name)
		}
	}
	for _, n := range t.Snapshots() {
		if bad[n.Node] {
			out = append(out, "@"+n.Name)
		}
	}
	return out
}
