package schedule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

const storeDir = "/store"

// event is one change of the store. Its fate is unknown until it has ended.
type event struct {
	what         string
	began, ended atomic.Int64 // by the world's clock; 0: not yet
	durable      bool
}

// version is what a fork or a snapshot held from an event on. A nil since is the
// state that the run began with.
type version struct {
	contents model.Contents
	absent   bool
	since    *event
}

// world is a store and what it must hold: for each fork, and each snapshot under
// its name with an @ before it, the versions in order. Each of them is changed by
// one actor only, so that this order is known; and no two of them are equal, but
// for that of a fork that is not there yet and of one that is dropped. It may be used concurrently.
type world struct {
	disk  *crashfs.FS
	store *engine.Store
	clock atomic.Int64

	mu      sync.Mutex
	objects map[string][]version
}

// now gives a fork's or snapshot's last version.
func (w *world) now(name string) version {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.objects[name]
	if len(all) == 0 {
		return version{absent: true}
	}
	return all[len(all)-1]
}

// change is one event that gives each of the objects a new version. do carries it
// out. An error that says that nothing happened takes the versions back.
func (w *world) change(what string, durable bool, next map[string]version, do func() error) error {
	e := &event{what: what, durable: durable}
	w.mu.Lock()
	for name, v := range next {
		v.since = e
		if len(w.objects[name]) == 0 {
			w.objects[name] = []version{{absent: true}}
		}
		w.objects[name] = append(w.objects[name], v)
	}
	e.began.Store(w.clock.Add(1))
	w.mu.Unlock()
	err := do()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		e.ended.Store(w.clock.Add(1))
	case !errors.Is(err, engine.ErrIndeterminate):
		for name := range next {
			w.objects[name] = slices.DeleteFunc(w.objects[name], func(v version) bool { return v.since == e })
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// histories gives all objects as they stand.
func (w *world) histories() map[string][]version {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string][]version{}
	for name, all := range w.objects {
		out[name] = slices.Clone(all)
	}
	return out
}

// judge says whether what a store holds is one prefix of the order of all events.
// An event that had ended before the clock stood at from must be there if it was
// durable, or if the process alone died; one that began after to must not.
func (w *world) judge(s *engine.Store, from, to int64, kill bool) error {
	got, err := readAll(s)
	if err != nil {
		return err
	}
	objects := w.histories()
	for name := range got {
		if objects[name] == nil {
			return fmt.Errorf("%s is there, which nobody made", name)
		}
	}
	fate := map[*event]bool{} // present or not
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		all := objects[name]
		at, unique, err := find(name, got, all)
		if err != nil {
			return err
		}
		if !unique { // it was made and dropped: nobody can say which of the two this is
			continue
		}
		for i, v := range all[1:] {
			present := i+1 <= at
			if before, known := fate[v.since]; known && before != present {
				return fmt.Errorf("half of %s: it is in one fork and not in another", v.since.what)
			}
			fate[v.since] = present
		}
	}
	return prefix(fate, from, to, kill)
}

// find tells which version is there, the last of them if it might be several.
func find(name string, got map[string]model.Contents, all []version) (at int, unique bool, err error) {
	contents, there := got[name]
	at = -1
	for i := range all {
		if all[i].absent == !there && (!there || model.DiffContents(contents, all[i].contents) == "") {
			at, unique = i, at < 0
		}
	}
	if at >= 0 {
		return at, unique, nil
	}
	last := all[len(all)-1]
	switch {
	case !there:
		return 0, false, fmt.Errorf("%s is missing", name)
	case last.absent:
		return 0, false, fmt.Errorf("%s is what it never was", name)
	}
	return 0, false, fmt.Errorf("%s is what it never was; against its last version: %s", name, model.DiffContents(contents, last.contents))
}

func prefix(fate map[*event]bool, from, to int64, kill bool) error {
	var lastPresent, firstAbsent *event
	events := slices.Collect(maps.Keys(fate))
	sort.Slice(events, func(i, j int) bool { return events[i].began.Load() < events[j].began.Load() })
	for _, e := range events {
		began, ended := e.began.Load(), e.ended.Load()
		switch {
		case fate[e] && began > to:
			return fmt.Errorf("%s is there before it was begun", e.what)
		case fate[e]:
			lastPresent = e
		case ended != 0:
			if ended < from && (kill || e.durable) {
				return fmt.Errorf("%s is lost", e.what)
			}
			if firstAbsent == nil || ended < firstAbsent.ended.Load() {
				firstAbsent = e
			}
		}
	}
	if lastPresent != nil && firstAbsent != nil && lastPresent.began.Load() > firstAbsent.ended.Load() {
		return fmt.Errorf("no prefix: %s is there, which began after %s had ended, which is not", lastPresent.what, firstAbsent.what)
	}
	return nil
}

// live demands that the open store holds the last version of everything.
func (w *world) live() error {
	got, err := readAll(w.store)
	if err != nil {
		return err
	}
	objects := w.histories()
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		all := objects[name]
		at, _, err := find(name, got, all)
		if err != nil {
			return err
		}
		if at != len(all)-1 {
			return fmt.Errorf("%s: its last change, %s, is not there", name, all[len(all)-1].since.what)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		return fmt.Errorf("there are also %v", slices.Sorted(maps.Keys(got)))
	}
	return nil
}

// reader is what a fork and a snapshot have in common.
type reader interface {
	NewIter(engine.Range) (*engine.Iterator, error)
}

// readAll reads every fork and snapshot.
func readAll(s *engine.Store) (map[string]model.Contents, error) {
	out := map[string]model.Contents{}
	read := func(name string, r reader, err error) error {
		if err != nil {
			return err
		}
		it, err := r.NewIter(engine.Range{})
		if err != nil {
			return err
		}
		var c model.Contents
		for ok := it.First(); ok; ok = it.Next() {
			c = c.Set(string(it.Key()), string(it.Value()))
		}
		if err := it.Close(); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		out[name] = c
		return nil
	}
	for _, info := range s.Forks() {
		f, err := s.Fork(info.Name)
		if err := read(info.Name, f, err); err != nil {
			return nil, err
		}
	}
	for _, info := range s.Snapshots() {
		n, err := s.Snapshot(info.Name)
		if err := read("@"+info.Name, n, err); err != nil {
			return nil, err
		}
	}
	return out, nil
}
