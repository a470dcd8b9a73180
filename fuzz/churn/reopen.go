package churn

import (
	"fmt"
	"strings"

	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// reopen closes the store and opens it again: with what was held still open, with
// files that nothing needs left behind because their unlinks fail, and with an
// unlink that fails as it opens.
func (r *run) reopen() error {
	if r.rng.IntN(2) == 0 { // leave garbage
		r.unlinks.arm(true)
		r.faults.Inject(faultfs.Rule{Op: faultfs.OpRemove, Sticky: true})
		if err := r.excused(r.store.Flush()); err != nil {
			return err
		}
		for range min(10, len(r.live)/2) {
			if err := r.drop(r.oldest()); err != nil {
				return err
			}
		}
	}
	if r.rng.IntN(2) == 0 {
		if err := r.letAllGo(); err != nil {
			return err
		}
	}
	if len(r.held) > 0 {
		r.counts.Add("reopens with iterators open", 1)
	}
	if err := r.close(); err != nil {
		return err
	}
	if len(r.unlinks.left()) > 0 {
		r.counts.Add("reopens with garbage", 1)
		if r.rng.IntN(2) == 0 {
			if err := r.openBadly(); err != nil {
				return err
			}
		}
	}
	if err := r.open(); err != nil {
		return err
	}
	r.counts.Add("reopens", 1)
	return r.reattach()
}

// close closes the store and ends all faults.
func (r *run) close() error {
	r.noteStats()
	if err := r.excused(r.store.Close()); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if err := r.afterClose(); err != nil {
		return err
	}
	r.faults.Clear()
	r.failing = 0
	r.unlinks.arm(false)
	if r.disk != nil && r.disk.OpenFiles() != 0 {
		return fmt.Errorf("%d files or locks are open after Close", r.disk.OpenFiles())
	}
	return nil
}

// openBadly opens a store with garbage while it cannot be removed. Whether that
// is refused or not, it does no harm.
func (r *run) openBadly() error {
	r.unlinks.arm(true)
	r.faults.Inject(faultfs.Rule{Op: faultfs.OpRemove, Sticky: true})
	err := r.open()
	r.counts.Add("opens that found unlinks failing", 1)
	if err == nil {
		return r.close()
	}
	err = r.excused(err)
	r.counts.Add("opens refused because garbage could not be removed", 1)
	r.faults.Clear()
	r.unlinks.arm(false)
	return err
}

// reattach takes fresh handles and looks at what an open must leave: no garbage
// but segments, which are part of the log until they are trimmed.
func (r *run) reattach() error {
	var err error
	for _, f := range r.live {
		if f.handle, err = r.store.Fork(f.name); err != nil {
			return err
		}
	}
	for _, s := range r.snapshots {
		if s.handle, err = r.store.Snapshot(s.name); err != nil {
			return err
		}
	}
	for _, name := range r.unlinks.left() {
		if !strings.HasSuffix(name, ".wal") {
			return fmt.Errorf("%s could not be removed, and is still there after a reopen", name)
		}
	}
	return nil
}

// noteStats counts what the store says it has done since it was opened.
func (r *run) noteStats() {
	s := r.store.Stats()
	r.counts.Add("store: flushes", int(s.Flushes))
	r.counts.Add("store: merges", int(s.Merges))
	r.counts.Add("store: merges across a branch point", int(s.SharedMerges))
	r.counts.Add("store: joins", int(s.Joins))
	r.counts.Add("store: consolidations", int(s.Consolidations))
	r.counts.Add("store: results discarded", int(s.Discarded))
	r.counts.Add("store: files removed", int(s.FilesRemoved))
	r.counts.Add("store: rows marked", int(s.RowsMarked))
	r.counts.Add("store: tombstones resolved", int(s.TombstonesResolved))
	r.counts.Add("store: vectors translated", int(s.VectorsTranslated))
	r.counts.Add("store: vectors staged", int(s.VectorsStaged))
	r.counts.Add("store: merges because of dead rows", int(s.DeadRewrites))
	r.counts.Add("store: merges because of shadowed rows", int(s.ShadowRewrites))
	r.counts.Add("store: sieves", int(s.Sieves))
	r.counts.Add("store: weaves", int(s.Weaves))
	r.counts.Add("store: tables relocated", int(s.TablesRelocated))
	if s.Vectors > 0 {
		r.counts.Add("closed with vectors", 1)
	}
}
