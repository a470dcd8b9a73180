// Package faultfs wraps a file system and makes chosen calls fail.
//
// It is not a crash: the process lives on and must deal with the error. A
// failed call has no effect, with two exceptions that disks are known for: a
// failed write may have written half, and after a failed sync over crashfs a power
// loss may take the data, or some of it, although the next sync succeeds.
//
// The life of one call:
//
//  1. It is counted under its Op.
//  2. Each rule that matches Op and name counts it too, in order of injection;
//     the first whose turn it is decides that the call fails.
//  3. Without such a rule the inner file system is called, and its answer is
//     passed on as it is.
//
// To fail every call of a run in turn: inject Rule{Nth: n} for n = 1, 2, … each
// on a fresh file system, until a run ends with Injected() == 0.
//
// Files, in reading order: rule.go (what fails), fs.go and file.go (the calls).
package faultfs
