package faultfs

import (
	"io"

	"github.com/tinedb/tine/internal/vfs"
)

// FS passes calls on to another file system, except those that a rule lets
// fail. The test that makes it owns it. It may be used concurrently.
type FS struct {
	inner vfs.FS
	rules rules
}

var _ vfs.FS = (*FS)(nil)

// New wraps inner. Without rules it behaves as inner does.
func New(inner vfs.FS) *FS { return &FS{inner: inner} }

// Inject adds a rule, which counts calls from now on.
func (f *FS) Inject(r Rule) {
	f.rules.mu.Lock()
	defer f.rules.mu.Unlock()
	f.rules.list = append(f.rules.list, &rule{Rule: r})
}

// Clear takes all rules away. The counts stay.
func (f *FS) Clear() {
	f.rules.mu.Lock()
	defer f.rules.mu.Unlock()
	f.rules.list = nil
}

// Calls tells how many calls of a kind were made, the failed ones included.
func (f *FS) Calls(op Op) int {
	f.rules.mu.Lock()
	defer f.rules.mu.Unlock()
	return f.rules.calls[op]
}

// Injected tells how many calls failed by a rule.
func (f *FS) Injected() int {
	f.rules.mu.Lock()
	defer f.rules.mu.Unlock()
	return f.rules.injected
}

// strike counts a call and gives the error with which it fails, or nil.
func (f *FS) strike(op Op, names ...string) error {
	if r := f.rules.strike(op, names...); r != nil {
		return r.failure(op, names[0])
	}
	return nil
}

// Create passes on to the inner file system, or fails and makes nothing.
func (f *FS) Create(name string) (vfs.File, error) {
	if err := f.strike(OpCreate, name); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.inner.Create(name))
}

// Open passes on to the inner file system, or fails.
func (f *FS) Open(name string) (vfs.File, error) {
	if err := f.strike(OpOpen, name); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.inner.Open(name))
}

func (f *FS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(inner vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &file{inner: inner, fs: f, name: name}, nil
	}
}

// Remove passes on to the inner file system, or fails and leaves the name.
func (f *FS) Remove(name string) error {
	if err := f.strike(OpRemove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// Rename passes on to the inner file system, or fails and changes nothing.
func (f *FS) Rename(oldName, newName string) error {
	if err := f.strike(OpRename, oldName, newName); err != nil {
		return err
	}
	return f.inner.Rename(oldName, newName)
}

// MkdirAll passes on to the inner file system, or fails and makes nothing.
func (f *FS) MkdirAll(dir string) error {
	if err := f.strike(OpMkdir, dir); err != nil {
		return err
	}
	return f.inner.MkdirAll(dir)
}

// List passes on to the inner file system, or fails.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.strike(OpList, dir); err != nil {
		return nil, err
	}
	return f.inner.List(dir)
}

// Size passes on to the inner file system, or fails.
func (f *FS) Size(name string) (int64, error) {
	if err := f.strike(OpSize, name); err != nil {
		return 0, err
	}
	return f.inner.Size(name)
}

// dirSyncFailer is a file system that models what a failed directory sync loses.
type dirSyncFailer interface{ FailSyncDir(dir string) }

// SyncDir passes on to the inner file system, or fails; then the names stay
// volatile also if the next one succeeds, should the inner file system know how.
func (f *FS) SyncDir(dir string) error {
	if err := f.strike(OpSyncDir, dir); err != nil {
		f.FailSyncDir(dir)
		return err
	}
	return f.inner.SyncDir(dir)
}

// FailSyncDir passes a failed sync on, for a file system around this one.
func (f *FS) FailSyncDir(dir string) {
	if inner, ok := f.inner.(dirSyncFailer); ok {
		inner.FailSyncDir(dir)
	}
}

// Lock passes on to the inner file system, or fails and locks nothing.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.strike(OpLock, name); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}
