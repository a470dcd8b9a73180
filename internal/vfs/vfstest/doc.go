// Package vfstest is the test that every file system behind package vfs passes:
// what the store may expect of each of them while nothing crashes and nothing
// fails.
//
// It is not about durability: what survives a power loss is tested where it can
// be lost, in crashfs.
//
// The life of one use:
//
//  1. An implementation's test calls Run with a function that makes a fresh file
//     system and names an empty directory in it.
//  2. Each case gets one of its own, and leaves no handle open.
//
// Files, in reading order: run.go (the cases in a table), files.go (cases about
// content), names.go (cases about names and locks).
package vfstest
