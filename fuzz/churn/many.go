package churn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// forkMany makes some forks of one at once. Their names begin alike, so that they can
// be dropped at once, too.
func (r *run) forkMany(parent *fork) error {
	r.made++
	prefix := fmt.Sprintf("%sm%d-", r.hand, r.made)
	names := make([]string, 2+r.rng.IntN(6))
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	handles, err := parent.handle.ForkMany(names, r.sync()...)
	if err != nil {
		return fmt.Errorf("fork %s…: %w", prefix, err)
	}
	for i, handle := range handles {
		r.live = append(r.live, &fork{
			name: names[i], handle: handle, contents: parent.contents, parent: parent, depth: parent.depth + 1,
		})
	}
	r.counts.Add("forks made at once", len(names))
	return nil
}

// dropMany drops some forks by one record: a fork with all that come of it, those whose
// names begin alike, or any. It does not touch more than a third of all.
func (r *run) dropMany() error {
	top := r.live[r.rng.IntN(len(r.live))]
	switch r.rng.IntN(3) {
	case 0:
		return r.loseAll("drop subtree", r.subtree(top), func([]*fork) (int, error) { return top.handle.DropSubtree(r.sync()...) })
	case 1:
		prefix, _, many := strings.Cut(top.name, "-")
		if prefix += "-"; !many {
			prefix = top.name
		}
		var all []*fork
		for _, f := range r.live {
			if strings.HasPrefix(f.name, prefix) {
				all = append(all, f)
			}
		}
		return r.loseAll("drop prefix", all, func([]*fork) (int, error) { return r.store.DropPrefix(prefix, r.sync()...) })
	}
	var all []*fork
	for range 1 + r.rng.IntN(8) {
		all = append(all, r.live[r.rng.IntN(len(r.live))]) // one may come twice
	}
	return r.loseAll("drop forks", all, func(all []*fork) (int, error) {
		handles := make([]*engine.Fork, len(all))
		for i, f := range all {
			handles[i] = f.handle
		}
		distinct := slices.Compact(slices.SortedFunc(slices.Values(all), func(a, b *fork) int { return strings.Compare(a.name, b.name) }))
		return len(distinct), r.store.DropForks(handles, r.sync()...)
	})
}

// subtree gives a fork and those that were made from it, or from forks of these; what
// was made from one that is gone is not among them.
func (r *run) subtree(top *fork) (all []*fork) {
	within := map[*fork]bool{top: true}
	for _, f := range r.live { // parents come before their children
		if f == top || f.parent != nil && !f.parent.dropped && within[f.parent] {
			within[f] = true
			all = append(all, f)
		}
	}
	return all
}

// loseAll drops forks, unless they are too many, and takes them out of those that live.
func (r *run) loseAll(what string, all []*fork, drop func([]*fork) (int, error)) error {
	if len(all) > len(r.live)/3 {
		return nil
	}
	dropped, err := drop(all)
	if err != nil {
		return fmt.Errorf("%s of %s and %d others: %w", what, all[0].name, len(all)-1, err)
	}
	gone := map[*fork]bool{}
	for _, f := range all {
		gone[f] = true
	}
	if dropped != len(gone) {
		return fmt.Errorf("%s of %s: %d forks are gone, want %d", what, all[0].name, dropped, len(gone))
	}
	r.live = slices.DeleteFunc(r.live, func(f *fork) bool { return gone[f] })
	for _, f := range all {
		if f.dropped {
			continue
		}
		if f.dropped = true; err == nil && r.rng.IntN(8) == 0 {
			err = f.gone()
		}
		f.handle, f.contents = nil, model.Contents{}
	}
	r.counts.Add("drops", len(gone))
	r.counts.Add(what+" of several", min(len(gone)-1, 1))
	return err
}

// rename gives a fork or a snapshot another name.
func (r *run) rename() error {
	r.made++
	if len(r.snapshots) > 0 && r.rng.IntN(3) == 0 {
		s := r.snapshots[r.rng.IntN(len(r.snapshots))]
		s.name = fmt.Sprintf("%ss%d", r.hand, r.made)
		r.counts.Add("snapshots renamed", 1)
		return s.handle.Rename(s.name, r.sync()...)
	}
	f := r.live[r.rng.IntN(len(r.live))]
	f.name = fmt.Sprintf("%sf%d", r.hand, r.made)
	r.counts.Add("forks renamed", 1)
	return f.handle.Rename(f.name, r.sync()...)
}
