// Package iterator is how rows are walked in key order: one interface, and the
// iterators that are made out of other iterators. It is not where rows are
// stored: it knows nothing of blocks, tables, memtables or forks, and does no
// I/O of its own.
//
// The life of one scan over a memtable and two runs:
//
//  1. The caller opens an iterator per source: the memtable's own, and a Concat
//     for each run, which opens one table at a time. A source that lies below
//     range deletes goes into a NewMasked, which hides its rows inside them.
//  2. NewMerge takes them newest first. Its first positioning call moves every
//     input, sorts the inputs by their keys and skips the rows of older inputs
//     that the leading one hides. By Into it has told each input where to leave its
//     rows, and is told by whoever lies above where to leave its own.
//  3. Next moves the leading input only, and compares its new key with the
//     runner-up. While it still leads, that one comparison is all the work, and
//     what lies above finds the row where it said that it wants it.
//  4. NewLive takes the tombstones out, which must not happen before the merge:
//     a tombstone hides older rows only as long as it is there.
//  5. NewBounded stops at the caller's bounds.
//  6. Close goes down the same way and closes every source. What is closed can be
//     Reset for the next scan, so that short ones do not pay for the making.
//
// The key that is passed to a seek is only read during the call. It must not be
// memory that the same iterator handed out, because a seek may give that memory
// back before it has finished reading the key.
//
// Files in reading order: iterator.go (the interface), slice.go (rows in
// memory), live.go, bounded.go, span.go and masked.go, concat.go, merge.go.
// Package itertest holds the conformance test that every implementation must pass.
package iterator
