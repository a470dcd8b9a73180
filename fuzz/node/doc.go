// Package node kills storage nodes and asks whether what their clients were told was
// true: each run builds the tine binary, starts `tine serve` as a process of its own,
// lets clients work on a tree of forks through the wire, kills the process, starts it
// again on what it left, and demands that there is one order of all calls that
// explains all answers. Others send it what no client of ours sends, and demand that it
// crashes not, takes no more memory than it may, and lets nobody beyond their scope.
//
// The order is looked for by porcupine (Athalye, github.com/anishathalye/porcupine) in
// the model of all forks and snapshots *together*: key by key it could not see a fork
// that was taken between the two halves of a batch.
//
// The life of one stretch between two kills:
//
//  1. A process is started. Batches whose answers a kill has swallowed are sent again
//     under their request ids, some twice at once: each must be applied exactly once.
//  2. Everything is read. That is the last call of the stretch before, whose history
//     is complete now and is judged; and it is where this stretch begins. Where so many
//     orders are possible that the search would never end, that is counted.
//  3. Clients call: batches over several forks, gets, scans, forks, snapshots, resets,
//     renames, drops, lists. Every value names its call, its key and a checksum.
//  4. After a number of answers the process is killed. A call without an answer may
//     have happened before the kill or not at all.
//
// In the end the node is stopped gently, and the deep check reads its directory.
//
// Read the files in this order: kill.go, stretch.go, caller.go, draw.go, calls.go,
// state.go, judge.go, value.go, process.go, race_*.go (is the node built with
// the race detector); then hostile.go and attacks.go.
package node
