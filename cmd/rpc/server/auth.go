package server

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// Verb is what a caller wants to do to a fork, a snapshot or the node.
type Verb uint8

// The verbs. None includes another.
const (
	VerbRead  Verb = iota // get, scan, show, list; be the source of a fork, a reset, a snapshot
	VerbWrite             // set, delete, delete range
	VerbFork              // make, rename, reset and drop forks and snapshots, under their names
	VerbAdmin             // the node: stats, check, flush, compact, backup
)

// String is the word that scopes and logs use.
func (v Verb) String() string {
	switch v {
	case VerbRead:
		return "read"
	case VerbWrite:
		return "write"
	case VerbFork:
		return "fork"
	case VerbAdmin:
		return "admin"
	}
	return "unknown"
}

// Authorizer tells who calls. It is used concurrently, once for each call, before
// the call's message is decoded.
type Authorizer interface {
	// Identify finds the caller from the connection (package peer finds it in ctx, with
	// the TLS state) and the call's metadata. An error refuses the call, as
	// wire.ErrUnauthenticated unless it is an error of package wire; its text reaches
	// the caller.
	Identify(ctx context.Context, md metadata.MD) (Principal, error)
}

// Principal is a caller. It is used concurrently, and may change its mind between
// calls, not within one.
type Principal interface {
	// Name is for logs, quotas and metrics. Equal names share a quota.
	Name() string
	// May tells whether the caller may do that to the fork of that name, whether there
	// is one or not. A snapshot's name has an @ before it. VerbAdmin has the name "".
	May(verb Verb, fork string) bool
	// MayAll tells whether May holds for every name that begins with prefix, forks' and,
	// if prefix is empty, snapshots'.
	MayAll(verb Verb, prefix string) bool
	// Patterns are the names for which May says yes, so that lists need not look at all
	// others: a name, or what names begin with and a star. Snapshots' names have an @ before
	// them here, too, and "*" allows them as well.
	Patterns(verb Verb) []string
	// Rates are the caller's quotas.
	Rates() Rates
}

// Everybody is an Authorizer that asks nobody who they are and lets everybody do
// everything: for a listener that only this machine reaches.
var Everybody Authorizer = everybody{}

// Anybody is the name of a Principal of whom nobody has asked who it is. Each connection
// of such a one counts as a caller of its own.
const Anybody = "anybody"

type everybody struct{}

func (everybody) Identify(context.Context, metadata.MD) (Principal, error) { return everybody{}, nil }
func (everybody) Name() string                                             { return Anybody }
func (everybody) May(Verb, string) bool                                    { return true }
func (everybody) MayAll(Verb, string) bool                                 { return true }
func (everybody) Patterns(Verb) []string                                   { return []string{"*"} }
func (everybody) Rates() Rates                                             { return Rates{} }
