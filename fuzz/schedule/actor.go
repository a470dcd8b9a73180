package schedule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// actor is one client. The forks whose names end in its number are its own: nobody
// else changes them. Its methods are called by one goroutine at a time.
type actor struct {
	w      *world
	number int
	ops    int
	held   []held
	closes *held // the iterator that a deed closes
}

// held is an iterator that is open, and what it must read, whatever happens.
type held struct {
	of   string
	it   *engine.Iterator
	want model.Contents
}

// own is the actor's fork or snapshot of that kind.
func (a *actor) own(kind string) string { return fmt.Sprintf("%s%d", kind, a.number) }

// value says who wrote it, where and when.
func (a *actor) value(fork, key string, bytes int) string {
	a.ops++
	v := fmt.Sprintf("%s/%s/%d.%d/", fork, key, a.number, a.ops)
	return v + strings.Repeat("x", max(0, bytes-len(v)))
}

// put writes one key in each of the forks, as one batch. The key is a new one or
// one that was there before.
func (a *actor) put(bytes int, sync bool, forks ...string) error {
	return a.write(bytes, sync, nil, forks)
}

// edit is put, and deletes other keys of each of the forks in the same batch: by
// itself no delete would make a version that never was.
func (a *actor) edit(bytes int, sync bool, forks ...string) error {
	return a.write(bytes, sync, a.deleteSome, forks)
}

func (a *actor) write(bytes int, sync bool, also func(*engine.Batch, *engine.Fork, model.Contents) model.Contents, forks []string) error {
	b := a.w.store.NewBatch()
	next := map[string]version{}
	for _, name := range forks {
		f, err := a.w.store.Fork(name)
		if err != nil {
			return err
		}
		contents := a.w.now(name).contents
		if also != nil {
			contents = also(b, f, contents)
		}
		key := fmt.Sprintf("k%02d", (a.ops*7+3)%40)
		value := a.value(name, key, bytes)
		b.Set(f, []byte(key), []byte(value))
		next[name] = version{contents: contents.Set(key, value)}
	}
	return a.w.change(fmt.Sprintf("write %d.%d to %v", a.number, a.ops, forks), sync, next, func() error {
		return b.Commit(options(sync)...)
	})
}

// deleteSome deletes a key that is there, and every other time two neighbours as a
// range.
func (a *actor) deleteSome(b *engine.Batch, f *engine.Fork, c model.Contents) model.Contents {
	if c.Len() == 0 {
		return c
	}
	key, _ := c.At(a.ops * 5 % c.Len())
	b.Delete(f, []byte(key))
	c = c.Delete(key)
	if a.ops%2 == 0 && c.Len() > 3 {
		i := a.ops * 3 % (c.Len() - 2)
		lo, _ := c.At(i)
		hi, _ := c.At(i + 2)
		b.DeleteRange(f, []byte(lo), []byte(hi))
		c = c.Without(model.Range{Lower: &lo, Upper: &hi})
	}
	return c
}

// erase only deletes: the keys, and those from lo on below hi.
func (a *actor) erase(name, lo, hi string, keys ...string) error {
	f, err := a.w.store.Fork(name)
	if err != nil {
		return err
	}
	b := a.w.store.NewBatch()
	c := a.w.now(name).contents
	for _, key := range keys {
		b.Delete(f, []byte(key))
		c = c.Delete(key)
	}
	if lo < hi {
		b.DeleteRange(f, []byte(lo), []byte(hi))
		c = c.Without(model.Range{Lower: &lo, Upper: &hi})
	}
	return a.w.change("erase in "+name, false, map[string]version{name: {contents: c}}, func() error { return b.Commit(engine.NoSync) })
}

func options(sync bool) []engine.WriteOption {
	if sync {
		return nil
	}
	return []engine.WriteOption{engine.NoSync}
}

func (a *actor) fork(from, name string, sync bool) error {
	f, err := a.w.store.Fork(from)
	if err != nil {
		return err
	}
	return a.w.change("fork "+name, sync, map[string]version{name: {contents: a.w.now(from).contents}}, func() error {
		_, err := f.Fork(name, options(sync)...)
		return err
	})
}

// forkMany makes several forks by one record: one event.
func (a *actor) forkMany(from string, sync bool, names ...string) error {
	f, err := a.w.store.Fork(from)
	if err != nil {
		return err
	}
	next := map[string]version{}
	for _, name := range names {
		next[name] = version{contents: a.w.now(from).contents}
	}
	return a.w.change(fmt.Sprintf("fork %v", names), sync, next, func() error {
		_, err := f.ForkMany(names, options(sync)...)
		return err
	})
}

// dropMany drops several forks by one record.
func (a *actor) dropMany(sync bool, names ...string) error {
	forks, next := make([]*engine.Fork, len(names)), map[string]version{}
	for i, name := range names {
		var err error
		if forks[i], err = a.w.store.Fork(name); err != nil {
			return err
		}
		next[name] = version{absent: true}
	}
	return a.w.change(fmt.Sprintf("drop %v", names), sync, next, func() error { return a.w.store.DropForks(forks, options(sync)...) })
}

// dropSubtree drops a fork and what was made from it, which is what below names.
func (a *actor) dropSubtree(top string, sync bool, below ...string) error {
	f, err := a.w.store.Fork(top)
	if err != nil {
		return err
	}
	next := map[string]version{top: {absent: true}}
	for _, name := range below {
		next[name] = version{absent: true}
	}
	return a.w.change("drop the subtree of "+top, sync, next, func() error {
		n, err := f.DropSubtree(options(sync)...)
		if err == nil && n != len(next) {
			err = fmt.Errorf("%d forks are gone, want %d", n, len(next))
		}
		return err
	})
}

func (a *actor) snapshot(of, name string, sync bool) error {
	f, err := a.w.store.Fork(of)
	if err != nil {
		return err
	}
	return a.w.change("snapshot "+name, sync, map[string]version{"@" + name: {contents: a.w.now(of).contents}}, func() error {
		_, err := f.Snapshot(name, options(sync)...)
		return err
	})
}

func (a *actor) drop(name string, sync bool) error {
	f, err := a.w.store.Fork(name)
	if err != nil {
		return err
	}
	return a.w.change("drop "+name, sync, map[string]version{name: {absent: true}}, func() error { return f.Drop(options(sync)...) })
}

func (a *actor) reset(name, to string, sync bool) error {
	f, err := a.w.store.Fork(name)
	if err != nil {
		return err
	}
	source, err := a.w.store.Fork(to)
	if err != nil {
		return err
	}
	return a.w.change("reset "+name, sync, map[string]version{name: {contents: a.w.now(to).contents}}, func() error {
		return f.Reset(source, options(sync)...)
	})
}

func (a *actor) rename(name, to string, sync bool) error {
	f, err := a.w.store.Fork(name)
	if err != nil {
		return err
	}
	next := map[string]version{name: {absent: true}, to: {contents: a.w.now(name).contents}}
	return a.w.change("rename "+name, sync, next, func() error { return f.Rename(to, options(sync)...) })
}

// hold opens an iterator on one of the actor's forks, or one that nobody changes,
// and stops in the middle.
func (a *actor) hold(name string) error {
	h, err := a.w.iterate(name)
	if err != nil {
		return err
	}
	if h.it.First() {
		h.it.Next()
	}
	a.held = append(a.held, *h)
	return nil
}

func (w *world) iterate(name string) (*held, error) {
	f, err := w.store.Fork(name)
	if err != nil {
		return nil, err
	}
	h := &held{of: name, want: w.now(name).contents}
	h.it, err = f.NewIter(engine.Range{})
	return h, err
}

// check reads all of it, both ways. Once the store is closed it may end early.
func (h *held) check() error {
	i := 0
	for ok := h.it.First(); ok; ok = h.it.Next() {
		if err := h.row(i); err != nil {
			return err
		}
		i++
	}
	if err := h.it.Error(); err != nil {
		if errors.Is(err, engine.ErrClosed) {
			return nil
		}
		return fmt.Errorf("iterator on %s: %w", h.of, err)
	}
	if i != h.want.Len() {
		return fmt.Errorf("iterator on %s: %d rows forward, want %d", h.of, i, h.want.Len())
	}
	for ok := h.it.Last(); ok; ok = h.it.Prev() {
		i--
		if err := h.row(i); err != nil {
			return err
		}
	}
	if err := h.it.Error(); err != nil {
		if errors.Is(err, engine.ErrClosed) {
			return nil
		}
		return fmt.Errorf("iterator on %s: %w", h.of, err)
	}
	if i != 0 {
		return fmt.Errorf("iterator on %s: %d rows are missing backward", h.of, i)
	}
	return nil
}

func (h *held) row(i int) error {
	if i < 0 || i >= h.want.Len() {
		return fmt.Errorf("iterator on %s: a row too many, %q", h.of, h.it.Key())
	}
	key, value := h.want.At(i)
	if got := string(h.it.Key()); got != key {
		return fmt.Errorf("iterator on %s: row %d is %q, want %q", h.of, i, got, key)
	}
	if got := string(h.it.Value()); got != value && !errors.Is(h.it.Error(), engine.ErrClosed) {
		return fmt.Errorf("iterator on %s: %q holds %.60q, want %.60q", h.of, key, got, value)
	}
	return nil
}

// letGo checks and closes all iterators.
func (a *actor) letGo() error {
	var failed error
	for i := range a.held {
		h := &a.held[i]
		failed = errors.Join(failed, h.check())
		if err := h.it.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
			failed = errors.Join(failed, fmt.Errorf("iterator on %s: %w", h.of, err))
		}
	}
	a.held = nil
	return failed
}
