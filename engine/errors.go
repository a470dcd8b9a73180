package engine

import (
	"errors"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/vfs"
)

// The errors that callers tell apart, with errors.Is. What is returned is
// wrapped with the operation and the object it was about.
var (
	// ErrNotFound: the key has no value in this fork.
	ErrNotFound = errors.New("key not found")
	// ErrForkExists: a fork of that name exists.
	ErrForkExists = errors.New("fork exists")
	// ErrForkNotFound: no fork of that name exists, or it has been dropped.
	ErrForkNotFound = errors.New("fork not found")
	// ErrSnapshotExists: a snapshot of that name exists.
	ErrSnapshotExists = errors.New("snapshot exists")
	// ErrSnapshotNotFound: no snapshot of that name exists, or it has been dropped.
	ErrSnapshotNotFound = errors.New("snapshot not found")
	// ErrProtected: the last fork of a store cannot be dropped.
	ErrProtected = errors.New("protected")
	// ErrReadOnly: the store was opened for reading only, or its disk is read-only.
	ErrReadOnly = errors.New("read-only")
	// ErrClosed: the store, batch or iterator has been closed.
	ErrClosed = errors.New("closed")
	// ErrLimit: a key, value, batch or name is larger than the format allows, or more
	// forks are to be made or dropped at once than one record holds.
	ErrLimit = errors.New("over a limit")
	// ErrInvalidName: a name has bytes outside A-Z a-z 0-9 . _ / -, or none.
	ErrInvalidName = errors.New("invalid name")
	// ErrInvalidRange: a range's lower bound is above its upper bound.
	ErrInvalidRange = errors.New("invalid range")
	// ErrNotStore: the directory holds something, but no store.
	ErrNotStore = errors.New("not a store")
	// ErrLocked: another process, or another Store, has the directory open.
	ErrLocked = vfs.ErrLocked
	// ErrCorrupt matches every *CorruptError.
	ErrCorrupt = errs.ErrCorrupt
	// ErrNewerFormat: a file was written by a newer version of the format.
	ErrNewerFormat = errs.ErrNewerFormat
	// ErrOldFormat: a file was written by an older version of the format, which is not
	// read any more.
	ErrOldFormat = errs.ErrOldFormat
	// ErrNoSpace: the disk is full. Nothing has changed; free space and try again.
	ErrNoSpace = errs.ErrNoSpace
	// ErrPoisoned: a write or sync of the log or the manifest failed earlier, and the
	// error says how. Reads go on, writes do not; reopen the store once the disk works
	// again. If ErrBroken matches too, the reason was a bug, and new reads may fail.
	ErrPoisoned = errors.New("the store has stopped writing")
	// ErrBroken: the store has found that it contradicts itself. That is a bug of the
	// store, never of its user. What is on disk is as it was before; reopen it.
	ErrBroken = errors.New("the store contradicts itself")
	// ErrIndeterminate: the disk failed under this very write. It may or may not
	// be there after the store is reopened.
	ErrIndeterminate = errors.New("outcome unknown after a disk error")
)

// CorruptError says which bytes of which file are bad, and which forks read
// through them. errors.Is(err, ErrCorrupt) holds for it.
type CorruptError = errs.CorruptError
