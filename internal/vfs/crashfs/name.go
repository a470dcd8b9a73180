package crashfs

import (
	"io/fs"
	"maps"
	"syscall"
)

// tree is one state of all names. Its keys are clean.
type tree struct {
	files map[string]*inode
	dirs  map[string]bool
}

func newTree() tree {
	return tree{files: map[string]*inode{}, dirs: map[string]bool{"": true}}
}

func (t tree) copy() tree {
	return tree{files: maps.Clone(t.files), dirs: maps.Clone(t.dirs)}
}

// lookup finds a file.
func (t tree) lookup(name string) (*inode, error) {
	if file := t.files[name]; file != nil {
		return file, nil
	}
	if t.dirs[name] {
		return nil, syscall.EISDIR
	}
	return nil, fs.ErrNotExist
}

// free tells whether a file could be created under the name.
func (t tree) free(name string) error {
	if t.files[name] != nil || t.dirs[name] {
		return fs.ErrExist
	}
	return t.isDir(parent(name))
}

func (t tree) isDir(name string) error {
	switch {
	case t.dirs[name]:
		return nil
	case t.files[name] != nil:
		return syscall.ENOTDIR
	}
	return fs.ErrNotExist
}

type opKind int

const (
	opCreate opKind = iota
	opRename
	opRemove
	opMkdir
)

// nameOp is a change of names that may still be undone by a power loss, on its
// own: whatever happened to the operations before it. A rename is one
// operation: it never leaves the file without a name or with two.
type nameOp struct {
	kind     opKind
	from, to string // from only in a rename
	file     *inode // created or renamed
	synced   [2]bool
	stuck    bool // a SyncDir failed: a later success makes nothing durable
}

// apply makes the change, whether or not the operations that it followed are
// there: a rename whose create was lost still brings the file, a remove whose
// rename was lost still takes the name.
func (t tree) apply(op *nameOp) {
	switch op.kind {
	case opCreate:
		t.files[op.to] = op.file
	case opRename:
		for name, file := range t.files {
			if file == op.file {
				delete(t.files, name)
			}
		}
		t.files[op.to] = op.file
	case opRemove:
		delete(t.files, op.to)
	case opMkdir:
		t.dirs[op.to] = true
	}
}

// doLocked makes a change that running processes see at once and that is
// volatile.
func (f *FS) doLocked(op nameOp) {
	f.now.apply(&op)
	f.pending = append(f.pending, op)
}

// settleLocked makes the pending operations of a directory durable. A rename
// across directories waits for both.
func (f *FS) settleLocked(dir string) {
	var rest []nameOp
	for _, op := range f.pending {
		if op.stuck {
			rest = append(rest, op)
			continue
		}
		if parent(op.to) == dir {
			op.synced[0] = true
		}
		if op.kind != opRename || parent(op.from) == dir {
			op.synced[1] = true
		}
		if !op.synced[0] || !op.synced[1] {
			rest = append(rest, op)
			continue
		}
		f.durable.apply(&op)
		rest = dropOverruled(rest, &op)
	}
	f.pending = rest
}

// dropOverruled takes out the earlier operations on the names that a now
// durable one decided: surviving later than it, they would undo it.
func dropOverruled(ops []nameOp, durable *nameOp) []nameOp {
	kept := ops[:0]
	for _, op := range ops {
		if !op.names(durable.to) && (durable.kind != opRename || !op.names(durable.from)) {
			kept = append(kept, op)
		}
	}
	return kept
}

// names tells whether the operation touches the name.
func (op *nameOp) names(name string) bool {
	return op.to == name || op.kind == opRename && op.from == name
}
