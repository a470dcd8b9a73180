// Package memtable holds the rows and range deletes of a fork that are not in
// tables yet, sorted, with the versions that open iterators may still ask for. It
// is not the log, knows no forks and no layers below it, and has no budget: the
// engine decides when a memtable is frozen and when it is flushed.
//
// A store may have 100 000 forks with a memtable each, so one grows with what
// it holds: empty it is one struct, then an array of at most 16 refs, then a B+tree.
// Entries lie in chunks of plain bytes and are never changed or moved; array and
// tree hold refs to them. Several versions of a key are a list: each entry knows
// the one before it.
//
// The life of one Add:
//
//  1. The writer finds the key's place. It needs no lock for that, being the only
//     one who changes anything.
//  2. If the key is there, the new entry will point to the version it hides.
//  3. The entry is written to the arena, where nobody can see it yet.
//     If the key is new, the filter learns of it.
//  4. Under the memtable's lock the chunks are published and the ref is put into
//     its slot: that is the moment from which readers find it.
//  5. If the leaf was full, it and full inner nodes above it are split first.
//
// A key behind all others needs no search: its place is the end of the last leaf. Rows
// that come together, as a batch has them, and rise behind all others share step 4.
//
// The life of one read: Get asks the filter, and most keys that are not there end
// here; then under the shared lock the key's newest ref is found (Get)
// or a leaf's refs are copied (iterator); then, without the lock, the list of
// versions is followed to the first one that is old enough.
//
// A range delete writes tombstones over the memtable's own rows, and is kept for
// what lies in older layers: those ask Covered, or hide the Spans.
//
// Files in reading order: memtable.go (type, Add, Get), entry.go (a version in
// bytes), arena.go (their memory), slots.go (the array of a tree node), tree.go
// (insertion and splits), rising.go (rows together), build.go (a tree at once),
// filter.go, iter.go, ranges.go, merge.go, load.go (many rows at once, for
// recovery).
package memtable
