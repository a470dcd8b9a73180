package model

import (
	"fmt"
	"hash/fnv"
	"io"
)

// View is what can be seen of a store from outside: the contents behind each
// name, and what came of what. It is what two stores, or a store and a State, are
// compared by.
type View struct {
	Forks     Map[Contents]
	Snapshots Map[Contents]
	Kin       Map[string] // as the function Kin gives it
}

// View shows a state as seen from outside.
func (s State) View() View {
	var v View
	for name, f := range s.Forks.All() {
		v.Forks = v.Forks.Set(name, f.Contents)
	}
	for name, n := range s.Snapshots.All() {
		v.Snapshots = v.Snapshots.Set(name, n.Contents)
	}
	v.Kin = s.kin()
	return v
}

// Diff tells in words where got first differs from want, "" if nowhere.
func Diff(got, want View) string {
	if d := diffNamed("fork", got.Forks, want.Forks); d != "" {
		return d
	}
	if d := diffNamed("snapshot", got.Snapshots, want.Snapshots); d != "" {
		return d
	}
	return DiffKin(got.Kin, want.Kin)
}

// DiffKin tells in words where got first differs from want, "" if nowhere.
func DiffKin(got, want Map[string]) string {
	for name, wanted := range want.All() {
		if parent, _ := got.Get(name); parent != wanted {
			return fmt.Sprintf("%s was made from %q, want %q", name, parent, wanted)
		}
	}
	return ""
}

func diffNamed(what string, got, want Map[Contents]) string {
	for name := range got.All() {
		if _, ok := want.Get(name); !ok {
			return fmt.Sprintf("%s %s exists and should not", what, name)
		}
	}
	for name, wanted := range want.All() {
		held, ok := got.Get(name)
		if !ok {
			return fmt.Sprintf("%s %s is missing", what, name)
		}
		if d := DiffContents(held, wanted); d != "" {
			return fmt.Sprintf("%s %s: %s", what, name, d)
		}
	}
	return ""
}

// DiffContents tells in words where got first differs from want, "" if nowhere.
func DiffContents(got, want Contents) string {
	if got.root == want.root {
		return ""
	}
	for key, value := range got.All() {
		wanted, ok := want.Get(key)
		if !ok {
			return fmt.Sprintf("key %q holds %.80q and should not exist", key, value)
		}
		if value != wanted {
			return fmt.Sprintf("key %q holds %.80q, want %.80q", key, value, wanted)
		}
	}
	for key, wanted := range want.All() {
		if _, ok := got.Get(key); !ok {
			return fmt.Sprintf("key %q is missing, want %.80q", key, wanted)
		}
	}
	return ""
}

// Fingerprint is equal for equal views, and for unequal ones it almost never is.
func (v View) Fingerprint() uint64 {
	h := fnv.New64a()
	write := func(what string, named Map[Contents]) {
		for name, contents := range named.All() {
			fmt.Fprintf(h, "%s %q %d", what, name, contents.Len())
			for key, value := range contents.All() {
				fmt.Fprintf(h, "%d %d ", len(key), len(value))
				io.WriteString(h, key)
				io.WriteString(h, value)
			}
		}
	}
	write("fork", v.Forks)
	write("snapshot", v.Snapshots)
	for name, parent := range v.Kin.All() {
		fmt.Fprintf(h, "%q of %q ", name, parent)
	}
	return h.Sum64()
}
