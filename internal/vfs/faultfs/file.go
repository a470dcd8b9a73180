package faultfs

import (
	"errors"

	"github.com/tinedb/tine/internal/vfs"
)

// file is a handle whose calls the rules of its FS may let fail.
type file struct {
	inner vfs.File
	fs    *FS
	name  string
}

var _ vfs.File = (*file)(nil)

// ReadAt passes on to the inner file, or fails and reads nothing.
func (h *file) ReadAt(p []byte, off int64) (int, error) {
	if err := h.fs.strike(OpRead, h.name); err != nil {
		return 0, err
	}
	return h.inner.ReadAt(p, off)
}

// WriteAt passes on to the inner file, or fails and writes nothing, or half if
// the rule says so.
func (h *file) WriteAt(p []byte, off int64) (int, error) {
	r := h.fs.rules.strike(OpWrite, h.name)
	if r == nil {
		return h.inner.WriteAt(p, off)
	}
	n, err := 0, r.failure(OpWrite, h.name)
	if r.ShortWrite && len(p) > 1 {
		var innerErr error
		n, innerErr = h.inner.WriteAt(p[:len(p)/2], off)
		err = errors.Join(err, innerErr)
	}
	return n, err
}

// syncFailer is a file that models what a failed sync loses.
type syncFailer interface{ FailSync() }

// Sync passes on to the inner file, or fails; then the data stays volatile also
// if the next Sync succeeds, should the inner file know how.
func (h *file) Sync() error {
	if err := h.fs.strike(OpSync, h.name); err != nil {
		h.FailSync()
		return err
	}
	return h.inner.Sync()
}

// FailSync passes a failed sync on, for a file system around this one.
func (h *file) FailSync() {
	if inner, ok := h.inner.(syncFailer); ok {
		inner.FailSync()
	}
}

// Preallocate passes on to the inner file, or fails and reserves nothing.
func (h *file) Preallocate(size int64) error {
	if err := h.fs.strike(OpPreallocate, h.name); err != nil {
		return err
	}
	return h.inner.Preallocate(size)
}

// Map passes on to the inner file.
func (h *file) Map(size int64) { h.inner.Map(size) }

// Size passes on to the inner file, or fails.
func (h *file) Size() (int64, error) {
	if err := h.fs.strike(OpSize, h.name); err != nil {
		return 0, err
	}
	return h.inner.Size()
}

// Close passes on to the inner file.
func (h *file) Close() error { return h.inner.Close() }
