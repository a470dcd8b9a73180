package server

import (
	"errors"

	"github.com/tinedb/tine/cmd/rpc/wire"
)

// A Limit is one of those that calls and connections meet, as metrics name it.
type Limit string

// What of a node is all taken, or of what one caller has as much as they leave for
// others.
const (
	LimitConnections      Limit = "connections"
	LimitConnectionsShare Limit = "connections_share"
	LimitCalls            Limit = "calls"
	LimitCallsShare       Limit = "calls_share"
	LimitScans            Limit = "scans"
	LimitScansShare       Limit = "scans_share"
	LimitBytes            Limit = "bytes_in_flight"
	LimitBytesShare       Limit = "bytes_in_flight_share"
	LimitReceiving        Limit = "receiving" // messages that are arriving
	LimitReceivingShare   Limit = "receiving_share"
)

// The other limits.
const (
	LimitUnread      Limit = "unread"       // answers that one connection leaves unread
	LimitMessage     Limit = "message"      // bytes of a request
	LimitAnswer      Limit = "answer"       // bytes of an answer
	LimitParts       Limit = "parts"        // of a request
	LimitCallerCalls Limit = "caller_calls" // a second
	LimitCallerBytes Limit = "caller_bytes"
	LimitForkCalls   Limit = "fork_calls"
	LimitForkBytes   Limit = "fork_bytes"
	LimitBackups     Limit = "backups"      // and checks at a time
	LimitTime        Limit = "time"         // of a call
	LimitLease       Limit = "lease"        // for which a caller may keep the node waiting
	LimitConnectTime Limit = "connect_time" // for which a connection may be nobody's
)

// EveryLimit is all of them.
var EveryLimit = []Limit{
	LimitConnections, LimitConnectionsShare, LimitCalls, LimitCallsShare, LimitScans, LimitScansShare,
	LimitBytes, LimitBytesShare, LimitReceiving, LimitReceivingShare,
	LimitUnread, LimitMessage, LimitAnswer, LimitParts, LimitCallerCalls, LimitCallerBytes, LimitForkCalls, LimitForkBytes,
	LimitBackups, LimitTime, LimitLease, LimitConnectTime,
}

// refusal is an error of which the node knows the limit that is its reason. The caller
// gets the error.
type refusal struct {
	limit Limit
	error
}

func refused(limit Limit, err error) error { return &refusal{limit, err} }

// Unwrap is the error.
func (r *refusal) Unwrap() error { return r.error }

// limitOf is the limit that an error comes of; "" if none is known.
func limitOf(err error) Limit {
	var r *refusal
	if errors.As(err, &r) {
		return r.limit
	}
	return ""
}

// errTime ends a call whose own time is over.
var errTime = refused(LimitTime, wire.ErrTimedOut)
