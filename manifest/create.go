package manifest

import (
	"fmt"
	"path"
	"sync"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
)

// Create writes a new manifest that holds state and nothing else, points
// CURRENT at it, and returns the log that goes on in it; whatever CURRENT named
// before is removed, with every other manifest. It serves a new store and every open: a file with a torn tail is never appended to.
//
// Create takes ownership of state, which Check must accept. If it fails before
// CURRENT is replaced, the directory is as before, and a full disk wraps
// errs.ErrNoSpace. If replacing CURRENT fails, either manifest may be found by
// the next Load; both hold the same. Cost: O(objects), three syncs of files and
// two of the directory.
func Create(fsys vfs.FS, dir string, state *State, opts Options) (*Log, error) {
	if err := state.Check(); err != nil {
		return nil, fmt.Errorf("manifest: create: %w", err)
	}
	l := &Log{fs: fsys, dir: dir, opts: opts, marksBytes: maxMarksBytes}
	l.mu.changed = sync.NewCond(&l.mu.Mutex)
	l.mu.state = state

	f, err := createFile(fsys, dir, opts, state.StoreID, 0)
	if err != nil {
		return nil, refused("create", err)
	}
	if err := l.fill(f); err != nil {
		f.discard()
		return nil, refused("create", err)
	}
	if err := installCurrent(fsys, dir); err != nil {
		_ = f.handle.Close() // CURRENT may name the file: it stays
		return nil, fmt.Errorf("manifest: create: %w", err)
	}
	l.removeOthers(f.number)
	if opts.Forks != nil && !invariant.Expensive {
		state.Forks = nil // they were the base's
	}
	l.mu.file, l.mu.number = f, f.number
	l.short.Store(f.short != nil)
	l.mu.base, l.mu.written = f.offset, f.offset
	return l, nil
}

// fill makes f a manifest that CURRENT can be pointed at: the state, the end of
// the base, synced and staged.
func (l *Log) fill(f *file) error {
	if err := l.copyState(f, l.ownForks, func() {}); err != nil {
		return err
	}
	if err := l.finishBase(f); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("sync directory of %s: %w", f.name(), err)
	}
	return stageCurrent(l.fs, l.dir, current{number: f.number, store: l.mu.state.StoreID})
}

// finishBase ends f's base and makes all of it durable. On a full disk a file
// without slack is better than none.
func (l *Log) finishBase(f *file) error {
	f.add(frameBase, nil)
	if err := f.flush(); err != nil {
		return err
	}
	if err := f.makeRoom(0); err != nil && !errs.IsNoSpace(err) {
		return err
	}
	return f.sync()
}

// removeOthers removes the manifests that CURRENT, now durable, does not name:
// the one before, and what crashes left. Errors do not matter, the next Create
// tries again.
func (l *Log) removeOthers(number ids.FileNum) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return
	}
	for _, name := range names {
		if kind, n := ids.ParseFileName(name); kind == ids.FileManifest && n != number {
			_ = l.fs.Remove(path.Join(l.dir, name))
		}
	}
}
