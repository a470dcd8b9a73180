package crashfs

import (
	"maps"
	"slices"
)

// What follows is for the test, not for the store: it works also when the
// process is dead, and counts as no mutation.

// Mutations tells how many mutating calls were made: Create, WriteAt, Sync,
// Preallocate, Rename, Remove, MkdirAll and SyncDir, the failed ones and the
// one that killed included.
func (f *FS) Mutations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mutations
}

// KillAt makes the n-th mutating call from now, counted from 1, the one at
// which the process dies: it does not happen, and it and every later call of
// any kind fails with ErrKilled. With n ≤ 0 the process lives on.
func (f *FS) KillAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killAt = 0
	if n > 0 {
		f.killAt = f.mutations + n
	}
}

// Kill lets the process die now.
func (f *FS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// Killed tells whether the process is dead.
func (f *FS) Killed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// SetSeed lets the WriteAt at which the process dies write a prefix of its
// bytes, or any stretch of them where the file is mapped, which is drawn from the
// seed. With 0, the default, it writes none.
func (f *FS) SetSeed(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seed = seed
}

// OnMutation calls hook before the n-th mutating call takes effect, with the
// number that Mutations then gives. The hook may make images of f, so that one
// run serves as a crash at every call; it must not call f through vfs.FS. It
// runs without a lock: calls of other goroutines may come between it and its
// call. A nil hook takes it away.
func (f *FS) OnMutation(hook func(n int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// SetCapacity limits the bytes in files that have a name; 0 lifts the limit.
// What is there already stays.
func (f *FS) SetCapacity(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = bytes
}

// FailSyncDir is what a SyncDir that returns an error does to the names: the
// changes made so far stay volatile for good, also if the next SyncDir
// succeeds, until a later one on the same name is made durable. The fault
// injecting file system calls it.
func (f *FS) FailSyncDir(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return
	}
	at := clean(dir)
	for i := range f.pending {
		op := &f.pending[i]
		if parent(op.to) == at || op.kind == opRename && parent(op.from) == at {
			op.stuck = true
		}
	}
}

// OpenFiles tells how many handles and locks are not yet closed.
func (f *FS) OpenFiles() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// Volatile tells how much a power loss could take now: the pending name
// operations, and the files that have bytes or a length not synced, or that a
// failed sync gave up. With 0 and 0 all images are equal.
func (f *FS) Volatile() (names, files int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[*inode]bool{nil: true}
	look := func(n *inode) {
		if !seen[n] && (n.dirtyLo < n.dirtyHi || n.durSize < n.size || n.stale()) {
			files++
		}
		seen[n] = true
	}
	for _, n := range f.now.files {
		look(n)
	}
	for _, n := range f.durable.files {
		look(n)
	}
	for i := range f.pending {
		look(f.pending[i].file)
	}
	return len(f.pending), files
}

// Names gives all files of all directories, sorted, relative to the root.
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.now.files))
}

// ReadFile gives a copy of a file's content as processes see it.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.now.lookup(clean(name))
	if err != nil {
		return nil, failed("read", name, err)
	}
	data := make([]byte, n.size)
	n.read(data, 0)
	return data, nil
}

// WriteFile gives a file other content, in place: open handles see it, as they
// would see a damaged disk. Content and name are durable at once, and so become
// all names in its directory and those above, which are made if missing.
func (f *FS) WriteFile(name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := clean(name)
	if f.now.dirs[at] {
		_, err := f.now.lookup(at)
		return failed("write", name, err)
	}
	for dir := parent(at); ; dir = parent(dir) {
		f.settleLocked(dir)
		f.now.dirs[dir], f.durable.dirs[dir] = true, true
		if dir == "" {
			break
		}
	}
	f.pending = dropOverruled(f.pending, &nameOp{kind: opCreate, to: at})
	n := f.now.files[at]
	if n == nil {
		n = &inode{named: true}
		f.now.files[at] = n
	}
	f.durable.files[at] = n
	f.used += int64(len(data)) - n.size
	n.replace(data)
	return nil
}
