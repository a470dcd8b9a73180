// Package forktree is the fork tree: nodes of immutable content, the forks and
// snapshots that point at them, and the references and claims that decide what
// may be replaced and what may go. It is a pure data structure: it does no I/O,
// starts no goroutine and takes no lock. The engine calls it under its one lock.
//
// The content of a node is its run laid over the content of its older node, and
// never changes. What may be replaced, by an equivalent one, is its physical
// form: memory by tables (a flush), several runs by one (a merge), several
// memtables by one (a consolidation). Such a replacement is a swap, and serves
// every path through the node in one step.
//
// The life of one write, seen from here:
//
//  1. It goes into the memtable of a Fork, which the tree only holds. A fork that is
//     not in use is a record without a pointer (forks.go).
//  2. Freeze turns the memtable into a Node on top of the fork's path.
//  3. Other forks may take that node as their top: Fork costs one record.
//  4. A flush claims the node (Claim), writes tables, and swaps them in
//     (InstallTables). What the node deletes it marks dead in the tables of older
//     nodes (Marks), or keeps as tombstones.
//  5. A merge claims a stretch of the path and swaps one run in at its newest
//     node: Replace, Stage, Install, Sweep. Marks of the nodes above are carried
//     over to the new tables, by row. Nodes of the stretch that nobody else
//     enters lose their last reference.
//  6. Release takes unreferenced nodes apart in slices; runs, tables and files
//     that fall to zero are reported by TakeTransaction and TakeObsolete.
//  7. Of a file that many tables shared and few still live in, Sparse gives these
//     few, at rest sooner, and Relocate lets them lie elsewhere: same ids, same rows, same marks.
//
// All of this may give a picker new work. A Watch gathers the paths on which it does, so
// that nobody has to look at the others.
//
// Read the files in this order: node.go, kids.go, forks.go, snapshotorder.go,
// run.go, chunk.go, file.go, tree.go, refs.go, claim.go, swap.go, marks.go, replace.go,
// transaction.go, load.go, path.go, watch.go, sizes.go, draw.go, verify.go.
package forktree
