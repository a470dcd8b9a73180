package engine

import (
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/manifest"
)

// A handle follows its fork, or snapshot: what is written through it lands in the fork that it was
// made for, whatever that is called by then. Whoever takes names from others, as a
// server does, cannot use such handles: between finding the fork and writing to it, it
// may have been renamed, and the write would land in a fork that the caller did not
// name, and may not be allowed to write to.

// ForkWhileNamed is Fork, but the handle means the fork only for as long as it bears
// that name. After a rename its methods return ErrForkNotFound, as after a drop; that
// is decided in the same critical section in which a write or a fork gets its place in
// the log. Batches may hold such handles. Reads through one cost a lock more.
func (s *Store) ForkWhileNamed(name string) (*Fork, error) {
	f, err := s.Fork(name)
	if err != nil {
		return nil, err
	}
	f.bound = true
	return f, nil
}

// meansLocked tells whether the handle means its fork while that has this name.
func (f *Fork) meansLocked(name string) bool { return !f.bound || name == f.name }

// recordLocked gives what the tree knows of the fork that the handle means.
func (f *Fork) recordLocked() (manifest.Fork, error) {
	r, ok := f.s.mu.tree.ForkRecord(f.id)
	if !ok || !f.meansLocked(r.Name) {
		return manifest.Fork{}, f.gone()
	}
	return r, nil
}

// topLocked gives the top of the fork that the handle means. A fork that is idle stays so.
func (f *Fork) topLocked() (*forktree.Node, error) {
	top, ok := f.s.mu.tree.ForkTop(f.id)
	if !ok {
		return nil, f.gone()
	}
	if f.bound {
		if _, err := f.recordLocked(); err != nil {
			return nil, err
		}
	}
	return top, nil
}

// stillMeant tells a reader that has read whether it has read the right fork: it had its
// name when the handle was made, and has it now. That it lost the name and got it back
// in between is not noticed; what was read was then never in another fork, either.
func (f *Fork) stillMeant() error {
	if !f.bound {
		return nil
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	_, err := f.recordLocked()
	return err
}

// SnapshotWhileNamed is Snapshot, but the handle means the snapshot only for as long as
// it bears that name. After a rename its methods return ErrSnapshotNotFound, as after a
// drop; see ForkWhileNamed. It shares the view of all other handles.
func (s *Store) SnapshotWhileNamed(name string) (*Snapshot, error) {
	n, err := s.Snapshot(name)
	if err != nil {
		return nil, err
	}
	n.bound, n.name = true, name
	return n, nil
}

// meansLocked tells whether the handle means its snapshot while that has this name.
func (n *Snapshot) meansLocked(name string) bool { return !n.bound || name == n.name }

// nameLocked is what the snapshot is called, as far as the handle knows.
func (n *Snapshot) nameLocked() string {
	if n.bound {
		return n.name
	}
	return n.n.Name
}

// stillMeant is that of forks.
func (n *Snapshot) stillMeant() error {
	if !n.bound {
		return nil
	}
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	return n.goneLocked()
}
