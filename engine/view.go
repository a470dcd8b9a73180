package engine

import (
	"slices"
	"sync/atomic"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/spin"
	"github.com/tinedb/tine/sstable"
)

// view is what a fork or snapshot is read through: a memtable that may still
// grow, over the layers of its path as they stood at one moment: those that are
// private to it, and the flat of the first node that it shares. It is immutable
// but for its count. A view from before a swap on its path still reads right, because a
// swap changes no content; it only keeps old files alive, so the sweeper makes readers
// let go of it. Its runs stay pinned until the last reader is done.
type view struct {
	s     *Store
	refs  atomic.Int32
	top   *forktree.Node
	mem   *memtable.Memtable // nil if the fork has none
	own   []layer            // newest first
	flat  *flat              // what lies below them; nil if nothing does
	dead  *deadTables        // what is dead in the tables of all layers
	swaps uint64             // the tree's count of swaps when it was last found to be as the tree is

	woven atomic.Pointer[wovenFit] // what was last found out about a weave
}

// viewLocked builds a view with one reference. O(private nodes of the path and what
// they mark), if the flat below them is there.
func (s *Store) viewLocked(top *forktree.Node, mem *memtable.Memtable) *view {
	v := &view{s: s, top: top, mem: mem, swaps: s.mu.tree.Swaps()}
	var marked deadOnPath
	n := top
	for ; n != nil && !isShared(n); n = n.Older {
		marked.add(n)
		v.own = s.appendLayerLocked(v.own, n)
	}
	if n != nil {
		v.flat = s.flatLocked(n)
	}
	v.own = slices.Clip(v.own)
	v.dead = marked.over(v.flat.deadTables())
	v.refs.Store(1)
	s.mu.views[v] = struct{}{}
	if invariant.Expensive {
		v.checkAgainst(top)
	}
	return v
}

// isPresentLocked tells whether the view is what would be made in its place now.
func (v *view) isPresentLocked() bool {
	now := v.s.mu.tree.Swaps()
	if v.swaps == now {
		return true
	}
	if !v.top.Unchanged(v.flat.top(), v.swaps) || !v.s.isPresentLocked(v.flat) {
		return false
	}
	v.swaps = now
	if invariant.Expensive {
		v.checkAgainst(v.top)
	}
	return true
}

// layers gives all layers, newest first.
func (v *view) layers() []layer {
	all := slices.Clone(v.own)
	for f := range v.flat.under() {
		all = append(all, f.layers...)
	}
	return all
}

// checkAgainst asserts that the view has the layers of the path, and what its nodes
// mark, as a plain walk finds them.
func (v *view) checkAgainst(top *forktree.Node) {
	var marked deadOnPath
	layers := v.layers()
	for n := range forktree.Path(top) {
		marked.add(n)
		if n.Mem == nil && len(n.Run.Tables) == 0 {
			continue
		}
		invariant.Check(len(layers) > 0 && layers[0].run == n.Run && (n.Mem == nil) == (layers[0].mem == nil),
			"node %d is not where it should be in a view of node %d", n.ID, nodeID(top))
		layers = layers[1:]
		if n.Run == nil {
			continue
		}
		for _, tb := range n.Run.Tables {
			d := v.dead.of(tb)
			for _, m := range marked[tb] {
				invariant.Check(d != nil && d.vector == m.Vector, "a view of node %d does not know what node %d marks in table %d", nodeID(top), m.Node.ID, tb.Meta.ID)
				d = d.below
			}
			invariant.Check(d == nil, "a view of node %d knows of marks in table %d that are not there", nodeID(top), tb.Meta.ID)
		}
	}
	invariant.Check(len(layers) == 0, "a view of node %d has %d layers too many", nodeID(top), len(layers))
}

// release takes one reference back; the last one unpins the runs.
func (v *view) release() {
	if v.unref() {
		v.s.opts.Schedule.Reach(schedule.ViewUnpinning)
		v.unpin()
		v.s.wake()
	}
}

// releaseQuietly is release for jobs: it wakes no worker, so that a job that
// fails again and again does not wake itself.
func (v *view) releaseQuietly() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.releaseLocked()
}

func (v *view) unpin() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.unpinLocked()
}

func (v *view) releaseLocked() {
	if v.unref() {
		v.unpinLocked()
	}
}

func (v *view) unref() (last bool) {
	n := v.refs.Add(-1)
	invariant.Check(n >= 0, "a view is released twice")
	return n == 0
}

func (v *view) unpinLocked() {
	v.s.unpinLayersLocked(v.own)
	v.s.releaseFlatLocked(v.flat)
	delete(v.s.mu.views, v)
}

// get looks for the newest row of key that is no newer than at. The first
// occurrence from the top decides. It appends the value to dst.
func (v *view) get(dst, key []byte, at ids.LSN) (out []byte, found bool, err error) {
	hash := sstable.KeyHash(key) // the filters of all layers go by it
	if v.mem != nil {
		if value, kind, ok := v.mem.GetHashed(key, hash, at); ok {
			return append(dst, value...), kind == iterator.Set, nil
		}
		if v.mem.Covered(key, at) {
			return dst, false, nil
		}
	}
	layers, below := v.own, v.flat
	for {
		for i := range layers {
			out, kind, ok, err := v.getIn(&layers[i], dst, key, hash)
			if err != nil {
				return dst, false, v.s.blame(err)
			}
			if ok {
				return out, kind == iterator.Set, nil
			}
		}
		if below == nil {
			return dst, false, nil
		}
		layers, below = v.into(below, key, hash)
	}
}

// getIn looks for key in one layer. What a range delete covers is found and is a
// tombstone.
func (v *view) getIn(l *layer, dst, key []byte, hash uint64) (out []byte, kind iterator.Kind, ok bool, err error) {
	if l.mem != nil {
		if value, kind, ok := l.mem.GetHashed(key, hash, memtable.MaxLSN); ok {
			return append(dst, value...), kind, true, nil
		}
		return dst, iterator.Tombstone, l.mem.Covered(key, memtable.MaxLSN), nil
	}
	t := l.run.Find(key)
	if t == nil {
		return dst, 0, false, nil
	}
	dead := v.dead.of(t)
	if dead.whole() {
		return dst, 0, false, nil
	}
	r, err := v.s.tables.ReaderAt(&t.Place)
	if err != nil {
		return dst, 0, false, err
	}
	return r.GetHashed(dst, key, hash, dead.get())
}

// viewer is what forks and snapshots have in common for reading: a cached view.
// Loading the view and counting a reference on it is one step under its lock.
// Lock order: Store.mu before viewer.mu.
type viewer struct {
	s     *Store
	state func() (top *forktree.Node, mem *memtable.Memtable, err error) // Store.mu held

	passing bool // state has given what a view for its caller alone is made of. Under Store.mu

	mu   spin.Mutex
	view *view
	used bool // since idle views were last looked for

	bare bareness
}

// acquire gives the present view with a reference for the caller.
func (r *viewer) acquire() (*view, error) {
	if r.s.closed.Load() {
		return nil, ErrClosed
	}
	r.mu.Lock()
	if v := r.view; v != nil {
		v.refs.Add(1)
		r.used = true
		r.mu.Unlock()
		return v, nil
	}
	r.mu.Unlock()
	v, err := r.build()
	if err == nil {
		r.s.opts.Schedule.Reach(schedule.ViewBuilt)
	}
	return v, err
}

// build makes the present view, unless somebody was faster, and gives it with a
// reference for the caller.
func (r *viewer) build() (*view, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.closed.Load() {
		return nil, ErrClosed
	}
	if err := r.s.mu.failed(); err != nil {
		return nil, err
	}
	top, mem, err := r.state()
	if err != nil {
		return nil, err
	}
	if r.passing {
		return r.s.viewLocked(top, mem), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view == nil {
		r.view = r.s.viewLocked(top, mem)
		r.s.mu.viewed[r] = struct{}{}
		r.s.watchViews()
	}
	r.used = true
	r.view.refs.Add(1)
	return r.view, nil
}

// forgetViewLocked makes the next reader build a new view.
func (s *Store) forgetViewLocked(r *viewer) {
	r.mu.Lock()
	v := r.view
	r.view = nil
	r.mu.Unlock()
	delete(s.mu.viewed, r)
	if v != nil {
		v.releaseLocked()
	}
}

func (s *Store) forgetForkViewLocked(f *forktree.Fork) {
	if a, ok := f.Local.(*activeFork); ok {
		s.forgetViewLocked(&a.viewer)
	}
}

// sweepSlice is how many cached views one step of the sweeper looks at.
const sweepSlice = 256

// sweepViews forgets the cached views that a swap has made stale, so that the
// files they keep can go, and now and then those that are out of use. It holds the
// lock for a slice at a time.
func (s *Store) sweepViews() {
	idle := s.lookForIdle()
	s.mu.Lock()
	all := make([]*viewer, 0, len(s.mu.viewed))
	for r := range s.mu.viewed {
		all = append(all, r)
	}
	s.mu.Unlock()
	if len(all) > 0 {
		s.opts.Schedule.Reach(schedule.SweepPicked)
	}
	for rest := s.pace(); len(all) > 0; rest() {
		n := min(len(all), sweepSlice)
		s.forgetSome(all[:n], idle)
		all = all[n:]
	}
	if idle {
		s.watchRest()
	}
}

// forgetSome forgets the views that are stale, and with idle those that were not used
// since it last came by.
func (s *Store) forgetSome(some []*viewer, idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range some {
		r.mu.Lock()
		gone := r.view != nil && (!r.view.isPresentLocked() || idle && !r.used)
		if idle {
			r.used = false
		}
		r.mu.Unlock()
		if gone {
			s.forgetViewLocked(r)
		}
	}
}
