// Package damage changes the bytes of whole stores, one way at a time, and says
// whether every answer they then give is right or an error that names the damage.
//
// It is not about crashes, which leave what a disk may leave: here bytes rot that
// were durable. It changes no byte while a store is open.
//
// The life of one case:
//
//  1. A Specimen is built once: a store made by a script, or at random, and then
//     closed or killed; the model's state after each operation, and which bytes of
//     which table files each fork and snapshot is read through.
//  2. A Case says what some files hold instead: a byte changed, cut off, zeroed,
//     exchanged, missing, there twice, or an older version.
//  3. The store's check reads the damaged files and may change nothing.
//  4. The store is opened, for some cases also read-only, and every fork and
//     snapshot is read by scans both ways and by gets. All answers together must be
//     those of one state, and that the last one; or errors that name the damaged
//     file and all who read through it; and who does not must read on. Check must
//     have found whatever was not right.
//  5. The one exception is the end of the log: what no sync mark vouches for, or
//     what was lost together with the marks that did, may be missing, as a suffix
//     of the operations, the same for all forks (segment.go says which).
//  6. Some stores are written to, flushed and compacted on top of the damage. Then
//     the bytes are repaired, and nothing may be left of it.
//
// No case may take for ever or allocate more than 64 MiB.
//
// Files in reading order: case.go, specimen.go, build.go, script.go, segment.go,
// footprint.go, reading.go, judge.go, bytes.go, sectors.go, parts.go, files.go,
// random.go, run.go, trial.go.
package damage
