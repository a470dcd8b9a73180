package wire

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
	"github.com/tinedb/tine/engine"
)

// maxForks bounds the forks that one error names: a status travels in a header.
const maxForks = 32

// maxText bounds an error's text, for the same reason.
const maxText = 2 << 10

// Error is an error that came from a node, or that is about to leave one. errors.Is
// holds for the value of its kind, and of those in Also; errors.As finds an
// *engine.CorruptError in one of kind CORRUPT.
type Error struct {
	Kind  tinepb.Error_Kind
	Also  []tinepb.Error_Kind // further kinds that hold
	Text  string
	After time.Duration // of OVERLOADED: when to try again
	// Code is the status that it came with, also when it came with no details: from
	// a proxy, or from the library itself.
	Code codes.Code

	corrupt *engine.CorruptError
}

// Error is the text, as the node wrote it.
func (e *Error) Error() string { return e.Text }

// Is tells whether target is the value of one of the error's kinds.
func (e *Error) Is(target error) bool {
	return matches(e.Kind, target) || slices.ContainsFunc(e.Also, func(k tinepb.Error_Kind) bool { return matches(k, target) })
}

// As finds the place of bad bytes.
func (e *Error) As(target any) bool {
	if c, ok := target.(**engine.CorruptError); ok && e.corrupt != nil {
		*c = e.corrupt
		return true
	}
	return false
}

// GRPCStatus makes the error a status for the library.
func (e *Error) GRPCStatus() *status.Status { return ToStatus(e) }

// ToStatus gives the status of an error that leaves the node; nil stays OK. An error
// that has no kind of its own is INTERNAL, and keeps its text.
func ToStatus(err error) *status.Status {
	return ToStatusFor(err, func(string) bool { return true })
}

// ToStatusFor is ToStatus for one who may be told of those forks, and snapshots with an @
// before their names, of which knows says so: of bad bytes it lists no others.
func ToStatusFor(err error, knows func(name string) bool) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	detail := &tinepb.Error{Offset: -1}
	var ours *Error
	if errors.As(err, &ours) {
		detail.RetryAfterMs = ours.After.Milliseconds()
	} else if s, ok := status.FromError(err); ok {
		return s // of the library, which made it a status already
	}
	kinds := kindsOf(err)
	if len(kinds) == 0 {
		kinds = []tinepb.Error_Kind{tinepb.Error_INTERNAL}
	}
	detail.Kind, detail.Also = kinds[0], kinds[1:]
	detail.Message = cut(TextFor(err, knows), maxText)
	var corrupt *engine.CorruptError
	if errors.As(err, &corrupt) {
		detail.File, detail.Offset = cut(corrupt.File, maxText), corrupt.Offset
		known := Known(corrupt.Forks, knows)
		detail.Forks = known[:min(len(known), maxForks)]
	}
	s := status.New(byKind[detail.Kind].code, detail.Message)
	if with, err := s.WithDetails(detail); err == nil {
		s = with
	}
	return s
}

// FromStatus gives the error that a call ended with on the client's side; nil stays
// nil. What came without details, from a proxy or from the library, gets the kind
// that its code allows to name, and none otherwise: it is an error still.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var ours *Error
	if errors.As(err, &ours) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	if s.Code() == codes.OK {
		return nil
	}
	e := &Error{Text: s.Message(), Code: s.Code()}
	for _, d := range s.Details() {
		detail, ok := d.(*tinepb.Error)
		if !ok {
			continue
		}
		e.Kind, e.Also = detail.GetKind(), detail.GetAlso()
		e.After = time.Duration(detail.GetRetryAfterMs()) * time.Millisecond
		if detail.GetMessage() != "" {
			e.Text = detail.GetMessage()
		}
		if e.Is(engine.ErrCorrupt) {
			e.corrupt = &engine.CorruptError{
				File: detail.GetFile(), Offset: detail.GetOffset(), Forks: detail.GetForks(), Err: errors.New(e.Text),
			}
		}
		return e
	}
	e.Kind = withoutDetails[s.Code()]
	return e
}

// withoutDetails are the kinds of statuses that the library makes itself. Unavailable
// has none: whether the node has acted is not known.
var withoutDetails = map[codes.Code]tinepb.Error_Kind{
	codes.Canceled:          tinepb.Error_CANCELED,
	codes.DeadlineExceeded:  tinepb.Error_TIMED_OUT,
	codes.Unauthenticated:   tinepb.Error_UNAUTHENTICATED,
	codes.PermissionDenied:  tinepb.Error_DENIED,
	codes.Unimplemented:     tinepb.Error_UNSUPPORTED,
	codes.ResourceExhausted: tinepb.Error_NODE_LIMIT, // a message larger than one side takes
	codes.InvalidArgument:   tinepb.Error_BAD_REQUEST,
	codes.Internal:          tinepb.Error_INTERNAL,
}

// ContextError is what ended ctx, as an error of this package; nil if nothing did.
func ContextError(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: tinepb.Error_TIMED_OUT, Text: ErrTimedOut.Error()}
	default:
		return &Error{Kind: tinepb.Error_CANCELED, Text: ErrCanceled.Error()}
	}
}

// cut shortens text to at most n bytes of valid UTF-8.
func cut(text string, n int) string {
	if len(text) <= n {
		return toValid(text)
	}
	return toValid(text[:n-3]) + "..."
}

// toValid replaces what is no UTF-8, which a message's string must be.
func toValid(text string) string { return strings.ToValidUTF8(text, "?") }
