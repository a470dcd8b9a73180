// Package tinepb is the node's protobuf API, tine.v1: tine.proto, and the Go code
// that is generated from it and committed. It is not where requests are understood:
// package server does that, and package wire turns errors into statuses and back.
//
// The life of a change to the API:
//
//  1. Edit tine.proto. Only add; a field's number keeps its meaning forever.
//  2. go generate ./cmd/rpc/tinepb
//  3. Commit both. A test of cmd/rpc/tools fails if they do not belong together.
//
// The generators are pinned by cmd/rpc/tools/go.mod; no protoc is needed.
package tinepb

//go:generate go -C ../tools run . -out ../tinepb
