// Package crashfs is a file system in memory that dies and loses power, and
// then keeps no more than package vfs promises.
//
// It is not a simulation of any real file system: it orders nothing. Each name
// operation survives a power loss on its own until its directory is synced, and
// each 512-byte sector until its file is; after a failed sync that stays so, though
// the next one succeeds. Real file systems keep more, each in its own way; a store that
// survives here relies on none of them. Two mercies are granted, and both are
// assumptions about disks: bytes not written since the last sync are not harmed by a
// write to other bytes of the same sector (powersafe overwrite), and zeros that were
// preallocated never turn into garbage.
//
// The life of one crash test:
//
//  1. The store works on New(), through vfs.FS. Its first run tells Mutations.
//  2. For each of them a run with KillAt(n), or one run with OnMutation.
//  3. From the dead file system come images: AfterKill, where the process alone
//     died, PowerLossStrict and PowerLossAll, and as many PowerLoss as wanted.
//  4. The store opens each image and is compared with what it had promised.
//     Images crash again like any file system: that is a crash in recovery.
//
// Files, in reading order: fs.go (the calls of vfs.FS), name.go (names and
// which of them are durable), inode.go (contents and which bytes are), file.go
// (handles), power.go (images), fates.go (what luck they have), control.go
// (what only tests call).
package crashfs
