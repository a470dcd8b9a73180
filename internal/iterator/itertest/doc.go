// Package itertest is the conformance test that every iterator of the store
// passes. It is not a test of one implementation: what is special about one (a
// table that must not be opened, a picture that must not move) is tested where
// it lives.
//
// The life of one run:
//
//  1. The caller builds something that holds rows and calls Run with a function
//     that opens a fresh iterator over it.
//  2. Run checks the states that every iterator has: new, past either end,
//     closed.
//  3. It walks all rows both ways, and seeks before, at and behind each key.
//     After each move the row is looked for both in the iterator and where Into
//     said that it is to be left.
//  4. It makes every short sequence of moves from every row of a small set, and
//     random walks that turn often over a large one, and compares each step
//     with a plain slice.
//
// Failing gives an iterator whose Nth move fails; with it a wrapper shows that
// it never takes an error for the end.
//
// Files in reading order: run.go (the cases), walker.go (an iterator and the
// slice it is compared with), failing.go.
package itertest
