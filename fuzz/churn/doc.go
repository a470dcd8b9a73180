// Package churn makes and drops forks for as long as it is told to, in trees of
// several shapes, and demands that nothing is left behind and nothing is taken
// away too early: files, memory, descriptors, counts and contents.
//
// It is not the model-based run of package fuzz, whose operations are drawn
// alike: here nearly every step makes garbage, somebody still reads what becomes
// garbage, and now and then an unlink fails.
//
// The life of one cycle:
//
//  1. A fork is made, or some at once, of a live fork or snapshot, which the shape of the tree
//     chooses (shape.go).
//  2. It is written to, and perhaps its parent, together or apart (write.go).
//  3. Sometimes: a flush, a merge, a snapshot, a reset, an iterator that is held
//     from now on (held.go), a rule by which unlinks fail (unlink.go), a reopen
//     (reopen.go), a look at what a crash would leave (crash.go).
//  4. Somebody is dropped: a parent before its children, a whole subtree, the
//     oldest, hardly ever the newest (drop.go); or many by one record (many.go).
//  5. Every so many cycles everything is compared exactly (exact.go): contents of
//     all forks, references counted anew, files on disk against those that are
//     reachable, by the store and by an examination of a copy of its disk. Now and
//     then the store is closed for it: then its manifest must name nothing that nothing
//     needs (records.go).
//
// At the end all forks but one are dropped, and the disk must hold little more
// than a new store would take for that fork's rows (space.go).
//
// Files in reading order: trial.go, shape.go, run.go, write.go, held.go, drop.go,
// many.go, unlink.go, reopen.go, crash.go, exact.go, records.go, space.go,
// hands.go (several goroutines at a time).
package churn
