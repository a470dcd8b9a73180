package wire

import (
	"errors"
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// What a node returns beyond the engine's errors, to be told apart with errors.Is.
var (
	// ErrInternal: the node has a bug, or an error came that has no kind of its own.
	ErrInternal = errors.New("internal error of the node")
	// ErrBadRequest: the message does not make sense.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthenticated: the node does not know who calls.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrDenied: the caller may not do that.
	ErrDenied = errors.New("permission denied")
	// ErrOverloaded: the node has no room for the request. Nothing was done; try again
	// after RetryAfter.
	ErrOverloaded = errors.New("overloaded")
	// ErrNodeLimit: larger than this node takes or sends. Trying again is no use.
	ErrNodeLimit = errors.New("over a limit of the node")
	// ErrRequestExpired: the request id is older than the node remembers, or from the
	// future. Nothing was done now; whether an earlier attempt was applied is not known.
	ErrRequestExpired = errors.New("request id is outside the node's window")
	// ErrRequestReused: the request id has come with another batch before. Nothing was
	// done now.
	ErrRequestReused = errors.New("request id was used for another batch")
	// ErrDraining: the node is being stopped. Nothing was done.
	ErrDraining = errors.New("the node is being stopped")
	// ErrUnsupported: this node does not offer that.
	ErrUnsupported = errors.New("not supported by this node")
	// ErrTimedOut: the call's time was over. A write may have been applied. It matches
	// context.DeadlineExceeded too.
	ErrTimedOut = errors.New("timed out")
	// ErrCanceled: the call was canceled. A write may have been applied. It matches
	// context.Canceled too.
	ErrCanceled = errors.New("canceled")
)

// Overloadf makes an ErrOverloaded that tells the caller when to try again.
func Overloadf(after time.Duration, format string, args ...any) error {
	return &Error{
		Kind: tinepb.Error_OVERLOADED, After: after,
		Text: fmt.Sprintf("%v: %s", ErrOverloaded, fmt.Sprintf(format, args...)),
	}
}

// RetryAfter is how long the node asks the caller to wait before trying again; false
// if err says nothing of it.
func RetryAfter(err error) (time.Duration, bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == tinepb.Error_OVERLOADED {
		return e.After, true
	}
	return 0, false
}
