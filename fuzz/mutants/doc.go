// Command mutants tells whether the tests notice deliberate bugs.
//
// It is not a mutation tester that makes up its changes: each file in patches
// breaks one mechanism that a promise of the store rests on, and its header says
// which, and which tests must notice:
//
//	# name: trim-past-idle-fork
//	# breaks: the log is trimmed past the unflushed writes of a fork
//	# test: ./fuzz TestCrashAtEveryCallOfShortScripts
//
// The life of one run:
//
//  1. The module is copied to a temporary directory.
//  2. Each test that a mutant names is run there once as it is, and must pass:
//     otherwise a mutant's death would mean nothing. How long it takes says how
//     long it may take later, before it counts as hanging.
//  3. For each mutant the patch is applied. The program must still compile: what
//     does not build is no bug that a test has to find.
//  4. The named tests are run, in order, until one fails. That is the killer. A
//     test that hangs kills too, and is told as such; one that could not run, for
//     want of memory say, leaves the mutant UNDECIDED.
//  5. The patch is taken back, and in the end a table says who killed what.
//
// A mutant that no test notices is reported as SURVIVED, and a patch that no longer
// applies, or does not compile, as STALE: renew it. The exit code is 1 for all three.
//
//	go run ./fuzz/mutants                          all of them
//	go run ./fuzz/mutants -only NAME,NAME          some
//	go run ./fuzz/mutants -list                    none, only say which there are
//	go run ./fuzz/mutants -shard 2/4               every fourth, from the second on
//	go run ./fuzz/mutants -rotate 2026-01-31       five, others each day
//	go run ./fuzz/mutants -rotate today -trusting  the same, and step 2 is left out
//
// The tests beside it see to it that every patch applies, that the tests it names
// exist, and that the table in docs/reliability.md lists what is here; -update
// rewrites the table.
//
// # What has no mutant
//
// Mechanisms that the store does not have yet: re-logging of old memtables to free
// the log (its image of the fork table, one transaction for all of it), and names in
// paths: files are named by numbers alone.
//
// Bugs that were tried and are none, because something else makes them harmless:
//
//   - An open does not remove old manifests with the other orphans: the manifest's
//     own start has tried that before, and the orphan scan only reports a failure.
//   - An open gives out LSNs again that a crash has taken back. No durable byte
//     speaks of a record that was not durable, and no replay reads behind a seal.
//   - A flush installs its tables in a node that nobody holds any more. The next
//     step takes the node apart, and the tables with it: work for nothing.
//
// Files in reading order: main.go, mutant.go, choose.go, workspace.go, patch.go,
// trial.go (one test, and what its end means).
package main
