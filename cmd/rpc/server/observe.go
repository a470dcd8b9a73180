package server

import (
	"time"

	"google.golang.org/grpc/codes"
)

// Observer is told of every call, for metrics. It is used concurrently, on the path
// of each call, so it must be quick.
type Observer interface {
	// Started: a call was admitted.
	Started(method string)
	// Done: a call ended, admitted or not.
	Done(Event)
	// Refused: a limit refused or ended a call, before Done, or a connection.
	Refused(Limit)
}

// Event is one call that ended.
type Event struct {
	Method    string // without the service's name: "Get"; "other" if there is no such
	Verb      Verb
	Principal string // "" if the caller was not known
	Code      codes.Code
	Err       error         // what the status was made of; nil for OK
	Took      time.Duration // from the moment the message had arrived
	Engine    time.Duration // of that, in the engine; only of calls that measure it
	BytesIn   int64         // of messages
	BytesOut  int64
	Rows      int64 // got, written or scanned
	Admitted  bool  // Started was told of it
}

// Load is what a node is carrying at a moment.
type Load struct {
	Connections   int64
	InFlight      int64 // calls that were admitted and have not ended
	Scans         int64 // of those, with an iterator open
	BytesInFlight int64 // of messages, requests and answers, until connections took them
}

type nobody struct{}

func (nobody) Started(string) {}
func (nobody) Done(Event)     {}
func (nobody) Refused(Limit)  {}
