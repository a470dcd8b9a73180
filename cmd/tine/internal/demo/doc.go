// Package demo tells, on real files, what forks are for: a thousand of them are
// made, changed, compared with what they should hold, survived, and thrown away.
//
// It is not a benchmark: the figures it prints are of one run on whatever machine
// this is, beside other work. What it claims about contents is checked: each
// claim is compared with an expectation that the demo keeps for itself, out of
// what it told the store to do, and never out of what the store says.
//
// The life of one demo:
//
//  1. A directory tree is imported into main.
//  2. Main is forked once for each agent, some forks synced each by itself.
//  3. Each agent changes files in its fork, several at a time; some fork again.
//  4. Every fork is compared with its expectation.
//  5. The tree is drawn and its bytes are counted, on the disk too.
//  6. Another process writes, says what was acknowledged, and kills itself; the
//     store is opened again and must hold all of that.
//  7. Main becomes the winner, all others are dropped, the space comes back, and
//     what is left is compared and checked once more.
//
// Files in reading order: demo.go, report.go, source.go, expect.go, agents.go,
// verify.go, costs.go, crash.go, writer.go, keep.go, du_unix.go, du_other.go.
package demo
