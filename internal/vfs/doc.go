// Package vfs is the file system as the store sees it: an interface small
// enough that a crashing and a failing one can be written in full, and the
// operating system's own behind it.
//
// What the store assumes of a file system: a write becomes durable by Sync on
// the file; a create, rename or remove becomes durable by SyncDir on its
// directory, and until then each of them may, on its own, survive a power loss
// or not. Nothing else is assumed, in particular no order between them.
//
// It is not a general file system: files cannot shrink, be reopened for
// writing, carry permissions or be linked twice, because a store whose files
// are immutable once named needs none of that, and what is not there cannot
// crash in a surprising way.
//
// The life of a file that must survive:
//
//  1. Create makes it under a name nobody reads yet.
//  2. Preallocate, if its later growth must not fail, and WriteAt fill it.
//  3. Sync makes its bytes and its length durable, but not its name.
//  4. Rename gives it the name that readers look for, if that is another one.
//  5. SyncDir makes the name durable. Only now may anything durable refer to it.
//
// Files, in reading order: vfs.go (the interface), os.go (the operating
// system), map.go (small writes without a call), os_linux.go, map_linux.go,
// os_other.go and map_other.go (what only some systems can do),
// lock_flock.go and lock_other.go (the lock on a store), descriptors_unix.go and
// descriptors_other.go (how many files may be open).
//
// Beside it: crashfs keeps files in memory and loses power, faultfs makes the
// Nth call fail, vfstest is the test that every implementation passes.
package vfs
