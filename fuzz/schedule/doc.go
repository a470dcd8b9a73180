// Package schedule forces the interleavings that luck would bring about once in a
// million runs: for every ordered pair of the store's schedule points, a goroutine
// waits at the one while another comes to the other. It is not a model checker:
// between two points goroutines run as they like.
//
// The life of one pair, A and B:
//
//  1. A copy of one prepared store is opened (ground.go), of the kind that the pair
//     needs: with workers or without, with something to flush or not. Its forks delete
//     from tables they share, so that whoever flushes makes marks, and whoever merges
//     carries several nodes' vectors over, one at a time, and drops rotten rows.
//  2. A client does what leads to A (deed.go), and is held there (watcher.go).
//  3. Another does what leads to B. If nothing happens any more before somebody has
//     come there, which is seen in the states of all goroutines (quiet.go), this was
//     not the way: the next one is tried. No clock decides anything.
//  4. B goes on as far as it can while A is held; or it is held as well, and A goes
//     on as far as it can; or both go on at once. Meanwhile a third client uses the
//     store as it likes, and an image of a crash is made.
//  5. Everybody is let go. The forks hold what the model says, held iterators read
//     what they saw, counts and files are exact, nothing is open and no goroutine is
//     left; the image holds one prefix of all that was done (run.go, world.go).
//
// The test lists the pairs that cannot come about, and why. Trials beside it hold
// goroutines at points that a seed chooses (explore.go), and look whether work
// that is due is done without a further call (wakeup.go).
//
// Files in reading order: world.go, actor.go, ground.go, watcher.go, quiet.go,
// deed.go, run.go, pair.go, catch.go, explore.go, wakeup.go, trial.go.
package schedule
