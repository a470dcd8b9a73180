// Package manifest keeps the immutable records of forks, snapshots, nodes, tables
// and deletion vectors, and the log of transactions that changes them: what a store
// needs besides its write-ahead log to know which bytes on disk mean what.
//
// It is not the fork tree: it counts no references, decides nothing about what
// may be dropped, and removes no file but its own. It does not know nodes that
// are still in memory; those are the write-ahead log's.
//
// Life of a transaction:
//
//  1. The engine, under its tree lock, changes the tree and calls Log.Append
//     with the after-images of what changed and the rows that died. Append
//     encodes them, applies them to the state, and gives them the next position.
//     No I/O.
//  2. Without the lock, somebody who waits for the transaction calls Log.Sync.
//     One caller becomes the writer for all.
//  3. The writer waits until the write-ahead log is durable through all that
//     the group needs. The manifest is never ahead of the log.
//  4. It frames the transactions, each chained to the one before, writes them
//     with one call, syncs the file, and publishes the position as durable.
//     Only now may the engine unlink files or trim the log because of them.
//  5. If nothing else waits it writes a mark: from here on the group cannot rot
//     unnoticed.
//  6. After a crash, Load reads CURRENT, the base of the file it names, and the
//     transactions behind it; a torn tail is cut, damage is an error.
//  7. Create writes what was loaded as the base of a new file and points CURRENT
//     at it. Rewrite does the same while transactions go on.
//
// A failed write or sync poisons the log: positions that were not durable by
// then may or may not be found by the next Load, and nothing is tried again.
//
// Reading order: FORMAT.md, state.go, forks.go (the set of forks), nameslabs.go,
// order.go, transaction.go, marks.go (dead rows), check.go, diff.go (from one state to
// another), edit.go (one transaction as bytes), split.go, frame.go, header.go,
// current.go, window.go, load.go, file.go, create.go, copy.go, log.go, sync.go,
// rewrite.go, dump.go.
package manifest
