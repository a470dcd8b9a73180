package model

import (
	"slices"
	"strings"
)

// ForkMany adds children that hold what parent holds now: all or none.
func (s State) ForkMany(parent string, children []string) (State, error) {
	p, ok := s.Forks.Get(parent)
	if !ok {
		return s, ErrForkNotFound
	}
	return s.addMany(children, Fork{ParentID: p.ID, Depth: p.Depth + 1, Contents: p.Contents})
}

// ForkManySnapshot adds children that hold what the snapshot holds: all or none.
func (s State) ForkManySnapshot(snapshot string, children []string) (State, error) {
	n, ok := s.Snapshots.Get(snapshot)
	if !ok {
		return s, ErrSnapshotNotFound
	}
	return s.addMany(children, Fork{ParentID: n.ForkID, Depth: n.Depth + 1, Contents: n.Contents})
}

func (s State) addMany(children []string, f Fork) (State, error) {
	for i, child := range children {
		if slices.Contains(children[:i], child) {
			return s, ErrNameTwice
		}
	}
	next := s
	for _, child := range children {
		var err error
		if next, err = next.add(child, f); err != nil {
			return s, err
		}
	}
	return next, nil
}

// DropMany takes all of the forks away, or none. One may be named twice.
func (s State) DropMany(forks []string) (State, error) {
	next := s
	for _, name := range forks {
		if _, ok := s.Forks.Get(name); !ok {
			return s, ErrForkNotFound
		}
		next.Forks = next.Forks.Delete(name)
	}
	if next.Forks.Len() == 0 {
		return s, ErrLastFork
	}
	return next, nil
}

// WithPrefix gives the names of the forks that begin with prefix.
func (s State) WithPrefix(prefix string) (names []string) {
	for name := range s.Forks.All() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// Subtree gives the names of a fork and of those that came of it, through forks that
// live. None if there is no such fork.
func (s State) Subtree(fork string) (names []string) {
	root, ok := s.Forks.Get(fork)
	if !ok {
		return nil
	}
	within := map[int]bool{root.ID: true}
	for grown := true; grown; {
		grown = false
		for _, f := range s.Forks.All() {
			if within[f.ParentID] && !within[f.ID] {
				within[f.ID], grown = true, true
			}
		}
	}
	for name, f := range s.Forks.All() {
		if within[f.ID] {
			names = append(names, name)
		}
	}
	return names
}
