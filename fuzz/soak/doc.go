// Command soak runs the trials of all packages with fresh seeds, for as long as
// it is told to.
//
// It is not a test: it demands no figures and does not stop at a failure. It
// saves what failed, goes on, and tells at the end how often each trial ran,
// how often it failed, and how often each state was met.
//
//	go run ./fuzz/soak -for 1h                 all trials, for an hour
//	go run ./fuzz/soak -rounds 3               each three times
//	go run ./fuzz/soak -only model,clients     some
//	go run ./fuzz/soak -seed 42 -rounds 1      the same seeds as another time
//	go run ./fuzz/soak -only model -exact 17   one seed that failed
//	go run ./fuzz/soak -list
//
// The life of a soak:
//
//  1. It tells the seed from which all others follow.
//  2. The trial that has had the least time so far runs next, with the next of its
//     seeds. What it panics with is a failure; so is a run that takes longer than
//     -stuck, and that trial is then left alone.
//  3. A failure is written to a file in -out: the seed, the error and, if the
//     trial is about a list of operations, the list, cut down as far as a minute
//     gets.
//  4. When time is up, or on SIGINT, the run that goes on is finished and the
//     table written. The exit code is 1 if anything failed.
//
// Files in reading order: trials.go (which there are), main.go (flags), soak.go
// (the loop), table.go (the end).
package main
