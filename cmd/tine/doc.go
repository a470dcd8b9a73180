// Command tine works on a store from the command line: keys, forks, snapshots,
// directory trees, and what is needed to look after a store.
//
// Only "tine serve" stays, and what it serves is not decided here. Every other call does
// one thing to a store: one that it opens and closes (--data), or a node's (--addr).
// Only one process can have a store open.
//
// The life of one call:
//
//  1. main hands arguments and streams to run, which is also what tests call.
//  2. cobra finds the verb; what it does not understand is a usage error.
//  3. The verb gets a target (target.go): the store that --data or TINE_DATA names
//     (embedded.go), or the node that --addr or TINE_ADDR names (remote.go). Verbs that
//     only read open a store read-only; only put, import, restore, serve and demo make a
//     new one. Verbs that work on files, check, dump, restore and demo, take no node;
//     check has it look at its own store.
//  4. The verb prints text or, with --json, JSON on the output.
//  5. fail turns an error into one line (or JSON object) on the error output and
//     into an exit code (exit.go has the list, "tine help exit-codes" prints it).
//
// Files in reading order: main.go, run.go, exit.go, usage.go, open.go, target.go,
// embedded.go, remote.go, within.go (is a directory in another), text.go, confirm.go,
// progress.go; then the verbs: get.go, put.go, del.go, scan.go, batch.go, fork.go,
// forkcreate.go, forkdrop.go, forklist.go, forktree.go, snapshot.go, import.go,
// export.go, check.go, checktext.go, dump.go, stats.go, backup.go, demo.go, serve.go,
// token.go, owner_*.go (a file stays whose it was). TREE.md describes what import stores.
package main
