package engine

import (
	"time"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
)

// ForkInfo describes a fork.
type ForkInfo struct {
	ID       uint64
	Name     string
	ParentID uint64 // 0 if it has none
	Parent   string // its present name; "" if it has none or it was dropped
	Created  time.Time
	Depth    int // nodes on its path

	MemtableBytes int64 // of its own unfrozen writes
	TableSizes
}

// SnapshotInfo describes a snapshot.
type SnapshotInfo struct {
	ID      uint64
	Name    string
	ForkID  uint64 // whose state it is
	Fork    string // its present name; "" if it was dropped
	Created time.Time
	Depth   int

	TableSizes
}

// TableSizes say what a fork or snapshot means on disk, in bytes of tables. What was
// dropped counts as another's until the background work has taken it apart, and what
// only an open iterator or a running merge keeps counts for nobody.
type TableSizes struct {
	ReferencedBytes uint64 // of all tables it reads through
	ExclusiveBytes  uint64 // of those, reached by no other fork or snapshot
	FreedBytes      uint64 // of the files that go when it is dropped: those in which no other's tables lie
}

// Forks describes all forks, by name. See ListForks.
func (s *Store) Forks() []ForkInfo { return s.ListForks(ListOptions{}) }

// ListOptions say which forks are listed.
type ListOptions struct {
	Prefix string // only those whose name begins so
	After  string // only those whose name is greater: the last name of the page before
	Limit  int    // at most so many; 0: all
}

// ListForks describes a page of forks, by name. For each it costs O(its path + the
// tables that are its own); finding the first costs O(log forks). Forks that are idle
// stay so.
//
// It looks at listedAtOnce forks at a time, each time as they are at one moment, so that
// nobody waits for a long list. A fork that comes, goes or gets another name while the
// list is made may be in it or not, but none is in it twice under one name.
func (s *Store) ListForks(o ListOptions) []ForkInfo {
	return listed(o, func(o ListOptions) (out []ForkInfo) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, f := range s.mu.tree.ForksWithPrefix(o.Prefix, o.After, o.Limit) {
			out = append(out, s.forkInfoLocked(f))
		}
		return out
	}, func(f *ForkInfo) string { return f.Name })
}

// listedAtOnce is how many forks are described under one hold of the lock.
const listedAtOnce = 64

// listed makes a page of what some gives a few of at a time.
func listed[T any](o ListOptions, some func(ListOptions) []T, name func(*T) string) (out []T) {
	for rest := o.Limit; ; {
		o.Limit = listedAtOnce
		if rest > 0 {
			o.Limit = min(o.Limit, rest)
		}
		step := some(o)
		out = append(out, step...)
		if rest -= len(step); rest == 0 || len(step) < o.Limit {
			return out
		}
		o.After = name(&step[len(step)-1])
	}
}

// Snapshots describes all snapshots, by name. See ListSnapshots.
func (s *Store) Snapshots() []SnapshotInfo { return s.ListSnapshots(ListOptions{}) }

// ListSnapshots describes a page of snapshots, by name, as ListForks does forks.
func (s *Store) ListSnapshots(o ListOptions) []SnapshotInfo {
	return listed(o, func(o ListOptions) (out []SnapshotInfo) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range s.mu.tree.SnapshotsWithPrefix(o.Prefix, o.After, o.Limit) {
			out = append(out, s.snapshotInfoLocked(n))
		}
		return out
	}, func(n *SnapshotInfo) string { return n.Name })
}

// Info describes the fork. It costs O(its path + the tables that are its own).
func (f *Fork) Info() (ForkInfo, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	r, err := f.recordLocked()
	if err != nil {
		return ForkInfo{}, err
	}
	return f.s.forkInfoLocked(r), nil
}

// Info describes the snapshot. It costs O(its path + the tables that are its own).
func (n *Snapshot) Info() (SnapshotInfo, error) {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	if err := n.goneLocked(); err != nil {
		return SnapshotInfo{}, err
	}
	return n.s.snapshotInfoLocked(n.n), nil
}

func (s *Store) forkName(id ids.ForkID) string {
	f, _ := s.mu.tree.ForkRecord(id)
	return f.Name
}

func (s *Store) forkInfoLocked(f manifest.Fork) ForkInfo {
	info := ForkInfo{
		ID: uint64(f.ID), Name: f.Name, ParentID: uint64(f.Parent), Parent: s.forkName(f.Parent),
		Created: time.Unix(0, f.CreatedUnixNano),
	}
	if x := s.mu.tree.ActiveFork(f.ID); x != nil && x.Mem != nil {
		info.MemtableBytes = x.Mem.Bytes()
	}
	info.Depth, info.TableSizes = s.sizesLocked(s.mu.tree.NodeByID(f.Top))
	return info
}

func (s *Store) snapshotInfoLocked(n *forktree.Snapshot) SnapshotInfo {
	info := SnapshotInfo{
		ID: uint64(n.ID), Name: n.Name, ForkID: uint64(n.Fork), Fork: s.forkName(n.Fork),
		Created: time.Unix(0, n.CreatedUnixNano),
	}
	info.Depth, info.TableSizes = s.sizesLocked(n.Node)
	return info
}

func (s *Store) sizesLocked(top *forktree.Node) (depth int, sizes TableSizes) {
	t := s.mu.tree.Sizes(top)
	return t.Depth, TableSizes{ReferencedBytes: t.Referenced, ExclusiveBytes: t.Exclusive, FreedBytes: t.Freed}
}
