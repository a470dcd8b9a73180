package churn

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

func keyOf(i int) string { return fmt.Sprintf("key%03d", i) }

func (r *run) anyKey() string { return keyOf(r.place()) }

// place draws a key. Where there are many, most are of a stretch that others take the
// place of after a while, so that merges leave the rest of a long run as it is.
func (r *run) place() int {
	if r.config.keys <= fewKeys || r.rng.IntN(8) == 0 {
		return r.rng.IntN(r.config.keys)
	}
	return (r.made/64*37 + r.rng.IntN(24)) % r.config.keys
}

// writeTo writes a little to a new fork, and sometimes to its parent, so that
// both sides of the branch point have something of their own.
func (r *run) writeTo(child *fork) error {
	b := r.store.NewBatch()
	r.edits(b, child, r.rng.IntN(6))
	if p := child.parent; !p.dropped && r.rng.IntN(3) == 0 {
		r.edits(b, p, 1+r.rng.IntN(3))
	}
	if err := b.Commit(r.sync()...); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// edits adds some puts and deletes to a batch, and to what the fork must hold.
func (r *run) edits(b *engine.Batch, f *fork, count int) {
	for range count {
		key := r.anyKey()
		switch draw := r.rng.IntN(60); {
		case draw < 11:
			r.n++
			b.Delete(f.handle, []byte(key))
			f.contents = f.contents.Delete(key)
		case draw < 15:
			r.deleteRange(b, f)
		default:
			r.put(b, f, key)
		}
	}
}

// deleteRange deletes a few neighbours or, seldom, a third of all keys or more.
func (r *run) deleteRange(b *engine.Batch, f *fork) {
	r.n++
	from := r.place()
	lower, upper := keyOf(from), keyOf(from+1+r.rng.IntN(6))
	within := model.Range{Lower: &lower, Upper: &upper}
	wide := 12
	if r.config.keys > fewKeys {
		wide = 200
	}
	switch r.rng.IntN(wide) {
	case 0:
		within.Upper = nil
	case 1:
		within.Lower = nil
	}
	var lo, hi []byte
	if within.Lower != nil {
		lo = []byte(lower)
	}
	if within.Upper != nil {
		hi = []byte(upper)
	}
	b.DeleteRange(f.handle, lo, hi)
	if n := f.contents.Within(within).Len(); n > 0 {
		r.counts.Add("range deletes", 1)
		r.counts.Add("rows deleted by ranges", n)
	}
	f.contents = f.contents.Without(within)
}

func (r *run) put(b *engine.Batch, f *fork, key string) {
	r.n++
	size := 60
	if r.rng.IntN(30) == 0 {
		size = 1500
	}
	value := ops.Value(f.name, r.n, key, size)
	b.Set(f.handle, []byte(key), []byte(value))
	f.contents = f.contents.Set(key, value)
}

// readSome looks a few keys up, anywhere.
func (r *run) readSome() error {
	for range 3 {
		f := r.live[r.rng.IntN(len(r.live))]
		if err := compareGet(f.handle, r.anyKey(), f.contents); err != nil {
			return fmt.Errorf("fork %s: %w", f.name, err)
		}
	}
	return nil
}

// keep takes a snapshot, or points a fork elsewhere.
func (r *run) keep() error {
	f := r.live[r.rng.IntN(len(r.live))]
	if len(r.held) > 0 && r.rng.IntN(4) == 0 {
		if h := r.held[r.rng.IntN(len(r.held))]; h.of != nil && !h.of.dropped {
			f = h.of
		}
	}
	switch r.rng.IntN(40) {
	case 0:
		r.made++
		s := &frozen{name: fmt.Sprintf("%ss%d", r.hand, r.made), contents: f.contents, of: f}
		var err error
		if s.handle, err = f.handle.Snapshot(s.name, r.sync()...); err != nil {
			return fmt.Errorf("snapshot of %s: %w", f.name, err)
		}
		r.snapshots = append(r.snapshots, s)
	case 1:
		source := r.live[r.rng.IntN(len(r.live))]
		if source == f {
			return nil
		}
		if err := f.handle.Reset(source.handle, r.sync()...); err != nil {
			return fmt.Errorf("reset %s to %s: %w", f.name, source.name, err)
		}
		f.contents = source.contents
		f.resets++
		r.counts.Add("resets", 1)
	case 3:
		if r.rng.IntN(4) == 0 {
			return r.rename()
		}
	case 2:
		if len(r.snapshots) == 0 {
			return nil
		}
		source := r.snapshots[r.rng.IntN(len(r.snapshots))]
		if err := f.handle.Reset(source.handle, r.sync()...); err != nil {
			return fmt.Errorf("reset %s to snapshot %s: %w", f.name, source.name, err)
		}
		f.contents = source.contents
		f.resets++
		r.counts.Add("resets", 1)
	}
	return nil
}

// gone demands that the handle of a dropped fork says so.
func (f *fork) gone() error {
	if _, err := f.handle.Get([]byte("key000")); !errors.Is(err, engine.ErrForkNotFound) {
		return fmt.Errorf("a read of %s after its drop gives %v", f.name, err)
	}
	if err := f.handle.Set([]byte("key000"), nil, engine.NoSync); !errors.Is(err, engine.ErrForkNotFound) {
		return fmt.Errorf("a write to %s after its drop gives %v", f.name, err)
	}
	return nil
}
