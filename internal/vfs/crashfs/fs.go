package crashfs

import (
	"errors"
	"io"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/tinedb/tine/internal/vfs"
)

// ErrKilled is what every call returns from the moment of death on.
var ErrKilled = errors.New("the process was killed")

// FS is a file system in memory that knows of each byte and each name whether
// it is durable. The test that makes it owns it; the store under test uses it
// through vfs.FS. It may be used concurrently.
//
// Names are cleaned and taken from the root: "db/a", "/db/a" and "./db/a" are
// the same file, and Names shows it as "db/a".
//
// Invariants: every file in now stands in a directory of now; applying all of
// pending to durable gives the names of now, unless a SyncDir failed.
type FS struct {
	mu sync.Mutex // guards all that follows, the inodes and the handles too

	now     tree     // what running processes see
	durable tree     // what survives any power loss
	pending []nameOp // how now came from durable, in order

	locked    map[string]bool
	open      int   // handles and locks not yet closed
	used      int64 // bytes in files that have a name
	capacity  int64 // 0: unlimited
	mutations int
	killAt    int // the mutation that does not happen; 0: none
	dead      bool
	seed      uint64 // decides how much of a killed WriteAt happens; 0: nothing
	hook      func(n int)
}

var _ vfs.FS = (*FS)(nil)

// New makes an empty file system that has only its root directory.
func New() *FS {
	return &FS{now: newTree(), durable: newTree(), locked: map[string]bool{}}
}

// clean gives the one spelling of a name that the trees use: relative to the
// root, which is "".
func clean(name string) string { return path.Clean("/" + name)[1:] }

// parent gives the directory a clean name stands in.
func parent(name string) string {
	return name[:max(strings.LastIndexByte(name, '/'), 0)]
}

func failed(op, name string, err error) error {
	return &os.PathError{Op: op, Path: name, Err: err}
}

// enter takes the lock for a call that changes nothing. If it returns an error,
// the lock is not held.
func (f *FS) enter(op, name string) error {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return failed(op, name, ErrKilled)
	}
	return nil
}

// enterMutation takes the lock for a mutating call and counts it. If it returns
// an error, the process is dead and the lock is not held.
func (f *FS) enterMutation(op, name string) error {
	if err := f.enter(op, name); err != nil {
		return err
	}
	if f.strikeLocked(); f.dead {
		f.mu.Unlock()
		return failed(op, name, ErrKilled)
	}
	return nil
}

// strikeLocked counts a mutating call, shows it to the hook and tells whether
// the process dies at this one. It may also be dead because it died at another
// one while the hook ran.
func (f *FS) strikeLocked() bool {
	f.mutations++
	if f.mutations == f.killAt {
		f.dead = true
		return true
	}
	if f.hook != nil {
		hook, n := f.hook, f.mutations
		f.mu.Unlock()
		hook(n)
		f.mu.Lock()
	}
	return false
}

// Create makes a new, empty file open for reading and writing. Its name is
// volatile until SyncDir.
func (f *FS) Create(name string) (vfs.File, error) {
	if err := f.enterMutation("create", name); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	at := clean(name)
	if err := f.now.free(at); err != nil {
		return nil, failed("create", name, err)
	}
	file := &inode{named: true}
	f.doLocked(nameOp{kind: opCreate, to: at, file: file})
	return f.handleLocked(name, file, false), nil
}

// Open opens an existing file for reading.
func (f *FS) Open(name string) (vfs.File, error) {
	if err := f.enter("open", name); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	file, err := f.now.lookup(clean(name))
	if err != nil {
		return nil, failed("open", name, err)
	}
	return f.handleLocked(name, file, true), nil
}

// Remove takes a file's name away; open handles stay usable. Its space is free
// at once. It does not remove directories.
func (f *FS) Remove(name string) error {
	if err := f.enterMutation("remove", name); err != nil {
		return err
	}
	defer f.mu.Unlock()
	at := clean(name)
	file, err := f.now.lookup(at)
	if err != nil {
		return failed("remove", name, err)
	}
	f.forgetLocked(file)
	f.doLocked(nameOp{kind: opRemove, to: at})
	return nil
}

// Rename gives a file another name, replacing the file that had it. It does not
// rename directories.
func (f *FS) Rename(oldName, newName string) error {
	if err := f.enterMutation("rename", oldName); err != nil {
		return err
	}
	defer f.mu.Unlock()
	from, to := clean(oldName), clean(newName)
	file, err := f.now.lookup(from)
	if err != nil {
		return failed("rename", oldName, err)
	}
	if from == to {
		return nil
	}
	replaced, err := f.now.lookup(to)
	if err == nil {
		f.forgetLocked(replaced)
	} else if err := f.now.free(to); err != nil {
		return failed("rename", newName, err)
	}
	f.doLocked(nameOp{kind: opRename, from: from, to: to, file: file})
	return nil
}

// MkdirAll makes a directory and its missing parents. Each one's name is
// volatile until SyncDir on the directory it stands in, and with it everything
// below.
func (f *FS) MkdirAll(dir string) error {
	if err := f.enterMutation("mkdir", dir); err != nil {
		return err
	}
	defer f.mu.Unlock()
	at := clean(dir)
	for i := 0; i <= len(at); i++ {
		if i < len(at) && at[i] != '/' {
			continue
		}
		if f.now.dirs[at[:i]] {
			continue
		}
		if f.now.files[at[:i]] != nil {
			return failed("mkdir", dir, syscall.ENOTDIR)
		}
		f.doLocked(nameOp{kind: opMkdir, to: at[:i]})
	}
	return nil
}

// List gives the base names in a directory, sorted, subdirectories included.
// It costs a pass over all names.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.enter("list", dir); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	at := clean(dir)
	if err := f.now.isDir(at); err != nil {
		return nil, failed("list", dir, err)
	}
	names := []string{}
	for name := range f.now.files {
		if parent(name) == at {
			names = append(names, path.Base(name))
		}
	}
	for name := range f.now.dirs {
		if name != "" && parent(name) == at {
			names = append(names, path.Base(name))
		}
	}
	sort.Strings(names)
	return names, nil
}

// Size gives the length of the named file in bytes.
func (f *FS) Size(name string) (int64, error) {
	if err := f.enter("stat", name); err != nil {
		return 0, err
	}
	defer f.mu.Unlock()
	file, err := f.now.lookup(clean(name))
	if err != nil {
		return 0, failed("stat", name, err)
	}
	return file.size, nil
}

// SyncDir makes the names in a directory durable, but not the directory's own.
func (f *FS) SyncDir(dir string) error {
	if err := f.enterMutation("syncdir", dir); err != nil {
		return err
	}
	defer f.mu.Unlock()
	at := clean(dir)
	if err := f.now.isDir(at); err != nil {
		return failed("syncdir", dir, err)
	}
	f.settleLocked(at)
	return nil
}

// Lock takes an exclusive lock on the named file. If it has to create the file,
// the new name is as volatile as any other; that is not counted as a mutation.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.enter("lock", name); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	at := clean(name)
	if f.locked[at] {
		return nil, failed("lock", name, vfs.ErrLocked)
	}
	if _, err := f.now.lookup(at); err != nil {
		if err := f.now.free(at); err != nil {
			return nil, failed("lock", name, err)
		}
		f.doLocked(nameOp{kind: opCreate, to: at, file: &inode{named: true}})
	}
	f.locked[at] = true
	f.open++
	return &lock{fs: f, name: at}, nil
}

// forgetLocked frees the space of a file that is about to lose its name.
func (f *FS) forgetLocked(file *inode) {
	f.used -= file.size
	file.named = false
}

// lock is a held lock.
type lock struct {
	fs     *FS
	name   string
	closed bool
}

// Close releases the lock.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.closed {
		return failed("unlock", l.name, os.ErrClosed)
	}
	l.closed = true
	l.fs.open--
	if l.fs.dead {
		return failed("unlock", l.name, ErrKilled)
	}
	delete(l.fs.locked, l.name)
	return nil
}
