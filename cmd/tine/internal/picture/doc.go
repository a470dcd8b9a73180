// Package picture draws what the command line shows to people: sizes, tables of
// columns and the tree of forks.
//
// It is not for programs: they get JSON. One drawing goes like this:
//
//  1. The caller hands over what the engine told it, sorted as it came.
//  2. Forks hangs each fork below its parent; a fork whose parent is gone is a
//     root of its own.
//  3. Long lists of children are cut, and the line that stands for the rest says
//     how many there are.
//
// Files in reading order: size.go, table.go, forks.go.
package picture
