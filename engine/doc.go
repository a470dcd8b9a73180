// Package engine is the store: forks and snapshots of keyspaces over one
// write-ahead log, one manifest and a set of shared, immutable tables. It is what
// programs embed. It is not a server and knows nothing of names on a wire, users
// or permissions.
//
//	store, err := engine.Open(dir, nil)
//	base, err := store.Fork(engine.MainFork)
//	err = base.Set([]byte("plan"), []byte("a"))
//	agent, err := base.Fork("agent-7")         // O(1), durable when it returns
//	err = agent.Set([]byte("plan"), []byte("b")) // base does not see it
//	err = base.Reset(agent)                    // keep the result …
//	err = agent.Drop()                         // … and discard the fork
//
// The life of one write:
//
//  1. Batch.Commit makes room in the log, without the lock.
//  2. Under the lock: LSN, target memtables, place in the log, rows into the
//     memtables (batch.go, store.go).
//  3. The log makes it durable, for everybody who waits, with one fsync.
//  4. A fork freezes the memtable into a node (fork.go); a flush writes the node
//     to tables, once for all forks above it (flush.go); merges keep paths short
//     (compact.go, merge.go). What was deleted is not written: the node marks the
//     rows of older tables as dead (resolve.go).
//  5. Every such swap is published as one manifest transaction (publish.go); when
//     that is durable, files that nothing needs are unlinked and the log is
//     trimmed.
//  6. After a crash the log is replayed over the manifest (open.go, recover.go).
//
// The life of one read: the fork's cached view, memtable first, then the layers of
// its own nodes, then the flats it shares with other forks, from newest to oldest;
// the first occurrence of the key decides (view.go, flat.go, sieve.go, read.go, iter.go);
// an iterator merges them, or walks the order that a weave has of them (weave.go, woven.go).
//
// Lock order: Store.backups, Store.jobs, Store.reserveMu, Store.mu, then viewer.mu; background.mu,
// and the locks inside log, manifest, caches and memtables, are leaves. Nothing
// does I/O under Store.mu. The two background goroutines are started by Open and
// waited for by Close; so is a third that lives while it publishes forks (owed.go).
//
// Read the files in this order: store.go, batch.go, apply.go, fork.go, active.go, named.go,
// forkmany.go, dropmany.go, snapshot.go, view.go, flat.go, sieve.go, idleviews.go,
// read.go, iter.go, stack.go, earned.go, weave.go, woven.go, weaveask.go, bare.go, publish.go,
// owed.go, flush.go, deleterange.go, resolve.go, dead.go, deadtables.go, compact.go,
// fair.go, merge.go, tidy.go, grace.go, relocate.go, background.go, pace.go,
// logbound.go, throttle.go, turn.go (one caller at a time), settle.go, open.go,
// recover.go, lost.go, orphan.go, close.go, broken.go, dirsync.go, blame.go, check.go,
// checkrun.go, checkfiles.go, checkalone.go, checkreach.go, checkdeep.go,
// checkcontent.go, checkplain.go, repair.go, verify.go, backup.go, backuppin.go,
// backuplog.go, backupsink.go, backupdir.go, info.go, stats.go, timings.go,
// latency.go, meter.go, options.go, limits.go, errors.go.
package engine
