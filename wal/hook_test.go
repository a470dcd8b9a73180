package wal

import (
	"sync/atomic"

	"github.com/tinedb/tine/internal/vfs"
)

// hookFS tells a test of every write, fsync and create before it happens, and
// of every fsync after. A hook may block, and an error it returns is the
// call's. The hooks are set before the file system is used.
type hookFS struct {
	vfs.FS
	onCreate func(name string) error
	onWrite  func(name string, offset int64, data []byte) error
	onSync   func(name string) error
	synced   func(name string)

	log atomic.Pointer[Log] // set where writes may run beside an fsync
}

type hookFile struct {
	vfs.File
	fs   *hookFS
	name string
}

func (f *hookFS) Create(name string) (vfs.File, error) {
	if f.onCreate != nil {
		if err := f.onCreate(name); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return &hookFile{File: file, fs: f, name: name}, nil
}

func (f *hookFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.onWrite != nil {
		if err := f.fs.onWrite(f.name, off, p); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(p, off)
}

func (f *hookFile) Sync() error {
	if f.fs.onSync != nil {
		if err := f.fs.onSync(f.name); err != nil {
			return err
		}
	}
	err := f.File.Sync()
	if err == nil && f.fs.synced != nil {
		f.fs.synced(f.name)
	}
	return err
}
