package fuzz

import (
	"io"

	"github.com/tinedb/tine/internal/vfs"
)

// tap is a file system that tells before each call that changes something, and
// then passes it on. before runs in the goroutine of the call.
type tap struct {
	vfs.FS
	before func(call, name string)
}

func (t *tap) Create(name string) (vfs.File, error) {
	t.before("create", name)
	f, err := t.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return &tapFile{f, t, name}, nil
}

func (t *tap) Remove(name string) error {
	t.before("remove", name)
	return t.FS.Remove(name)
}

func (t *tap) Rename(oldName, newName string) error {
	t.before("rename", newName)
	return t.FS.Rename(oldName, newName)
}

func (t *tap) MkdirAll(dir string) error {
	t.before("mkdir", dir)
	return t.FS.MkdirAll(dir)
}

func (t *tap) SyncDir(dir string) error {
	t.before("syncdir", dir)
	return t.FS.SyncDir(dir)
}

func (t *tap) Lock(name string) (io.Closer, error) { return t.FS.Lock(name) }

type tapFile struct {
	vfs.File
	tap  *tap
	name string
}

func (f *tapFile) WriteAt(p []byte, off int64) (int, error) {
	f.tap.before("write", f.name)
	return f.File.WriteAt(p, off)
}

func (f *tapFile) Sync() error {
	f.tap.before("sync", f.name)
	return f.File.Sync()
}

func (f *tapFile) Preallocate(size int64) error {
	f.tap.before("preallocate", f.name)
	return f.File.Preallocate(size)
}
