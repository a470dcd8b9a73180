package vfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the operating system's file system.
var OS FS = OSFS{}

// ErrLocked says that another process, or another call, holds the lock.
var ErrLocked = errors.New("locked by another user")

// OSFS is the operating system's file system. It has no state, so all its
// values are equal and may be used concurrently. Its errors are *fs.PathError
// (or *os.LinkError for Rename) and carry the path.
type OSFS struct{}

var _ FS = OSFS{}

// Create makes a new, empty file open for reading and writing.
func (OSFS) Create(name string) (File, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

// Open opens an existing file for reading.
func (OSFS) Open(name string) (File, error) {
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

// Remove takes the name away; open handles stay readable.
func (OSFS) Remove(name string) error { return os.Remove(filepath.FromSlash(name)) }

// Rename gives a file another name, replacing the file that had it.
func (OSFS) Rename(oldName, newName string) error {
	return os.Rename(filepath.FromSlash(oldName), filepath.FromSlash(newName))
}

// MkdirAll makes a directory and its missing parents. Their names become
// durable by SyncDir on the directory that each of them stands in.
func (OSFS) MkdirAll(dir string) error { return os.MkdirAll(filepath.FromSlash(dir), 0o755) }

// List gives the base names in a directory, sorted, subdirectories included.
func (OSFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.FromSlash(dir))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Size gives the length of the named file in bytes.
func (OSFS) Size(name string) (int64, error) {
	info, err := os.Stat(filepath.FromSlash(name))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// SyncDir makes the names in a directory durable.
func (OSFS) SyncDir(dir string) error {
	d, err := os.Open(filepath.FromSlash(dir))
	if err != nil {
		return err
	}
	// A whole fsync, not fdatasync: the names are the directory's data on some
	// file systems and its metadata on others.
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// Lock takes an exclusive lock on the named file, creating it if needed. The
// lock belongs to the open file, so a second call in this process fails too,
// and the system drops it when the process dies. The file stays when the lock
// is released: unlinking it would let two processes lock two files of one name.
func (OSFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	return f, nil
}

// osFile adds what os.File calls otherwise.
type osFile struct {
	*os.File
	shared *mapping // of the file's first bytes, nil without; set by Map alone
}

// Map maps the first size bytes, where the system allows it: see mapping. Bytes that the
// file does not have are not mapped: a store behind the end of a file gets lost.
func (f *osFile) Map(size int64) {
	if there, err := f.Size(); err != nil || size > there || size <= 0 || int64(int(size)) != size || f.shared != nil {
		return
	}
	f.shared = newMapping(f.File, int(size))
}

// WriteAt writes by a call, or by a store into the mapping. A store that the system
// cannot take is made as a call, which says why.
func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	if f.shared != nil && len(p) <= maxStored && f.shared.store(p, off) {
		return len(p), nil
	}
	return f.File.WriteAt(p, off)
}

// Close gives the mapping and the descriptor back. What was stored stays written.
func (f *osFile) Close() error {
	if f.shared != nil {
		f.shared.end()
	}
	return f.File.Close()
}

// Size gives the length in bytes.
func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync makes the data and the length durable.
func (f *osFile) Sync() error {
	if f.shared != nil {
		f.shared.beginSync()
		defer f.shared.endSync()
	}
	return syncData(f.File)
}

// Preallocate reserves disk space for the first size bytes and extends the file
// with zeros to that length; it never shrinks it. Where the file system cannot
// reserve, zeros are written and synced, which costs one pass over the disk.
func (f *osFile) Preallocate(size int64) error {
	if size < 0 {
		return &os.PathError{Op: "preallocate", Path: f.Name(), Err: syscall.EINVAL}
	}
	if size == 0 {
		return nil
	}
	err := reserve(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.extendWithZeros(size)
	}
	return err
}

// extendWithZeros is Preallocate for file systems that cannot reserve. It syncs,
// because a caller may count on zeros behind what it wrote, also after a power
// loss, and a written zero is as volatile as any other byte.
func (f *osFile) extendWithZeros(size int64) error {
	at, err := f.Size()
	if err != nil {
		return err
	}
	if at >= size {
		return nil
	}
	zeros := make([]byte, min(size-at, 256<<10))
	for at < size {
		n, err := f.WriteAt(zeros[:min(size-at, int64(len(zeros)))], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return f.Sync()
}
