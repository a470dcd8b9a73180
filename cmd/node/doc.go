// Package node runs one store for others: it opens it, serves it over the network,
// tells how it does, and ends it in order.
//
// It is not the RPC service, which is cmd/rpc/server, and knows no verb of it. It
// decides nothing about rows and forks. It is what "tine serve" starts.
//
// The life of a node:
//
//  1. Settings come from flags, the environment and a file, in this order of
//     precedence, and are checked as a whole before anything is opened.
//  2. Tokens and certificates are loaded: what is wrong with them is met before the
//     store is.
//  3. The addresses are listened on, then the store is opened, with a recovery if it
//     was killed. The admin port answers from the first moment: alive, not ready.
//  4. The service begins; the addresses are printed as one line on the output; it is
//     ready.
//  5. SIGHUP, or a changed file, loads tokens and certificates anew.
//  6. SIGTERM: not ready any more; calls that run get drain-timeout to end, new ones
//     are turned away; then the store is closed. A second signal ends the waiting.
//
// Files in reading order: config.go, flags.go, file.go, value.go, address.go, tls.go,
// node.go, reload.go, drain.go, ready.go, admin.go, metrics.go,
// storemetrics.go, free_*.go (room on the disk), callmetrics.go, logger.go, notify.go.
package node
