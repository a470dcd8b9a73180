package engine

import (
	"fmt"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// ForkMany makes a fork of f as it is now under each of the names: all at one cut,
// so that no write of f is in some of them and not in others, and all or none, a
// crash included. It costs one log record of 76 bytes and the names, whatever f
// holds, and one fsync. The handles come in the order of the names.
//
// No fork is made if a name is taken (ErrForkExists), is not allowed, or comes
// twice, or if there are more than MaxForkMany (ErrLimit). No names make no forks.
func (f *Fork) ForkMany(names []string, opts ...WriteOption) ([]*Fork, error) {
	return f.s.forkMany(f, f.id, 0, names, opts)
}

// ForkMany makes forks that begin as the snapshot. See Fork.ForkMany.
func (n *Snapshot) ForkMany(names []string, opts ...WriteOption) ([]*Fork, error) {
	return n.s.forkMany(n, n.n.Fork, n.n.ID, names, opts)
}

func (s *Store) forkMany(from Source, parent ids.ForkID, snapshot ids.SnapshotID, names []string, opts []WriteOption) ([]*Fork, error) {
	if err := checkNames(names); err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	rec := wal.ForkMany{Names: names, Parent: parent, FromSnapshot: snapshot, CreatedUnixNano: time.Now().UnixNano()}
	children := make([]*Fork, 0, len(names))
	var crowded bool
	what := fmt.Sprintf("make %d forks", len(names))
	err := s.record(deed{what: what}, schedule.ForkPlaced, false, len(rec.AppendTo(make([]byte, 0, payloadRoom))), synced(opts), func(lsn ids.LSN) (wal.Kind, []byte, error) {
		for _, name := range names {
			if s.mu.tree.HasFork(name) {
				return 0, nil, fmt.Errorf("fork %q: %w", name, ErrForkExists)
			}
		}
		// Asked before anything is frozen: an error must leave no trace.
		if s.idBound.Load()-s.nextID.Load() < fewNumbers+2*uint64(len(names)) {
			return 0, nil, errFewNumbers
		}
		fz, top, err := from.at(lsn)
		if err != nil {
			return 0, nil, err
		}
		rec.Freeze, rec.Top, rec.First = fz, nodeID(top), ids.ForkID(s.newIDs(2*len(names)))
		for i, name := range names {
			s.mu.tree.AddIdleFork(manifest.Fork{
				ID: rec.Child(i), Name: name, Parent: parent, CreatedUnixNano: rec.CreatedUnixNano, CreatedLSN: lsn,
				Top: rec.Top, Memtable: rec.Memtable(i),
			})
			children = append(children, &Fork{s: s, id: rec.Child(i), name: name})
		}
		crowded = fz.Node != 0 && memoryStretch(top) > compaction.DefaultPolicy().MaxMemory
		return wal.KindForkMany, rec.AppendTo(nil), nil
	})
	if err != nil {
		return nil, err
	}
	s.counter.forks.Add(uint64(len(names)))
	s.owe(len(names) - 1)
	if crowded {
		s.wake()
	}
	return children, nil
}

// checkNames refuses names that cannot all be given to new forks.
func checkNames(names []string) error {
	if len(names) > MaxForkMany {
		return fmt.Errorf("%w: %d forks at once, at most %d are allowed", ErrLimit, len(names), MaxForkMany)
	}
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
		if _, twice := seen[name]; twice {
			return fmt.Errorf("%w: %q comes twice", ErrInvalidName, name)
		}
		seen[name] = struct{}{}
	}
	return nil
}
