// Package limits takes a store to its limits and over them: forks without number,
// few descriptors, little memory, a full disk, and keys, values, batches and names
// of the greatest length.
//
// It is not about failures of a disk that works badly: what fails here fails
// because there is no more of something, and works again when there is.
//
// The life of one disk that fills up:
//
//  1. A store is written to until nothing fits any more, or until one kind of file
//     finds no room (full.go).
//  2. Meanwhile each call is either done whole or refused with ErrNoSpace and
//     without a trace; reads go on, and so do drops, for they free space.
//  3. Space is freed. Without being reopened the store takes writes, flushes and
//     merges again.
//  4. It is closed and opened, with the disk full once more at each step, and must
//     hold what it acknowledged (book.go).
//
// What limits a whole process is tried in a child process (child.go): the test
// starts its own binary again, which looks into the environment for the name of
// what to do.
//
// Files in reading order: trial.go, book.go, full.go, handles.go, sizes.go, child.go,
// forks.go, atonce.go, descriptors_linux.go, memory.go, mount_linux.go.
package limits
