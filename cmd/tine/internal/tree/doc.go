// Package tree keeps a directory tree in a fork and writes it out again.
//
// It is not a file system and not a backup format of the store: one key is one
// file, symbolic link or directory, and the value is a small envelope around the
// content (cmd/tine/TREE.md has the bytes).
//
// The life of one file through Import:
//
//  1. Walk lists the directory in key order, before anything is written, so that
//     what cannot be stored is refused while the store is still untouched.
//  2. The key is the prefix and the slash path. One iterator, opened once and
//     moved forward with the list, tells what is stored under it already.
//  3. If mode, size and time (or the content's hash) are the same, it is skipped:
//     this is what makes an import that was killed go on where it stopped.
//  4. Otherwise the envelope goes into a batch of about 4 MiB; a file above 2 MiB
//     goes in chunks, its old header first removed and the new one written last.
//  5. Batches are acknowledged unsynced; one Sync at the end makes all durable.
//
// Export goes the other way, through os.Root, and creates links last, so that
// nothing it does can land outside the directory it was given.
//
// Files in reading order: entry.go (the envelope), key.go (paths and keys),
// source.go (where trees are kept), walk.go, stored.go, import.go, content.go,
// inspect.go, export.go.
package tree
