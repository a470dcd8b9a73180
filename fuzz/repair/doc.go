// Package repair tries to make engine.RepairOrphans remove a file that is needed
// after all. It is not a test of the check's findings, nor of what an open removes.
//
// The life of one run:
//
//  1. A store is written, forked, dropped, flushed, merged and reopened on a file
//     system that can die. In every second run some sync fails at some point, so
//     that the operating system knows what the disk does not.
//  2. Before every few calls an image is taken of what a dead process leaves, or of
//     what a power loss leaves.
//  3. The image is repaired. Whatever was decided, every fork and snapshot must
//     hold what it held before.
//  4. Then the power goes, in several ways. What is left must be a whole store, at
//     the level of a deep check: a table that was removed and is needed again would
//     be missing.
//
// Files in reading order: trial.go (a run), judge.go (an image).
package repair
