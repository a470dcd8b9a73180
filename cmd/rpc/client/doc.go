// Package client talks to a node as package engine talks to a store: the same names,
// the same errors, and a context first.
//
//	c, err := client.Dial("127.0.0.1:4790", client.Options{})
//	base, err := c.Fork(ctx, engine.MainFork)
//	agent, err := base.Fork(ctx, "agent-7")
//	err = agent.Set(ctx, []byte("plan"), []byte("b"))
//
// It is not a cache and keeps no state of the node's but names and ids: a handle is a
// name and the id that the node gave, and both must still match when it is used.
//
// What is tried again, for Options.RetryFor, with growing pauses:
//
//   - Reads, when the node cannot be reached, is full or is being stopped.
//   - Batches, likewise: each carries an id under which the node applies it once,
//     however often it comes. So do Set, Delete and DeleteRange, which are batches.
//   - Everything else only when the node says that it has done nothing.
//
// An error that is not tried again, or not long enough, leaves open what a batch did
// if the node could not be reached: it matches engine.ErrIndeterminate then. Commit may
// be called once more on the same batch, and is the same attempt.
//
// The life of one call: a request is made of the arguments, calls.go sends it and
// decides about another attempt, and package wire makes the status an error, of which
// errors.Is tells what it would tell of the engine's.
//
// Files in reading order: dial.go, calls.go, fork.go, snapshot.go, batch.go, scan.go,
// iter.go, forks.go, node.go, report.go, backup.go.
package client
