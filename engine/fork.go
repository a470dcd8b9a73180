package engine

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// Fork is a handle on one fork: a named, writable, isolated keyspace. It may be used
// concurrently. After a drop its methods return ErrForkNotFound; a fork made later
// under the same name is another fork, with handles of its own.
//
// A handle is a few words and nobody keeps count of it: there may be many on one fork,
// which can be told by their ID, and it makes no difference which is used.
type Fork struct {
	s     *Store
	id    ids.ForkID
	name  string // as far as this handle knows; under Store.mu
	bound bool   // it means the fork only while that is the name; see named.go

	used atomic.Pointer[activeFork] // what all handles share while the fork is in use; see active.go
}

// Source is a fork or a snapshot: something a fork can be reset to.
type Source interface {
	// at gives the source's node, freezing what it has in memory. Store.mu is held.
	at(lsn ids.LSN) (wal.Freeze, *forktree.Node, error)
	owner() *Store
}

// Fork gives a handle of the fork of that name, or ErrForkNotFound.
func (s *Store) Fork(name string) (*Fork, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, ErrClosed
	}
	r, ok := s.mu.tree.LookupFork(name)
	if !ok {
		return nil, fmt.Errorf("fork %q: %w", name, ErrForkNotFound)
	}
	return &Fork{s: s, id: r.ID, name: r.Name}, nil
}

// Name is the fork's present name.
func (f *Fork) Name() string {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if r, err := f.recordLocked(); err == nil {
		f.name = r.Name
	}
	return f.name
}

// ID is the fork's number, which is never given to another fork.
func (f *Fork) ID() uint64 { return uint64(f.id) }

func (f *Fork) owner() *Store { return f.s }

// gone is the error of a fork that is not there any more.
func (f *Fork) gone() error { return fmt.Errorf("fork %q: %w", f.name, ErrForkNotFound) }

// at gives the fork's node, with what it has in memory frozen. A fork that is idle
// stays so.
func (f *Fork) at(lsn ids.LSN) (wal.Freeze, *forktree.Node, error) {
	t := f.s.mu.tree
	if x := t.ActiveFork(f.id); x != nil {
		if !f.meansLocked(x.Name) {
			return wal.Freeze{}, nil, f.gone()
		}
		fz := f.s.freezeLocked(x, lsn)
		return fz, x.Top, nil
	}
	top, err := f.topLocked()
	return wal.Freeze{}, top, err
}

// freezeLocked turns the fork's memtable, if it holds anything, into a node on
// top of its path, and says so in the form that log records carry.
func (s *Store) freezeLocked(f *forktree.Fork, lsn ids.LSN) wal.Freeze {
	if f.Mem == nil {
		return wal.Freeze{}
	}
	fz := wal.Freeze{Fork: f.ID, Node: f.MemtableID, Older: nodeID(f.Top), NewMemtable: ids.NodeID(s.newID())}
	s.mu.activeBytes -= f.Mem.Bytes()
	s.mu.activeMems--
	s.mu.tree.Freeze(f, lsn, fz.NewMemtable)
	s.forgetForkViewLocked(f)
	return fz
}

func nodeID(n *forktree.Node) ids.NodeID {
	if n == nil {
		return 0
	}
	return n.ID
}

// Set gives key a value. It returns when that is durable, or with NoSync when
// the operating system has it. Key and value are copied.
func (f *Fork) Set(key, value []byte, opts ...WriteOption) error {
	b := f.s.single()
	b.Set(f, key, value)
	return b.commitSingle(opts)
}

// Delete takes key's value away. The key need not exist; nothing is read.
func (f *Fork) Delete(key []byte, opts ...WriteOption) error {
	b := f.s.single()
	b.Delete(f, key)
	return b.commitSingle(opts)
}

// DeleteRange takes the value of every key in [lo, hi) away; a nil bound is open.
// Nothing is read, and it costs one small log record whatever lies in the range:
// tables that lie wholly inside are let go of unread, by the next flush.
func (f *Fork) DeleteRange(lo, hi []byte, opts ...WriteOption) error {
	b := f.s.single()
	b.DeleteRange(f, lo, hi)
	return b.commitSingle(opts)
}

// Fork makes a fork of f as it is now, unflushed writes included. It costs one
// small log record, whatever f holds: nothing is read, copied or flushed, and no
// file is made. It returns when the fork is durable, or with NoSync when the
// operating system has it. ErrForkExists if the name is taken.
func (f *Fork) Fork(name string, opts ...WriteOption) (*Fork, error) {
	return f.s.fork(f, f.id, 0, name, opts)
}

func (s *Store) fork(from Source, parent ids.ForkID, snapshot ids.SnapshotID, name string, opts []WriteOption) (*Fork, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	rec := wal.Fork{Name: name, Parent: parent, FromSnapshot: snapshot, CreatedUnixNano: time.Now().UnixNano()}
	var child *Fork
	var crowded bool
	err := s.record(deed{"fork", name}, schedule.ForkPlaced, false, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(lsn ids.LSN) (wal.Kind, []byte, error) {
		if s.mu.tree.HasFork(name) {
			return 0, nil, ErrForkExists
		}
		fz, top, err := from.at(lsn)
		if err != nil {
			return 0, nil, err
		}
		rec.Freeze, rec.Top = fz, nodeID(top)
		rec.Child, rec.Memtable = ids.ForkID(s.newID()), ids.NodeID(s.newID())
		s.mu.tree.AddIdleFork(manifest.Fork{
			ID: rec.Child, Name: name, Parent: parent, CreatedUnixNano: rec.CreatedUnixNano, CreatedLSN: lsn,
			Top: rec.Top, Memtable: rec.Memtable,
		})
		child = &Fork{s: s, id: rec.Child, name: name}
		crowded = fz.Node != 0 && memoryStretch(top) > compaction.DefaultPolicy().MaxMemory
		return wal.KindFork, rec.AppendTo(s.scratchLocked(payloadRoom)), nil
	})
	if err != nil {
		return nil, err
	}
	s.counter.forks.Add(1)
	if crowded {
		s.wake()
	}
	return child, nil
}

// memoryStretch counts the nodes in memory at the top of a path, as far as is
// needed to see that there are too many.
func memoryStretch(n *forktree.Node) int {
	const enough = 16
	count := 0
	for ; n != nil && n.Mem != nil && count < enough; n = n.Older {
		count++
	}
	return count
}

// Rename gives the fork another name. Handles stay good. ErrForkExists if the
// name is taken.
func (f *Fork) Rename(name string, opts ...WriteOption) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	rec := wal.Rename{Fork: f.id, Name: name}
	return f.s.record(deed{what: "rename"}, schedule.RenamePlaced, true, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(ids.LSN) (wal.Kind, []byte, error) {
		x, err := f.treeForkLocked()
		if err != nil {
			return 0, nil, err
		}
		if name == x.Name {
			return wal.KindRename, rec.AppendTo(f.s.scratchLocked(payloadRoom)), nil
		}
		if f.s.mu.tree.HasFork(name) {
			return 0, nil, fmt.Errorf("fork %q: %w", name, ErrForkExists)
		}
		f.s.mu.tree.RenameFork(x, name)
		f.name = name
		return wal.KindRename, rec.AppendTo(f.s.scratchLocked(payloadRoom)), nil
	})
}

// Reset makes f what another fork, or a snapshot, is now. What f held that
// nothing else holds is discarded. O(1). Iterators that are open on f go on with
// what they saw. Resetting a fork to itself changes nothing.
func (f *Fork) Reset(to Source, opts ...WriteOption) error {
	if to == nil || to.owner() != f.s {
		return fmt.Errorf("reset: the source is nil or belongs to another store")
	}
	rec := wal.Reset{Fork: f.id}
	err := f.s.record(deed{what: "reset"}, schedule.ResetPlaced, true, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(lsn ids.LSN) (wal.Kind, []byte, error) {
		x, err := f.treeForkLocked()
		if err != nil {
			return 0, nil, err
		}
		fz, top, err := to.at(lsn)
		if err != nil {
			return 0, nil, err
		}
		rec.Freeze, rec.Top, rec.Memtable = fz, nodeID(top), ids.NodeID(f.s.newID())
		f.s.discardMemtableLocked(x)
		f.s.mu.tree.ResetFork(x, top, rec.Memtable)
		if a, ok := x.Local.(*activeFork); ok {
			a.bare.resetLocked(lsn)
		}
		f.s.forgetForkViewLocked(x)
		return wal.KindReset, rec.AppendTo(f.s.scratchLocked(payloadRoom)), nil
	})
	f.s.wake()
	return err
}

// Drop discards the fork: its own writes are garbage from now on, and what it
// shares with others stays. O(1); the space comes back in the background. Its
// parent and its children are not touched. The last fork of a store cannot be
// dropped: ErrProtected.
func (f *Fork) Drop(opts ...WriteOption) error {
	rec := wal.Drop{Fork: f.id}
	err := f.s.record(deed{what: "drop fork"}, schedule.DropPlaced, true, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(ids.LSN) (wal.Kind, []byte, error) {
		if _, err := f.topLocked(); err != nil {
			return 0, nil, err
		}
		if f.s.mu.tree.ForkCount() == 1 {
			return 0, nil, fmt.Errorf("fork %q is the last one: %w", f.s.forkName(f.id), ErrProtected)
		}
		f.s.dropLocked(f.id)
		return wal.KindDrop, rec.AppendTo(f.s.scratchLocked(payloadRoom)), nil
	})
	f.s.wake()
	return err
}

// dropLocked takes a fork out of the tree; its record is written in the same critical
// section. One that is idle is not made active for it.
func (s *Store) dropLocked(id ids.ForkID) {
	f := s.mu.tree.ActiveFork(id)
	if f == nil {
		s.mu.tree.DropIdleFork(id)
		return
	}
	s.discardMemtableLocked(f)
	s.mu.tree.DropFork(f)
	s.forgetForkViewLocked(f)
}

func (s *Store) discardMemtableLocked(f *forktree.Fork) {
	if f.Mem != nil {
		s.mu.activeBytes -= f.Mem.Bytes()
		s.mu.activeMems--
	}
}
