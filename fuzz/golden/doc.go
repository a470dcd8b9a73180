// Package golden keeps whole stores as earlier versions of the program wrote
// them, and looks whether this one still reads them, goes on with them, and
// refuses those that it cannot know.
//
// It is not about single bytes: each format's own package pins those. It does not
// convert a store from one version to another.
//
// The life of a golden store:
//
//  1. A version is a set of four numbers: those of CURRENT, manifest, log and
//     tables. When one of them rises, a test fails because no directory below
//     testdata has that set for its name.
//  2. "go test ./fuzz/golden -update" does the operations of script.txt to a new
//     store, with a clock and random numbers that repeat, and writes the directory:
//     the store as it is when it is closed (closed), and as a crash under one more
//     write leaves it (torn). Beside each stands what it holds, as the model says,
//     never as the store says (closed.txt, torn.txt).
//  3. The directory is committed and never written again: -update leaves every
//     directory that is there alone. Before a format is released its directory may
//     be removed by hand and made anew; afterwards it stays for as long as any
//     program promises to read it. One that is not read any more must be refused as
//     what it is. script.txt may change; it has no bearing on stores that are there.
//  4. Every run opens copies of all of them: read-only, with the store's own check,
//     and with operations that change it (trial.go).
//
// A new number in a table's footer comes with a new number in the manifest: the
// footers are read when a table is first needed, the manifest at every open, and
// only what is refused at the open leaves all files as they were.
//
// Files in reading order: store.go (a golden store in memory), listing.go (what it
// holds), version.go (where the numbers stand), generate.go (makes one), trial.go.
package golden
