// Package server is the node: it answers the calls of tinepb over a store, for
// callers that it knows, within limits. It owns no store, reads no configuration and
// knows no token: who may do what is an Authorizer's word.
//
// The life of one call:
//
//  1. The listener takes the connection if there is room (listen.go), and the stream
//     gets its deadline before anything of it is read (deadline.go).
//  2. Admission, before the message is decoded: who calls, is the method known, is
//     there room for one more, do the rates allow it (admit.go, rates.go, rules.go).
//  3. The message is decoded if it does not hold more parts than it may (decode.go).
//  4. Every fork and snapshot that it names is resolved: the name is allowed, the
//     caller may do that to it, it is there, it has the id that was asked for
//     (resolve.go).
//  5. The engine does it (get.go, write.go, scan.go, create.go, list.go, drop.go …).
//  6. The answer is encoded and counts until the connection has taken it (answer.go,
//     account.go). An error becomes a status. A panic becomes one here, and nowhere
//     deeper, and is logged (call.go).
//
// A batch that carries a request id is applied once, however often it comes: the ids
// are rows in a fork of the node's own, written with the batch itself (requests.go,
// system.go).
//
// Read the files in this order: server.go, options.go, limits.go, refusal.go, auth.go, observe.go,
// rules.go, listen.go, handshake.go, shares.go, account.go, deadline.go, call.go,
// lanes.go, outlast.go, stream.go, admit.go, rates.go, decode.go, answer.go, resolve.go,
// system.go, requests.go, get.go, write.go, scan.go, create.go, names.go, list.go,
// drop.go, keeper.go, snapshots.go, admin.go, report.go, backup.go, check.go.
package server
