package wire

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// A meaning is one kind of error: the value that errors.Is finds, what it is called
// on the wire, and the code for programs that look at no details.
type meaning struct {
	value error
	kind  tinepb.Error_Kind
	code  codes.Code
}

// meanings are all kinds. Where an error has several, the first of them here is its
// kind and makes its code: what says how it went before what says why.
var meanings = []meaning{
	{engine.ErrIndeterminate, tinepb.Error_INDETERMINATE, codes.Unknown},
	{engine.ErrCorrupt, tinepb.Error_CORRUPT, codes.DataLoss},
	{engine.ErrPoisoned, tinepb.Error_POISONED, codes.FailedPrecondition},
	{engine.ErrBroken, tinepb.Error_BROKEN, codes.Internal},
	{engine.ErrNoSpace, tinepb.Error_NO_SPACE, codes.ResourceExhausted},
	{engine.ErrReadOnly, tinepb.Error_READ_ONLY, codes.FailedPrecondition},
	{engine.ErrNotFound, tinepb.Error_NOT_FOUND, codes.NotFound},
	{engine.ErrForkNotFound, tinepb.Error_FORK_NOT_FOUND, codes.NotFound},
	{engine.ErrSnapshotNotFound, tinepb.Error_SNAPSHOT_NOT_FOUND, codes.NotFound},
	{engine.ErrForkExists, tinepb.Error_FORK_EXISTS, codes.AlreadyExists},
	{engine.ErrSnapshotExists, tinepb.Error_SNAPSHOT_EXISTS, codes.AlreadyExists},
	{engine.ErrProtected, tinepb.Error_PROTECTED, codes.FailedPrecondition},
	{engine.ErrLimit, tinepb.Error_LIMIT, codes.InvalidArgument},
	{engine.ErrInvalidName, tinepb.Error_INVALID_NAME, codes.InvalidArgument},
	{engine.ErrInvalidRange, tinepb.Error_INVALID_RANGE, codes.InvalidArgument},
	{engine.ErrNotStore, tinepb.Error_NOT_STORE, codes.FailedPrecondition},
	{engine.ErrLocked, tinepb.Error_LOCKED, codes.FailedPrecondition},
	{engine.ErrNewerFormat, tinepb.Error_NEWER_FORMAT, codes.FailedPrecondition},
	{engine.ErrOldFormat, tinepb.Error_OLD_FORMAT, codes.FailedPrecondition},
	{engine.ErrUndecided, tinepb.Error_UNDECIDED, codes.FailedPrecondition},
	{engine.ErrClosed, tinepb.Error_CLOSED, codes.Unavailable},

	{ErrUnauthenticated, tinepb.Error_UNAUTHENTICATED, codes.Unauthenticated},
	{ErrDenied, tinepb.Error_DENIED, codes.PermissionDenied},
	{ErrOverloaded, tinepb.Error_OVERLOADED, codes.ResourceExhausted},
	{ErrNodeLimit, tinepb.Error_NODE_LIMIT, codes.InvalidArgument},
	{ErrRequestExpired, tinepb.Error_REQUEST_EXPIRED, codes.FailedPrecondition},
	{ErrRequestReused, tinepb.Error_REQUEST_REUSED, codes.InvalidArgument},
	{ErrDraining, tinepb.Error_DRAINING, codes.Unavailable},
	{ErrUnsupported, tinepb.Error_UNSUPPORTED, codes.Unimplemented},
	{ErrBadRequest, tinepb.Error_BAD_REQUEST, codes.InvalidArgument},
	{ErrTimedOut, tinepb.Error_TIMED_OUT, codes.DeadlineExceeded},
	{context.DeadlineExceeded, tinepb.Error_TIMED_OUT, codes.DeadlineExceeded},
	{ErrCanceled, tinepb.Error_CANCELED, codes.Canceled},
	{context.Canceled, tinepb.Error_CANCELED, codes.Canceled},
	{ErrInternal, tinepb.Error_INTERNAL, codes.Internal},
}

// byKind finds the meaning of each kind; where two values share one, the first.
var byKind = func() map[tinepb.Error_Kind]meaning {
	m := make(map[tinepb.Error_Kind]meaning, len(meanings))
	for _, x := range meanings {
		if _, twice := m[x.kind]; !twice {
			m[x.kind] = x
		}
	}
	return m
}()

// matches tells whether target is a value of the kind.
func matches(kind tinepb.Error_Kind, target error) bool {
	for _, m := range meanings {
		if m.kind == kind && m.value == target {
			return true
		}
	}
	return false
}

// kindsOf finds all kinds of an error, in the order of meanings.
func kindsOf(err error) []tinepb.Error_Kind {
	var kinds []tinepb.Error_Kind
	for _, m := range meanings {
		if errors.Is(err, m.value) && (len(kinds) == 0 || kinds[len(kinds)-1] != m.kind) {
			kinds = append(kinds, m.kind)
		}
	}
	return kinds
}
