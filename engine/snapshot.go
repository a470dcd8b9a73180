package engine

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/wal"
)

// Snapshot is a handle on a named, immutable state of a fork. It may be used
// concurrently. After a drop its methods return ErrSnapshotNotFound.
//
// A handle is a few words and nobody keeps count of it: there may be many on one
// snapshot, which can be told by their ID, and it makes no difference which is used.
type Snapshot struct {
	s     *Store
	n     *forktree.Snapshot
	used  *viewer // what all handles share
	bound bool    // it means the snapshot only while it has this name; see named.go
	name  string  // of a bound handle. Under Store.mu
}

// snapshotHandleLocked makes a handle.
func (s *Store) snapshotHandleLocked(n *forktree.Snapshot) *Snapshot {
	r, ok := n.Local.(*viewer)
	if !ok {
		r = &viewer{s: s}
		r.state = func() (*forktree.Node, *memtable.Memtable, error) {
			if n.Dropped() {
				return nil, nil, fmt.Errorf("snapshot %d: %w", n.ID, ErrSnapshotNotFound)
			}
			return n.Node, nil, nil
		}
		n.Local = r
	}
	return &Snapshot{s: s, n: n, used: r}
}

// Snapshot gives a handle of the snapshot of that name, or ErrSnapshotNotFound.
func (s *Store) Snapshot(name string) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, ErrClosed
	}
	n := s.mu.tree.SnapshotByName(name)
	if n == nil {
		return nil, fmt.Errorf("snapshot %q: %w", name, ErrSnapshotNotFound)
	}
	return s.snapshotHandleLocked(n), nil
}

// Snapshot puts a name on what f is now. O(1), durable when it returns (see
// NoSync). ErrSnapshotExists if the name is taken; snapshots have names of their
// own, apart from forks.
func (f *Fork) Snapshot(name string, opts ...WriteOption) (*Snapshot, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	s := f.s
	rec := wal.Snapshot{Name: name, Fork: f.id, CreatedUnixNano: time.Now().UnixNano()}
	var h *Snapshot
	var crowded bool
	err := s.record(deed{"snapshot", name}, schedule.SnapshotPlaced, false, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(lsn ids.LSN) (wal.Kind, []byte, error) {
		if s.mu.tree.SnapshotByName(name) != nil {
			return 0, nil, ErrSnapshotExists
		}
		fz, top, err := f.at(lsn)
		if err != nil {
			return 0, nil, err
		}
		rec.Freeze, rec.Node, rec.ID = fz, nodeID(top), ids.SnapshotID(s.newID())
		n := &forktree.Snapshot{ID: rec.ID, Name: name, Fork: rec.Fork, CreatedUnixNano: rec.CreatedUnixNano, Node: top}
		s.mu.tree.AddSnapshot(n)
		h = s.snapshotHandleLocked(n)
		crowded = fz.Node != 0 && memoryStretch(top) > compaction.DefaultPolicy().MaxMemory
		return wal.KindSnapshot, rec.AppendTo(s.scratchLocked(payloadRoom)), nil
	})
	if err != nil {
		return nil, err
	}
	if crowded {
		s.wake()
	}
	return h, nil
}

// Name is the snapshot's present name.
func (n *Snapshot) Name() string {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	return n.nameLocked()
}

// ID is the snapshot's number, which is never given to another one.
func (n *Snapshot) ID() uint64 { return uint64(n.n.ID) }

func (n *Snapshot) owner() *Store { return n.s }

// goneLocked is the error of a snapshot that the handle does not mean any more.
func (n *Snapshot) goneLocked() error {
	if n.n.Dropped() || !n.meansLocked(n.n.Name) {
		return fmt.Errorf("snapshot %q: %w", n.nameLocked(), ErrSnapshotNotFound)
	}
	return nil
}

func (n *Snapshot) at(ids.LSN) (wal.Freeze, *forktree.Node, error) {
	return wal.Freeze{}, n.n.Node, n.goneLocked()
}

// Fork makes a fork that begins as the snapshot. See Fork.Fork.
func (n *Snapshot) Fork(name string, opts ...WriteOption) (*Fork, error) {
	return n.s.fork(n, n.n.Fork, n.n.ID, name, opts)
}

// Rename gives the snapshot another name. ErrSnapshotExists if it is taken.
func (n *Snapshot) Rename(name string, opts ...WriteOption) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	rec := wal.RenameSnapshot{ID: n.n.ID, Name: name}
	return n.s.record(deed{what: "rename snapshot"}, schedule.RenamePlaced, true, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(ids.LSN) (wal.Kind, []byte, error) {
		if err := n.goneLocked(); err != nil {
			return 0, nil, err
		}
		if name != n.n.Name {
			if n.s.mu.tree.SnapshotByName(name) != nil {
				return 0, nil, fmt.Errorf("snapshot %q: %w", name, ErrSnapshotExists)
			}
			n.s.mu.tree.RenameSnapshot(n.n, name)
			n.name = name
		}
		return wal.KindRenameSnapshot, rec.AppendTo(n.s.scratchLocked(payloadRoom)), nil
	})
}

// Drop takes the snapshot away. Forks made from it stay. O(1).
func (n *Snapshot) Drop(opts ...WriteOption) error {
	rec := wal.DropSnapshot{ID: n.n.ID}
	err := n.s.record(deed{what: "drop snapshot"}, schedule.DropPlaced, true, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(ids.LSN) (wal.Kind, []byte, error) {
		if err := n.goneLocked(); err != nil {
			return 0, nil, err
		}
		n.s.mu.tree.DropSnapshot(n.n)
		n.s.forgetViewLocked(n.used)
		return wal.KindDropSnapshot, rec.AppendTo(n.s.scratchLocked(payloadRoom)), nil
	})
	n.s.wake()
	return err
}

// Get returns the value of key as a copy that belongs to the caller, or
// ErrNotFound.
func (n *Snapshot) Get(key []byte) ([]byte, error) { return n.AppendGet(nil, key) }

// AppendGet appends the value of key to dst and returns the extended slice; it
// allocates only if dst is too short. On an error, ErrNotFound among them, dst is
// returned as it was.
func (n *Snapshot) AppendGet(dst, key []byte) ([]byte, error) {
	out, err := n.used.AppendGet(dst, key)
	if gone := n.stillMeant(); gone != nil {
		return dst, fmt.Errorf("get: %w", gone)
	}
	return out, err
}

// NewIter opens an iterator over a range. It is not positioned.
func (n *Snapshot) NewIter(rng Range) (*Iterator, error) {
	it, err := n.used.NewIter(rng)
	if gone := n.stillMeant(); gone != nil {
		if err == nil {
			gone = errors.Join(gone, it.Close())
		}
		return nil, fmt.Errorf("open iterator: %w", gone)
	}
	return it, err
}

// Scan walks the rows of a range in key order, for use with range. See Fork.Scan.
func (n *Snapshot) Scan(rng Range) (rows iter.Seq2[[]byte, []byte], err func() error) {
	return scan(n.NewIter, rng)
}
