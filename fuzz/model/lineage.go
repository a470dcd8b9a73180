package model

// Relative is a fork, or a snapshot, as far as it matters for what came of what.
// Numbers mean nothing but that equal ones are one fork: two stores may number
// theirs differently.
type Relative struct {
	Snapshot bool
	Name     string
	ID       uint64 // of a fork; snapshots are nobody's parent
	Parent   uint64 // the fork that it was made from; 0: none
}

func (r Relative) String() string {
	if r.Snapshot {
		return "snapshot " + r.Name
	}
	return "fork " + r.Name
}

// Kin tells for each relative, in names alone, what it was made from: "" if
// from nothing, a fork that lives, or one that was dropped. Forks that were dropped
// have no name any more, and are told apart by the first of those that came of
// them. all must be in one order: forks by name, then snapshots by name.
func Kin(all []Relative) Map[string] {
	names := map[uint64]string{0: ""}
	for _, r := range all {
		if !r.Snapshot {
			names[r.ID] = r.String()
		}
	}
	var kin Map[string]
	for _, r := range all {
		if _, known := names[r.Parent]; !known {
			names[r.Parent] = "a dropped fork, that of " + r.String()
		}
		kin = kin.Set(r.String(), names[r.Parent])
	}
	return kin
}

func (s State) kin() Map[string] {
	var all []Relative
	for name, f := range s.Forks.All() {
		all = append(all, Relative{Name: name, ID: uint64(f.ID), Parent: uint64(f.ParentID)})
	}
	for name, n := range s.Snapshots.All() {
		all = append(all, Relative{Snapshot: true, Name: name, Parent: uint64(n.ForkID)})
	}
	return Kin(all)
}

// State gives a state that looks like v: for going on from what was read of a
// store. How deep its forks are is not known.
func (v View) State() State {
	ids := map[string]int{"": 0}
	id := func(name string) int {
		if _, known := ids[name]; !known {
			ids[name] = len(ids)
		}
		return ids[name]
	}
	of := func(r Relative) int {
		parent, _ := v.Kin.Get(r.String())
		return id(parent)
	}
	var s State
	for name, contents := range v.Forks.All() {
		r := Relative{Name: name}
		s.Forks = s.Forks.Set(name, Fork{ID: id(r.String()), ParentID: of(r), Contents: contents})
	}
	for name, contents := range v.Snapshots.All() {
		r := Relative{Snapshot: true, Name: name}
		s.Snapshots = s.Snapshots.Set(name, Snapshot{ID: id(r.String()), ForkID: of(r), Contents: contents})
	}
	s.nextID = len(ids)
	return s
}
