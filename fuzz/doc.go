// Package fuzz does operations to a real store and to a model of one, and says
// where they differ: while all is well, after a crash at each call to the file
// system, and while the disk fails.
//
// It is not the oracle (package model), nor does it make up the operations
// (package ops). It holds what runs them, and the trials: each looks for faults in
// one way, from a seed. The tests beside it run the trials with fixed seeds and
// demand that the states they are there for were met; the command soak runs them
// with fresh seeds for hours. TINE_SOAK=20 makes the tests twenty times as long.
//
// The life of one run with crashes:
//
//  1. A Driver opens a store on a crashing file system and does the operations,
//     and keeps the model's state after each (History).
//  2. A tap on the file system stops before every call that changes something,
//     notes which operations were acknowledged, and makes images of what a kill
//     or a power loss at this moment would leave.
//  3. A Judge opens each image. What it holds must be the model's state after one
//     number of operations, the same for all forks and snapshots: at least all
//     that were acknowledged as durable, at most all that were begun.
//  4. It crashes some images again within recovery, and goes on writing on others;
//     at the end the store's own check must find nothing.
//
// Files in reading order: trial.go, trials.go, parallel.go (on every processor),
// counts.go, config.go. Then what does operations: driver.go (one operation),
// noting.go, refusal.go, reading.go, listing.go (what the store says of its forks),
// backups.go (what a copy holds), held.go (iterators that live long), readers.go
// (goroutines beside), transcript.go (what was seen, to compare configurations),
// modelrun.go, resume.go. With crashes: history.go, tap.go, image.go, judge.go,
// crashrun.go, scripts.go (every short script), manyscripts.go (the same with several
// forks at once), packs.go (tables that are relocated), crashtrials.go, crowd.go
// (several clients), deleters.go (several that delete from tables they share). With
// faults: faultrun.go, faulttrials.go. Trials of deletes in all three ways are in
// deletetrials.go. When something is wrong: check.go, failure.go.
package fuzz
