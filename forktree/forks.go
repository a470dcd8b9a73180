package forktree

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/manifest"
)

// A store may have a million forks of which some dozen are in use. So a fork is a
// record in manifest.Forks, without a pointer, and nothing else while it is idle. An
// active one has a Fork beside it: one that has a memtable, or that the engine keeps
// something about. The record's note tells where in Tree.active it is.
//
// Whoever asks for a Fork makes the fork active; Rest makes it idle again. That is
// asked for by the engine, which alone knows what else points at a Fork.

// AddFork adds a fork whose top is f.Top (nil: empty), active. The name must be free.
func (t *Tree) AddFork(f *Fork) {
	t.enter(manifest.Fork{
		ID: f.ID, Name: f.Name, Parent: f.Parent, Top: nodeID(f.Top), Memtable: f.MemtableID,
		CreatedUnixNano: f.CreatedUnixNano, CreatedLSN: f.CreatedLSN,
	}, f.Top)
	t.activate(f)
}

// AddIdleFork adds a fork with the top that it names, as a record only. The name must
// be free.
func (t *Tree) AddIdleFork(f manifest.Fork) {
	top := t.nodes[f.Top]
	if (top == nil) != (f.Top == 0) { // the arguments of Check allocate
		invariant.Check(false, "fork %d is made over node %d, which is not there", f.ID, f.Top)
	}
	t.enter(f, top)
}

func (t *Tree) enter(f manifest.Fork, top *Node) {
	t.ref(top)
	t.forks.Add(f, 0)
	t.dirtyForks = append(t.dirtyForks, f.ID)
	t.shape++
}

// DropFork takes a fork away. Its memtable becomes garbage; its path is
// released by Release. O(log forks).
func (t *Tree) DropFork(f *Fork) {
	t.checkActive(f)
	t.deactivate(f)
	if !t.forks.Discard(f.ID) {
		t.dirtyForks = append(t.dirtyForks, f.ID)
	}
	f.dropped = true
	top := f.Top
	f.Top, f.Mem = nil, nil
	t.unref(top)
	t.shape++
}

// DropIdleFork is DropFork of a fork that is idle. It stays so to the end.
func (t *Tree) DropIdleFork(id ids.ForkID) {
	top, owed, ok := t.forks.Take(id)
	if !ok { // the arguments of Check allocate
		invariant.Check(false, "fork %d is dropped and is not there", id)
	}
	if !owed {
		t.dirtyForks = append(t.dirtyForks, id)
	}
	t.unref(t.nodes[top])
	t.shape++
}

// RenameFork gives a fork another name, which must be free.
func (t *Tree) RenameFork(f *Fork, name string) {
	t.checkActive(f)
	invariant.Check(!t.HasFork(name), "fork name %q is used twice", name)
	r, _ := t.forks.Get(f.ID)
	r.Name, f.Name = name, name
	t.forks.Put(r)
	if !t.forks.Owe(f.ID) {
		t.dirtyForks = append(t.dirtyForks, f.ID)
	}
}

// ResetFork points a fork at another top, with a new memtable id. What it had
// in memory becomes garbage. O(log forks).
func (t *Tree) ResetFork(f *Fork, top *Node, memtable ids.NodeID) {
	t.checkActive(f)
	t.ref(top)
	old := f.Top
	f.Top, f.Mem, f.Low, f.MemtableID = top, nil, 0, memtable
	t.unref(old)
	t.repointed(f)
	t.shape++
}

// repointed brings the record of a fork up to its present top and memtable.
func (t *Tree) repointed(f *Fork) {
	if !t.forks.Repoint(f.ID, nodeID(f.Top), f.MemtableID) {
		t.dirtyForks = append(t.dirtyForks, f.ID)
	}
}

// HasFork tells whether a fork has that name.
func (t *Tree) HasFork(name string) bool { return t.forks.HasName(name) }

// LookupFork gives the record of the fork of that name. The fork stays idle if it is.
func (t *Tree) LookupFork(name string) (f manifest.Fork, ok bool) { return t.forks.Named(name) }

// ForkRecord gives the record of the fork with that id. The fork stays idle if it is.
func (t *Tree) ForkRecord(id ids.ForkID) (f manifest.Fork, ok bool) { return t.forks.Get(id) }

// ForkTop gives the top of the fork with that id, nil if it is empty. The fork stays idle
// if it is.
func (t *Tree) ForkTop(id ids.ForkID) (top *Node, ok bool) {
	n, ok := t.forks.Top(id)
	return t.nodes[n], ok
}

// ForkByName makes the fork of that name active; nil if there is none.
func (t *Tree) ForkByName(name string) *Fork {
	r, ok := t.forks.Named(name)
	if !ok {
		return nil
	}
	return t.wake(r)
}

// ForkByID makes the fork with that id active; nil if there is none.
func (t *Tree) ForkByID(id ids.ForkID) *Fork {
	if f := t.ActiveFork(id); f != nil { // each write asks, and a record's name has to be copied
		return f
	}
	r, ok := t.forks.Get(id)
	if !ok {
		return nil
	}
	return t.wake(r)
}

// ActiveFork gives the fork with that id if it is active, else nil.
func (t *Tree) ActiveFork(id ids.ForkID) *Fork {
	if place := t.forks.Note(id); place > 0 {
		return t.active[place-1]
	}
	return nil
}

func (t *Tree) wake(r manifest.Fork) *Fork {
	if f := t.ActiveFork(r.ID); f != nil {
		return f
	}
	f := t.copyOf(r)
	t.activate(f)
	return f
}

// copyOf makes a Fork of the record of one that is idle.
func (t *Tree) copyOf(r manifest.Fork) *Fork {
	return &Fork{
		ID: r.ID, Name: r.Name, Parent: r.Parent, CreatedUnixNano: r.CreatedUnixNano, CreatedLSN: r.CreatedLSN,
		Top: t.nodes[r.Top], MemtableID: r.Memtable,
	}
}

func (t *Tree) activate(f *Fork) {
	if f.place != 0 { // the arguments of Check allocate
		invariant.Check(false, "fork %d becomes active twice", f.ID)
	}
	t.active = append(t.active, f)
	f.place = uint32(len(t.active))
	t.forks.SetNote(f.ID, f.place)
}

// deactivate takes the fork out of the active ones. The last of them takes its place.
func (t *Tree) deactivate(f *Fork) {
	last := t.active[len(t.active)-1]
	t.active[f.place-1] = last
	t.active[len(t.active)-1] = nil
	t.active = t.active[:len(t.active)-1]
	if last != f {
		last.place = f.place
		t.forks.SetNote(last.ID, last.place)
	}
	t.forks.SetNote(f.ID, 0)
	f.place = 0
	if room := cap(t.active); room > 1024 && len(t.active) < room/4 {
		t.active = slices.Clone(t.active)
	}
}

func (t *Tree) checkActive(f *Fork) {
	if f.dropped { // the arguments of Check allocate
		invariant.Check(false, "fork %d is changed after it was dropped", f.ID)
	}
	if f.place == 0 || int(f.place) > len(t.active) || t.active[f.place-1] != f { // the arguments of Check allocate
		invariant.Check(false, "fork %d is changed while it is idle", f.ID)
	}
}

// Rest makes a fork idle: its record is all that stays. It must have no memtable, and
// f must not be used any more.
func (t *Tree) Rest(f *Fork) {
	t.checkActive(f)
	invariant.Check(f.Mem == nil, "fork %d comes to rest with a memtable", f.ID)
	t.deactivate(f)
	f.Top, f.Local = nil, nil
}

// Resting tells whether the fork was made idle since f was given out: then f is of no
// use any more, though the fork lives on.
func (f *Fork) Resting() bool { return f.place == 0 && !f.dropped }

// ActiveForks gives the forks that are active, in no order. The slice is the tree's
// own: it is good until a fork becomes active, idle or is dropped.
func (t *Tree) ActiveForks() []*Fork { return t.active }

// Forks gives all forks, by name. Of those that are idle it gives copies, to be looked
// at only. For stores of any size there is ForksAfter.
func (t *Tree) Forks() []*Fork {
	out := make([]*Fork, 0, t.forks.Len())
	for _, r := range t.forks.Names("", "", -1) {
		f := t.ActiveFork(r.ID)
		if f == nil {
			f = t.copyOf(r)
		}
		out = append(out, f)
	}
	return out
}

// ForksAfter gives the records of at most limit forks whose names come after name, in
// the order of names. Cost: O(limit + log forks).
func (t *Tree) ForksAfter(name string, limit int) []manifest.Fork {
	return t.forks.Names("", name, limit)
}

// ForksWithPrefix gives the records of at most limit forks whose names begin with prefix
// and come after the name after, in the order of names. Cost: O(limit + log forks).
func (t *Tree) ForksWithPrefix(prefix, after string, limit int) []manifest.Fork {
	return t.forks.Names(prefix, after, limit)
}

// ForksByID gives the records of at most limit forks whose ids are above after, by
// rising id. Cost: O(limit + log forks).
func (t *Tree) ForksByID(after ids.ForkID, limit int) []manifest.Fork {
	return t.forks.After(after, limit)
}

// ParentsByID tells fn of at most limit forks whose ids are above after, by rising id, and
// what each was made from. It gives the last id it came to, and whether there are more.
// Cost: O(limit + log forks).
func (t *Tree) ParentsByID(after ids.ForkID, limit int, fn func(fork, parent ids.ForkID)) (last ids.ForkID, more bool) {
	return t.forks.Parents(after, limit, fn)
}

// OwesForks tells whether the records are ahead of what was taken by TakeTransaction.
func (t *Tree) OwesForks() bool { return len(t.dirtyForks) > 0 }

// verifyForks holds the active forks against their records.
func (t *Tree) verifyForks() error {
	noted := 0
	for r := range t.forks.All() {
		if r.Top != 0 && t.nodes[r.Top] == nil {
			return fmt.Errorf("fork %d lies over node %d, which is not in the tree", r.ID, r.Top)
		}
		f := t.ActiveFork(r.ID)
		if f == nil {
			continue
		}
		noted++
		if f.dropped || f.ID != r.ID || f.Name != r.Name || f.MemtableID != r.Memtable || f.Top != t.nodes[r.Top] {
			return fmt.Errorf("fork %d: its record says name %q, top %d, memtable %d; it is fork %d with %q, %d, %d",
				r.ID, r.Name, r.Top, r.Memtable, f.ID, f.Name, nodeID(f.Top), f.MemtableID)
		}
	}
	if noted != len(t.active) {
		return fmt.Errorf("%d forks are active, the records know of %d", len(t.active), noted)
	}
	return nil
}
