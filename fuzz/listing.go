package fuzz

import (
	"fmt"
	"sync"
	"time"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// listing is what a store says of its forks and snapshots, by name.
type listing struct {
	forks     []engine.ForkInfo
	snapshots []engine.SnapshotInfo
}

func listed(s *engine.Store) listing { return listing{s.Forks(), s.Snapshots()} }

// kin tells what came of what. The names that the store gives for parents must be
// those of the forks that it numbers so.
func (l listing) kin() (kin model.Map[string], err error) {
	var all []model.Relative
	names := map[uint64]string{}
	for _, f := range l.forks {
		names[f.ID] = f.Name
		all = append(all, model.Relative{Name: f.Name, ID: f.ID, Parent: f.ParentID})
	}
	for _, n := range l.snapshots {
		all = append(all, model.Relative{Snapshot: true, Name: n.Name, Parent: n.ForkID})
	}
	for _, f := range l.forks {
		if f.Parent != names[f.ParentID] {
			return kin, fmt.Errorf("fork %s: its parent is %d, named %q, and that is %q", f.Name, f.ParentID, f.Parent, names[f.ParentID])
		}
	}
	for _, n := range l.snapshots {
		if n.ForkID == 0 || n.Fork != names[n.ForkID] {
			return kin, fmt.Errorf("snapshot %s: it is of %d, named %q, and that is %q", n.Name, n.ForkID, n.Fork, names[n.ForkID])
		}
	}
	return model.Kin(all), nil
}

// birth is what a fork or snapshot gets when it is made and keeps for good.
type birth struct {
	id      uint64
	created time.Time
}

// births are the births of a run's forks and snapshots, by the model's id. They
// may be used concurrently.
type births struct {
	mu sync.Mutex
	of map[int]birth
}

func newBirths() *births { return &births{of: map[int]birth{}} }

// learn demands that the forks and snapshots of a state are those that they were
// since they were made, and takes those that are new.
func (b *births) learn(l listing, state model.State) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := func(what string, id int, is birth) error {
		was, known := b.of[id]
		switch {
		case !known:
			b.of[id] = is
		case was.id != is.id || !was.created.Equal(is.created):
			return fmt.Errorf("%s is number %d, made at %v; it was %d, made at %v", what, is.id, is.created, was.id, was.created)
		}
		return nil
	}
	for _, f := range l.forks {
		if m, exists := state.Forks.Get(f.Name); exists {
			if err := one("fork "+f.Name, m.ID, birth{f.ID, f.Created}); err != nil {
				return err
			}
		}
	}
	for _, n := range l.snapshots {
		if m, exists := state.Snapshots.Get(n.Name); exists {
			if err := one("snapshot "+n.Name, m.ID, birth{n.ID, n.Created}); err != nil {
				return err
			}
		}
	}
	return nil
}

// in gives those of a state, for a run that goes on from it.
func (b *births) in(state model.State) *births {
	b.mu.Lock()
	defer b.mu.Unlock()
	some := newBirths()
	take := func(id int) {
		if is, known := b.of[id]; known {
			some.of[id] = is
		}
	}
	for _, f := range state.Forks.All() {
		take(f.ID)
	}
	for _, n := range state.Snapshots.All() {
		take(n.ID)
	}
	return some
}
