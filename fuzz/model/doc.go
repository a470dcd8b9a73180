// Package model is the oracle of the tests: what a store of forks must hold,
// written as plainly as possible.
//
// It is not an engine and shares nothing with one: it imports the standard
// library only, and a test parses its imports to keep it so. It knows no files,
// no crashes and no time. A State is a value that never changes; every operation
// gives another State. So the whole history of a run is a slice of States, which
// is what a crash test needs to ask: which prefix of the operations is this?
//
// The life of one operation:
//
//  1. A test holds a State and is about to do something to a real store.
//  2. It asks the State for the same thing and gets the next State, or the error
//     that the store must give.
//  3. It does the thing and compares.
//
// Files in reading order: state.go (forks, snapshots, what each operation does),
// many.go (several forks by one), lineage.go (what came of what), compare.go (equality
// and the first difference in words), sortedmap.go (the immutable sorted map beneath
// them).
package model
