// Package compaction decides which runs of the fork tree become one, and makes
// them one.
//
// It is not a scheduler and holds no state between calls: the engine says when,
// claims the nodes, opens the inputs, runs the merge without its lock, and swaps
// the result into the fork tree.
//
// The life of one compaction:
//
//  1. The engine walks the entered nodes whose paths have changed, from the root
//     outwards, describes the path of each as a list of Items, and asks Pick for a
//     Plan. A Crowd may say that another node of the path is a better place for it.
//  2. It claims the nodes from Plan.First to Plan.Last.
//  3. Split says which tables have to be read; the others are taken over. Merge
//     copies the live rows of those that are read, one row a key, into an Output,
//     which cuts them into tables and packs the tables into files. A remap learns
//     which row went where, for the marks that others hold on the old tables. A
//     consolidation is done in memory, by the engine. A plan whose reason is "empty"
//     needs neither.
//  4. EndRun gives the new run's tables; Sync makes them durable.
//  5. The engine swaps the run in at Plan.First and logs it, or discards the
//     Output if nobody wants the node any more.
//
// A flush is the same with one memtable as the only input, and without a plan;
// several flushes may share an Output and so a file.
//
// Read the files in this order: item.go (what the picker sees and says),
// policy.go, pick.go (the rules and their order), segment.go (rules between
// branch points), readbound.go (rules across them), crowd.go (one merge for many
// paths), dead.go (rules about dead rows), shadowed.go (what is worth doing at rest),
// split.go (what a merge reads), merge.go (the loop), tally.go (its check), runiter.go,
// trace.go (where each row went), output.go, outputfile.go.
package compaction
