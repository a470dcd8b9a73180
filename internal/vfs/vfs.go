package vfs

import "io"

// FS is a file system. Names are slash-separated paths. It may be used
// concurrently.
type FS interface {
	// Create makes a new, empty file open for reading and writing. It fails with
	// fs.ErrExist if the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Remove takes the name away; open handles stay readable.
	Remove(name string) error
	// Rename gives a file another name, replacing the file that had it.
	Rename(oldName, newName string) error
	// MkdirAll makes a directory and its missing parents.
	MkdirAll(dir string) error
	// List gives the base names in a directory, sorted.
	List(dir string) ([]string, error)
	// Size gives the length of the named file in bytes.
	Size(name string) (int64, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on the named file, creating it if needed, and
	// holds it until the Closer is closed. It fails at once with ErrLocked if
	// another process or another call holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt may be used concurrently with itself and with
// WriteAt on other bytes.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the data, and the length, durable. After an error nothing is
	// known about what was written since the last success; calling it again and
	// getting nil proves nothing.
	Sync() error
	// Preallocate reserves disk space for the first size bytes and extends the
	// file with zeros to that length, so that later writes inside it need no new
	// space. It fails with syscall.ENOSPC if there is none.
	Preallocate(size int64) error
	// Map prepares the file for many small writes inside its first size bytes, which
	// are preallocated: where the operating system can share memory with the process, a
	// small WriteAt there stores into that instead of making a call. What it promises
	// stays the same, but that of one during which the process dies any bytes may have
	// been written, not only the first ones. It is a hint that cannot fail, and comes
	// before the file is used concurrently.
	Map(size int64)
	// Size gives the length in bytes.
	Size() (int64, error)
}
