package churn

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// loseSome drops somebody, if enough live: hardly ever the newest.
func (r *run) loseSome() error {
	if len(r.snapshots) > 8 || len(r.snapshots) > 0 && r.rng.IntN(60) == 0 {
		i := r.rng.IntN(len(r.snapshots))
		if err := r.snapshots[i].handle.Drop(r.sync()...); err != nil {
			return fmt.Errorf("drop snapshot %s: %w", r.snapshots[i].name, err)
		}
		r.snapshots = slices.Delete(r.snapshots, i, i+1)
	}
	for len(r.live) > r.shape.live {
		if err := r.lose(); err != nil {
			return err
		}
	}
	if len(r.live) > r.shape.live*3/4 && r.rng.IntN(4) == 0 {
		return r.lose()
	}
	return nil
}

func (r *run) lose() error {
	switch draw := r.rng.IntN(60); {
	case draw < 24:
		return r.drop(r.oldest())
	case draw < 42:
		return r.drop(r.live[r.rng.IntN(len(r.live))])
	case draw < 46:
		return r.drop(r.live[len(r.live)-1])
	case draw < 48:
		return r.dropSubtree()
	case draw < 50:
		return r.dropMany()
	case draw < 52:
		return r.dropAtRest()
	}
	// A parent before its children: the fork that the most others are made of.
	children := map[*fork]int{}
	victim := r.live[r.rng.IntN(len(r.live))]
	for _, f := range r.live {
		if f.parent != nil && !f.parent.dropped {
			if children[f.parent]++; children[f.parent] > children[victim] {
				victim = f.parent
			}
		}
	}
	return r.drop(victim)
}

// oldest is one of the oldest few: in a wide tree those are the parents of all.
func (r *run) oldest() *fork { return r.live[r.rng.IntN(min(4, len(r.live)))] }

func (r *run) drop(f *fork) error {
	if len(r.live) == 1 {
		return nil
	}
	if err := f.handle.Drop(r.sync()...); err != nil {
		return fmt.Errorf("drop %s: %w", f.name, err)
	}
	r.counts.Add("drops", 1)
	if slices.ContainsFunc(r.live, func(o *fork) bool { return o.parent == f }) {
		r.counts.Add("drops of a parent before its child", 1)
	}
	f.dropped = true
	r.live = slices.DeleteFunc(r.live, func(o *fork) bool { return o == f })
	var err error
	if r.rng.IntN(20) == 0 {
		err = f.gone()
	}
	f.handle, f.contents = nil, model.Contents{} // descendants keep f, and a handle keeps its store
	return err
}

// dropSubtree drops a fork and all that descend from it, parents first or last.
// Large subtrees are let be: a run should not begin again and again.
func (r *run) dropSubtree() error {
	top := r.live[r.rng.IntN(len(r.live))]
	var all []*fork
	for _, f := range r.live {
		if f.below(top) {
			all = append(all, f)
		}
	}
	if len(all) < 2 || len(all) > len(r.live)/3 {
		return r.drop(top)
	}
	if r.rng.IntN(2) == 0 {
		slices.Reverse(all)
	}
	r.counts.Add("subtrees dropped", 1)
	for _, f := range all {
		if err := r.drop(f); err != nil {
			return err
		}
	}
	return nil
}

// below tells whether f is top or descends from it.
func (f *fork) below(top *fork) bool {
	for ; f != nil; f = f.parent {
		if f == top {
			return true
		}
	}
	return false
}

// dropAtRest brings the tree to rest, drops somebody, and lets it come to rest
// again. A merge that crosses no branch point then was possible only because one
// vanished.
func (r *run) dropAtRest() error {
	if r.unlinks.failing() {
		return nil
	}
	if err := r.store.Flush(); err != nil {
		return err
	}
	before, err := r.rest()
	if err != nil {
		return err
	}
	if err := r.drop(r.live[r.rng.IntN(len(r.live))]); err != nil {
		return err
	}
	after, err := r.rest()
	if err != nil {
		return err
	}
	if after.Joins > before.Joins || after.Merges-before.Merges > after.SharedMerges-before.SharedMerges {
		r.counts.Add("branch points that vanished and were merged over", 1)
	}
	return nil
}

func (r *run) rest() (engine.Stats, error) {
	err := r.store.Compact()
	for _, h := range r.held {
		h.swaps++
	}
	st := r.store.Stats()
	r.mostTables = max(r.mostTables, st.Tables)
	return st, err
}
